"""Sources: who answers what a run asks, a board with a supernet or a measured table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from edgenas.core.metrics import ResponseKind
from edgenas.core.readings import Observed
from edgenas.core.records import ExportedModel, SearchResult, Verification, Verified
from edgenas.explain.choices import Change
from edgenas.optimize.certainty import Certainty
from edgenas.predictors.base import FittedPredictor
from edgenas.reporting.document import MarginalEffect, Shapes

Network = TypeVar("Network")

LEAST_ROWS = 8  # that a fit takes


class Source(Protocol[Network]):
    """What the steps ask. A step says what is done; the source knows the networks and answers.

    steps : the names of the steps that it has.
    metrics : what can be known of its networks, by name.
    rows_name : what `plan` counts, in words.
    """

    steps: tuple[str, ...]
    rows_name: str

    @property
    def metrics(self) -> Mapping[str, ResponseKind]: ...

    # the start of a run

    def check_options(self, asked: Mapping[str, Any]) -> None:
        """Raise `InputError` for an option of a command that means nothing here."""
        ...

    def check_start(self) -> None:
        """Refuse what cannot be met, as far as it can be known before the first slow step."""
        ...

    def check_unchanged(self) -> None:
        """Refuse images, or a table, that are others than those that the run began with."""
        ...

    def check_given(self, metric: str) -> None:
        """Refuse a metric that was measured of no network, once some were measured."""
        ...

    def probe(self) -> Any:
        """Look at what answers; return its record, and keep it in the run folder."""
        ...

    def require_engine(self, probed: Any) -> None:
        """Raise `TargetError` if the target cannot have the run's engine."""
        ...

    def train(self) -> Any:
        """Train the supernet, unless it is."""
        ...

    def prepare(self) -> None:
        """Make what measuring and evaluating need, such as a trained supernet."""
        ...

    # what is known of networks

    def plan(self) -> tuple[list[Network], int]:
        """Return the networks still to be measured, and how many are."""
        ...

    def measure(self, networks: Sequence[Network]) -> None:
        """Measure networks and keep what came of it; a failure is kept with its reason."""
        ...

    def evaluate(self, networks: Sequence[Network] | None = None) -> int:
        """Evaluate those of `networks`, or else of the run's, that are not yet; return how many."""
        ...

    def unevaluated(self) -> Sequence[Network]:
        """Return the candidates of the search that `evaluate` can still tell something of."""
        ...

    def observed(self, metric: str) -> Mapping[Network, Observed]:
        """Return what is known of a metric, with its 95 % interval if known, oldest first."""
        ...

    # predictors

    def fitted_metrics(self) -> Mapping[str, bool]:
        """Return the metrics to fit, in this order, and whether the run cannot go without each."""
        ...

    def more_rows(self, metric: str) -> str:
        """Return the hint that says how more rows of a metric are had."""
        ...

    def fit(self, metric: str, rows: Mapping[Network, Observed], fitted: Mapping[str, Any]) -> Any:
        """Return a predictor of a metric. fitted : the predictors that were fitted before it."""
        ...

    # search and verification

    def search(self) -> SearchResult[Any]:
        """Return the best networks within the run's limits, as predicted.

        Raises
        ------
        InfeasibleError : no network meets the limits; says why.
        """
        ...

    def warn_of_candidates(self, result: SearchResult[Any]) -> None:
        """Warn of candidates whose predictions go beyond what was measured."""
        ...

    def trains_alone(self) -> bool:
        """Whether candidates that keep their promise are trained alone, and exported again."""
        ...

    def export(self, *, alone: bool) -> Sequence[ExportedModel]:
        """Write every candidate of the search as files. alone : trained alone before."""
        ...

    @property
    def name(self) -> str:
        """What results call the target."""
        ...

    def limit_ms(self, result: SearchResult[Any]) -> float | None:
        """Return the limit on latency that the candidates are held against; None for none."""
        ...

    def check(self, result: SearchResult[Any]) -> Sequence[Verified]:
        """Hold the candidates of a search against what was promised, each for itself."""
        ...

    def judged(self, verification: Verification[Any]) -> Verification[Any]:
        """Return the verification of all with what else the source can tell of it."""
        ...

    def tidy(self, verification: Verification[Any]) -> None:
        """Remove what neither the search nor the verification needs any more."""
        ...

    def missed(self) -> str:
        """Return which promises the verification found broken, "" if none: a search again may
        mend it."""
        ...

    def answers(self) -> bool:
        """Whether the passing verification is of what is asked now, as far as options tell."""
        ...

    # explanation and report

    def explained(self) -> Mapping[str, FittedPredictor]:
        """Return the predictors on rows of terms, by metric."""
        ...

    def explained_rows(self, metric: str) -> Mapping[Network, Observed]:
        """Return what was observed of the networks that an explanation is over."""
        ...

    def in_full(self, metric: str) -> bool:
        """Whether a metric is explained in full, not by its errors alone."""
        ...

    def matrix(self, metric: str, networks: Sequence[Network]) -> np.ndarray:
        """Return the terms of networks, float64 [n, p]."""
        ...

    def changes(self, metric: str, networks: Sequence[Network]) -> list[Change]:
        """Return each change of one choice, with what it changes of the terms."""
        ...

    def shapes(self, metric: str, changes: Sequence[Change]) -> Shapes | None:
        """Return what the numbers of the choices do, and choices together; None where that is not
        known. changes : all of them."""
        ...

    def breakdown(self, metric: str, matrix: np.ndarray) -> tuple[MarginalEffect, ...]:
        """Return what each part of the winner adds; of the best candidate without one; or none."""
        ...

    def influence(
        self, metric: str, networks: Sequence[Network], matrix: np.ndarray
    ) -> tuple[np.ndarray | None, Sequence[str]]:
        """Return the leverages of networks in the fit, float64 [n], and their names; None and
        nothing where they are not told."""
        ...

    def notes(self, metric: str) -> tuple[str, ...]:
        """Return what the reader of a predictor must know, besides its residuals."""
        ...

    def certainty(self, found: SearchResult | None = None) -> Certainty | None:
        """Return how sure it is which network is the best within the latency limit; None where
        that cannot be said.

        found : a search by the predictors of now; None for the run's last one.
        """
        ...

    def group(self, term: str) -> str:
        """Return the group that a term stands in, such as "stage 1"; "" for none."""
        ...

    def network_of_row(self, network: Network) -> Any:
        """Return how a row of a report names a network: its architecture, or words."""
        ...

    def explain_models(self) -> None:
        """Find what int8 costs each layer of the winner, where there are layers."""
        ...

    def page(self) -> str:
        """Return the report, one HTML page."""
        ...

    def document(self) -> dict[str, Any]:
        """Return what the JSON document of a search says besides what all have."""
        ...
