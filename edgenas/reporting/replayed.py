"""What the page of a search on a measured table shows: records that the report step fills."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.core.records import RunVerdict, SearchResult, TableRow, Verification, VerifiedRow
from edgenas.core.records.tables import LookedUp, TableCard
from edgenas.reporting.document import Budgets, PredictorReport

_LOOKED_UP = RunVerdict("looked up")


@dataclass(frozen=True)
class ReplayData:
    """Everything that the page shows.

    now : the run's verdict. seconds : by step. command : does the same again. budgets : what
    `edgenas pick` gives for every limit on what the objective is traded for; None where more of
    that is better, or nothing is.
    """

    run: str
    command: str
    seed: int
    card: TableCard
    search: SearchResult[TableRow]
    verdict: Verification[VerifiedRow]
    rows: tuple[LookedUp, ...]
    predictors: tuple[PredictorReport, ...]
    versions: dict[str, str]
    seconds: dict[str, float]
    warnings: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    now: RunVerdict = _LOOKED_UP
    budgets: Budgets | None = None
