"""A measured table as the source of a run: every answer is looked up, and none is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgenas.core.counted import counted
from edgenas.core.errors import InputError, MeasurementError
from edgenas.core.metrics import ResponseKind
from edgenas.core.readings import Observed
from edgenas.core.records import ExportedModel, SearchResult, TableRow, Verification, VerifiedRow
from edgenas.core.records.goals import SCORE
from edgenas.core.records.tables import TableCard
from edgenas.core.run_options import OPTIONS, option_of
from edgenas.explain.choices import Change
from edgenas.optimize import table_predictors
from edgenas.predictors.base import Additive, FittedPredictor
from edgenas.predictors.tables import report
from edgenas.predictors.tables.regression import TableRegression
from edgenas.reporting.document import MarginalEffect, Shapes
from edgenas.runs.sources import table_check, table_document, table_explain, table_search
from edgenas.runs.sources.table_run import TableRun, card

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext

# More rows than this make a fit slow and no more accurate.
MOST_FITTED = 500
# Networks that are shown beside their predictions, and that effects are averaged over.
MOST_SHOWN = 200


class Table:
    """A table of networks that somebody measured. Its networks go by their index in it."""

    steps: tuple[str, ...] = (
        "probe",
        "measure",
        "evaluate",
        "fit",
        "optimize",
        "verify",
        "explain",
        "report",
    )
    rows_name = "networks looked up"

    def __init__(self, run: RunContext) -> None:
        self.run = run
        self.of = TableRun(run.folder, run.config)

    @cached_property
    def metrics(self) -> Mapping[str, ResponseKind]:
        return self.of.table.target.kinds

    def check_options(self, asked: Mapping[str, Any]) -> None:
        for name, option in OPTIONS.items():
            if name in asked and not option.is_of_tables:
                raise InputError(
                    f"{option_of(name)} means nothing to a measured table.", "Leave it out."
                )

    def check_start(self) -> None:
        """Accept: what is asked of a table is checked where it is read."""

    def check_unchanged(self) -> None:
        _ = self.of.table

    def check_given(self, metric: str) -> None:
        """Accept: the table has every metric that it names."""

    def probe(self) -> TableCard:
        """Read the run's table; what it lacks becomes warnings."""
        found = card(self.of.table)
        for response in found.responses:
            if missing := found.networks - response.n:
                self.run.progress.warning(
                    f"The table has no {response.name} of {missing} of its {found.networks} "
                    "networks."
                )
        return found

    def require_engine(self, probed: TableCard) -> None:
        """Accept: nothing runs."""

    def train(self) -> None:
        """Do nothing: nothing is trained."""

    def prepare(self) -> None:
        """Do nothing: all is measured."""

    def plan(self) -> tuple[list[int], int]:
        known = self.of.asked(costs[0]) if (costs := self._costs) else np.array([], np.int64)
        config = self.run.config
        missing = table_predictors.plan(self.of.table, config.samples, config.seed, known)
        return missing.tolist(), len(known)

    def measure(self, networks: Sequence[int]) -> None:
        """Look up all metrics but accuracies.

        Raises
        ------
        MeasurementError : the table lacks a metric of every one of them.
        """
        rows = [self.of.look_up(index, self._costs) for index in networks]
        self.of.add_rows(rows)
        for row in rows:
            if row.status == "failed":
                self.run.progress.warning(f"{row.network} is missing: {row.reason}")
        for name in self._costs:
            if not self.of.known(name).size:
                raise MeasurementError(
                    f"{self.of.table.target.path} has {name} of none of the "
                    f"{len(self.of.asked(name))} networks that were looked up.",
                    "Look more up with --samples, or complete the table.",
                )

    def evaluate(self, networks: Sequence[int] | None = None) -> int:
        """Look up accuracies, of the networks looked up first."""
        shares = tuple(name for name, kind in self.metrics.items() if kind.unit == "fraction")
        if not shares:
            return 0
        config, known = self.run.config, self.of.asked(shares[0])
        if networks is None:
            looked_up = np.array([row.network.index for row in self.of.rows()], np.int64)
            asked = table_predictors.evaluated(
                self.of.table, looked_up, config.evaluate, config.seed
            )
        else:
            asked = np.array(networks, np.int64)
        missing = asked[~np.isin(asked, known)]
        if networks is None and known.size:
            self.run.reuse(f"{len(known)} of {counted(len(asked), 'accuracy', 'accuracies')}")
        self.of.add_rows([self.of.look_up(index, shares) for index in missing.tolist()])
        return len(missing)

    def unevaluated(self) -> Sequence[int]:
        """Return none: `verify` looks the candidates up."""
        return ()

    def observed(self, metric: str) -> Mapping[int, Observed]:
        return self._known(metric, MOST_FITTED)

    def fitted_metrics(self) -> Mapping[str, bool]:
        """Return every metric, accuracy last: it takes over what costs tell of edges."""
        names = sorted(self.of.table.responses, key=lambda name: name == SCORE)
        return dict.fromkeys(names, True)

    def more_rows(self, metric: str) -> str:
        return "Look more up with --samples and --evaluate."

    def fit(
        self, metric: str, rows: Mapping[int, Observed], fitted: Mapping[str, Any]
    ) -> TableRegression:
        known = np.array(list(rows), np.int64)
        return table_predictors.fit(self.of.table, metric, known, self.run.config.seed, fitted)

    def search(self) -> SearchResult[TableRow]:
        return table_search.search(self.run, self.of)

    def warn_of_candidates(self, result: SearchResult[TableRow]) -> None:
        """Say nothing: every network of the table was measured."""

    def trains_alone(self) -> bool:
        """Return no: there is nothing to train."""
        return False

    def export(self, *, alone: bool) -> Sequence[ExportedModel]:
        """Return none: there is nothing to export."""
        return ()

    @property
    def name(self) -> str:
        return self.of.table.target.name

    def limit_ms(self, result: SearchResult[TableRow]) -> float | None:
        return result.limit_ms

    def check(self, result: SearchResult[TableRow]) -> Sequence[VerifiedRow]:
        return table_check.check(self.of, result)

    def judged(self, verification: Verification[VerifiedRow]) -> Verification[VerifiedRow]:
        """Return it with the candidates best first, and what the winner lacks: only a table can
        tell."""
        result: SearchResult[Any] = self.run.search_result()
        models = tuple(table_check.best_first(self.of, result, verification.models))
        verification = replace(verification, models=models)
        truth = table_check.truth(self.of, result, verification.winner)
        return replace(verification, table=truth)

    def tidy(self, verification: Verification[VerifiedRow]) -> None:
        """Keep everything."""

    def missed(self) -> str:
        """Return how many candidates were not as promised: another fit knows them."""
        result: SearchResult[Any] = self.run.search_result()
        verified: Verification[Any] = self.run.verified()
        return table_check.missed(self.metrics[result.objectives[0]], result, verified.models)

    def answers(self) -> bool:
        return True

    def explained(self) -> Mapping[str, FittedPredictor]:
        return {
            name: cast(Additive, self.of.predictor(name).regression)
            for name in self.of.table.responses
        }

    def explained_rows(self, metric: str) -> Mapping[int, Observed]:
        return self._known(metric, MOST_SHOWN)

    def in_full(self, metric: str) -> bool:
        return True

    def matrix(self, metric: str, networks: Sequence[int]) -> np.ndarray:
        return self.of.predictor(metric).matrix(self._columns(networks))

    def changes(self, metric: str, networks: Sequence[int]) -> list[Change]:
        predictor = self.of.predictor(metric)
        return table_explain.changes(self.of.table, predictor, self._columns(networks))

    def shapes(self, metric: str, changes: Sequence[Change]) -> Shapes | None:
        unit = self.metrics[metric].unit
        return table_explain.shapes(self.of.predictor(metric), unit, self.run.config.confidence)

    def breakdown(self, metric: str, matrix: np.ndarray) -> tuple[MarginalEffect, ...]:
        return table_explain.breakdown_of_best(self.run, self.of, metric, matrix)

    def influence(
        self, metric: str, networks: Sequence[int], matrix: np.ndarray
    ) -> tuple[np.ndarray | None, Sequence[str]]:
        return None, ()

    def notes(self, metric: str) -> tuple[str, ...]:
        return tuple(report.notes(self.of.predictor(metric).fitted))

    def certainty(self, found: Any = None) -> None:
        """Return nothing: a table's networks are no sums of independent choices."""

    def group(self, term: str) -> str:
        return ""

    def network_of_row(self, network: int) -> str:
        return str(self.of.network(network))

    def explain_models(self) -> None:
        """Do nothing: there are no models."""

    def page(self) -> str:
        return table_document.page(self.run, self.of)

    def document(self) -> dict[str, Any]:
        return table_document.document(self.run, self.of)

    @property
    def _costs(self) -> tuple[str, ...]:
        """The metrics that a board would give."""
        return tuple(name for name, kind in self.metrics.items() if kind.unit != "fraction")

    def _known(self, metric: str, most: int) -> dict[int, Observed]:
        known = self.of.known(metric)[:most]
        values = self.of.table.response(metric)[known]
        return {
            index: (value, None)
            for index, value in zip(known.tolist(), values.tolist(), strict=True)
        }

    def _columns(self, networks: Sequence[int]) -> dict[str, np.ndarray]:
        at = np.array(networks, np.int64)
        return {name: values[at] for name, values in self.of.table.choices().items()}
