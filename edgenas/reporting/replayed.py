"""What the page of a search on a measured table shows: records that the report step fills."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.records.tables import LookedUp, TableCard, TableSearch, TableVerdict
from edgenas.reporting.document import PredictorReport


@dataclass(frozen=True)
class ReplayData:
    """Everything that the page shows. seconds : by step. command : does the same again."""

    run: str
    command: str
    seed: int
    card: TableCard
    search: TableSearch
    verdict: TableVerdict
    rows: tuple[LookedUp, ...]
    predictors: tuple[PredictorReport, ...]
    versions: dict[str, str]
    seconds: dict[str, float]
    warnings: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
