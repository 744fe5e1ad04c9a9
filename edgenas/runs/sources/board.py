"""A board as the source of a run: subnets are timed there, and evaluated with a supernet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.core import plugins
from edgenas.core.errors import InputError, PredictorError
from edgenas.core.metrics import REGISTRY, ResponseKind
from edgenas.core.readings import Observed
from edgenas.core.records import (
    Architecture,
    DeviceProfile,
    ExportedModel,
    SearchResult,
    Verification,
    VerifiedModel,
)
from edgenas.core.records.goals import ROBUST, SCORE
from edgenas.explain import hardware, odd_widths, slow_kernels
from edgenas.explain.choices import Change, changes
from edgenas.explain.diagnostics import breakdown
from edgenas.explain.savings import extrapolations
from edgenas.explain.shapes import shapes
from edgenas.explain.together import interactions
from edgenas.optimize import certainty
from edgenas.optimize.certainty import Certainty
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import Additive, FittedPredictor, TrainingData
from edgenas.reporting.document import MarginalEffect, Shapes
from edgenas.runs.growing import grown
from edgenas.runs.models import export as exporting
from edgenas.runs.models import int8_layers
from edgenas.runs.models.finetuned import settled_epochs
from edgenas.runs.models.kept_predictors import drop_others
from edgenas.runs.named_paths import anchored
from edgenas.runs.sources import (
    board_bits,
    board_check,
    board_document,
    board_evaluations,
    board_json,
    board_machine,
    board_search,
    board_training,
)
from edgenas.runs.start import checks as start_checks
from edgenas.runs.start import warm_start

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext

# What every run is asked for, with the step that adds rows of it.
NEEDED = {"latency_ms": "measure --samples", SCORE: "evaluate --evaluate"}
MORE = {**NEEDED, ROBUST: NEEDED[SCORE]}


class Board:
    """A target, the images, and a supernet of the space, whose subnets are its networks."""

    steps: tuple[str, ...] = (
        *("probe", "train", "measure", "evaluate", "fit", "optimize", "export", "verify"),
        *("explain", "report", "submit"),
    )
    rows_name = "measurements"

    def __init__(self, run: RunContext) -> None:
        self.run = run

    @cached_property
    def _priors(self) -> Mapping[str, FittedPredictor]:
        """The predictors of the run that this one learns from."""
        return warm_start.priors(self.run)

    @property
    def metrics(self) -> Mapping[str, ResponseKind]:
        return self.run.config.known

    def check_options(self, asked: Mapping[str, Any]) -> None:
        """Accept every option: all mean something to a board."""

    def check_start(self) -> None:
        start_checks.check_board(self.run)

    def check_unchanged(self) -> None:
        _ = self.run.dataset

    def check_given(self, metric: str) -> None:
        run = self.run
        kind = REGISTRY[metric]  # accuracies are evaluated when they are asked for
        if kind.exact or kind.source == "choices" or not run.folder.store.exists():
            return
        measured = any(one.outcome.status == "ok" for one in run.measurements())
        if measured and not run.observed(metric):
            raise InputError(
                f"'{run.target.name}' gave no {run.config.known[metric].label} of any network that "
                "it measured.",
                "Ask for another response, or start a new run on a target that gives it.",
            )

    def probe(self) -> DeviceProfile:
        return board_machine.probe(self.run)

    def require_engine(self, probed: DeviceProfile) -> None:
        start_checks.require_engine(self.run, probed)

    def prepare(self) -> None:
        """Take over what an earlier run's supernet was evaluated to be."""
        warm_start.adopt(self.run)

    def train(self) -> Any:
        """Train the supernet, unless it is."""
        return board_training.train(self.run)

    def plan(self) -> tuple[list[Architecture], int]:
        return board_machine.plan(self.run)

    def measure(self, networks: Sequence[Architecture]) -> None:
        if networks:
            board_machine.measure(self.run, networks)

    def evaluate(self, networks: Sequence[Architecture] | None = None) -> int:
        return board_evaluations.evaluate(self.run, networks)

    def unevaluated(self) -> Sequence[Architecture]:
        """Return the winners, and what a choice of bits has to beat; none without real images."""
        if self.run.data_card.synthetic:
            return ()
        return (*self.run.winners(), *board_bits.hopeful(self.run))

    def observed(self, metric: str) -> Mapping[Architecture, Observed]:
        return self.run.observed(metric)

    def fitted_metrics(self) -> Mapping[str, bool]:
        """Return the metrics but for those that follow exactly from the layers."""
        needed = set(NEEDED) | self.run.config.responses
        return {name: name in needed for name, kind in REGISTRY.items() if not kind.exact}

    def more_rows(self, metric: str) -> str:
        step = MORE.get(metric, "measure --samples")
        return f"Run: edgenas {step} N {self.run.folder.path}"

    def fit(
        self, metric: str, rows: Mapping[Architecture, Observed], fitted: Mapping[str, Any]
    ) -> Any:
        """Return a predictor of a metric; with an earlier run's as its prior where that helps."""
        kind, run = REGISTRY[metric], self.run
        of = TermRows(run.space, kind.source)
        matrix, terms = of.matrix(list(rows)), of.terms
        response = np.array([value for value, _ in rows.values()], np.float64)
        data = TrainingData(kind.name, kind.unit, terms.names, matrix, response, cost=terms.cost)
        learns = run.config.predictor == warm_start.LEARNS
        prior = self._priors.get(metric) if learns else None
        if isinstance(prior, Additive) and kind.source != "size":
            adapted = warm_start.fit_with(prior, data, str(run.config.warm_start), run.config.seed)
            if adapted is not None:
                predictor, gain = adapted
                warm_start.add_gain(run, metric, gain)
                if predictor is not None:
                    return predictor
        return plugins.load("predictors", run.config.predictor).fit(data, run.config.seed)

    def search(self) -> SearchResult:
        return board_search.search(self.run)

    def warn_of_candidates(self, result: SearchResult) -> None:
        for text in extrapolations(self.run.predictors(), result.candidates):
            self.run.progress.warning(text)

    def trains_alone(self) -> bool:
        return settled_epochs(self.run) > 0

    def export(self, *, alone: bool) -> Sequence[ExportedModel]:
        return exporting.export(self.run, alone=alone and self.trains_alone())

    @property
    def name(self) -> str:
        return self.run.target.name

    def limit_ms(self, result: SearchResult) -> float | None:
        return board_check.limit_ms(self.run, result)

    def check(self, result: SearchResult) -> Sequence[VerifiedModel]:
        return board_check.check(self.run, result)

    def judged(self, verification: Verification) -> Verification:
        return board_check.completed(self.run, verification)

    def tidy(self, verification: Verification) -> None:
        """Remove the predictors that neither the search nor the verification used."""
        used = [self.run.search_result().predicted_by]
        used += [one.predicted_by for one in verification.models]
        drop_others(self.run.folder, used)

    def missed(self) -> str:
        """Return how many candidates were slower than promised: another fit knows them."""
        return board_check.missed(self.run.verified())

    def answers(self) -> bool:
        """Whether predictors, epochs and candidates are those of now, and the first can be read."""
        run = self.run
        try:
            run.predictors()
        except PredictorError:
            return False  # fitted by an edgenas that made other terms
        result, verification = run.search_result(), run.verified()
        epochs = {0 if (tuned := one.model.finetuned) is None else tuned.epochs
                  for one in verification.models
                  if one.model.weights not in grown.WEIGHTS.values()}  # fmt: skip
        return (
            anchored({"warm_start": result.warm_start}, run.folder.path)
            == {"warm_start": run.config.warm_start}
            and epochs <= {run.config.finetune or 0}
            and {one.architecture for one in result.candidates}
            <= {one.model.candidate.architecture for one in verification.models}
        )

    def explained(self) -> Mapping[str, FittedPredictor]:
        return self.run.predictors().fitted

    def explained_rows(self, metric: str) -> Mapping[Architecture, Observed]:
        return self.observed(metric)

    def in_full(self, metric: str) -> bool:
        return metric in {"latency_ms", SCORE} | self.run.config.responses

    def matrix(self, metric: str, networks: Sequence[Architecture]) -> np.ndarray:
        return self._rows(metric).matrix(networks)

    def changes(self, metric: str, networks: Sequence[Architecture]) -> list[Change]:
        return changes(self._rows(metric), networks)

    def shapes(self, metric: str, changes: Sequence[Change]) -> Shapes | None:
        predictor = self.explained()[metric]
        if not isinstance(predictor, Additive):
            return None
        confidence, networks = self.run.config.confidence, list(self.explained_rows(metric))
        together = interactions(self._rows(metric), predictor, networks, confidence)
        return replace(shapes(predictor, changes, confidence), together=together)

    def breakdown(self, metric: str, matrix: np.ndarray) -> tuple[MarginalEffect, ...]:
        """Return what each stage of the winner adds."""
        architecture, predictor = self.run.best(), self.explained()[metric]
        if architecture is None or not isinstance(predictor, Additive):
            return ()
        rows, groups = self._rows(metric), dict[str, list[int]]()
        for index, name in enumerate(rows.terms.names):
            if name.startswith("stage"):
                groups.setdefault(self.group(name), []).append(index)
        shares = breakdown(predictor, rows.row(architecture), groups, self.run.config.confidence)
        return tuple(
            MarginalEffect(share.group, share.mean, share.lower, share.upper, predictor.unit)
            for share in shares
        )

    def influence(
        self, metric: str, networks: Sequence[Architecture], matrix: np.ndarray
    ) -> tuple[np.ndarray | None, Sequence[str]]:
        predictor = self.explained()[metric]
        if not isinstance(predictor, Additive):
            return None, ()
        return predictor.leverage(matrix), [str(one) for one in networks]

    def notes(self, metric: str) -> tuple[str, ...]:
        """Return, of latency, slow kernel sizes, and widths that waste time; of an FPGA, where the
        LUTs of the winner go."""
        if metric != "latency_ms":
            return ()
        run, predictor, best = self.run, self.explained()[metric], self.run.best()
        if run.pipeline is not None:
            if best is None:
                return ()
            basis: tuple[str, ...] = run.target.basis  # type: ignore[attr-defined]
            return (*hardware.sentences(run.pipeline, run.space, best), *basis)
        slow = slow_kernels.sentences(run, run.target.engine, run.winners())
        if best is None or not isinstance(predictor, Additive):
            return slow
        rows, confidence = self._rows(metric), run.config.confidence
        return (*slow, *odd_widths.sentences(rows, predictor, best, confidence))

    def certainty(self, found: SearchResult | None = None) -> Certainty | None:
        """Return how sure the best network is; None but of one limit on latency, and of predictors
        that are sums."""
        run, predictors = self.run, self.run.predictors()
        best = run.best() if found is None else found.candidates[0].architecture
        if best is None or not run.config.plain or not predictors.additive:
            return None
        limit = board_check.limit_ms(run, found or run.search_result())
        return None if limit is None else certainty.find(predictors, limit, best)

    def group(self, term: str) -> str:
        """Return "stage 1" for a term of the first stage, "" for one of the whole network."""
        stage, dot, _ = term.partition(".")
        return f"stage {int(stage.removeprefix('stage')) + 1}" if dot else ""

    def network_of_row(self, network: Architecture) -> Architecture:
        return network

    def explain_models(self) -> None:
        int8_layers.find(self.run)

    def page(self) -> str:
        return board_document.page(self.run)

    def document(self) -> dict[str, Any]:
        return board_json.document(self.run)

    def _rows(self, metric: str) -> TermRows:
        return self.run.predictors().rows(REGISTRY[metric].source)
