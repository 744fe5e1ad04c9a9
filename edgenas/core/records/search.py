"""What a search found: candidates with their predictions, and the front that they are on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

from edgenas.core.records import earlier
from edgenas.core.records.goals import SCORE, Limit
from edgenas.core.records.intervals import Interval
from edgenas.core.records.networks import AnyNetwork, Architecture


@dataclass(frozen=True)
class Candidate(Generic[AnyNetwork]):
    """One network that a search proposes. Accuracies are fractions, latencies milliseconds.

    accuracy, latency_ms : None of a table that has no such metric.
    responses : the others that are predicted, by name, each in its unit; counts are exact. What was
        looked up in a table before the search is an interval of no width.
    """

    architecture: AnyNetwork
    accuracy: Interval | None
    latency_ms: Interval | None
    responses: dict[str, Interval] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, network: AnyNetwork, predicted: Mapping[str, Interval]) -> Candidate[AnyNetwork]:
        """Return a network with what is predicted of it, by metric."""
        others = dict(predicted)
        return cls(network, others.pop(SCORE, None), others.pop("latency_ms", None), others)

    @property
    def predicted(self) -> dict[str, Interval]:
        """Every prediction by the name of its metric."""
        first = {"latency_ms": self.latency_ms, SCORE: self.accuracy}
        return {**{k: v for k, v in first.items() if v is not None}, **self.responses}

    def response(self, name: str) -> Interval | None:
        """Return the prediction of a metric, by its name; None where there is none."""
        return self.predicted.get(name)

    def __getitem__(self, name: str) -> Interval:
        """Return the prediction of a metric that every candidate of the source has."""
        return self.predicted[name]


@dataclass(frozen=True)
class PredictedBy:
    """What predictions follow from: the space that they are over, and the predictors of then.

    space, num_classes, in_channels, image_size : what the space was made with.
    predictors : SHA-256 of the file of each response's predictor; a later fit leaves these alone.
    """

    space: str
    num_classes: int
    in_channels: int
    image_size: int
    predictors: dict[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class SearchResult(Generic[AnyNetwork]):
    """What an optimizer found within the limits.

    top : candidates asked for; there may be fewer.
    limits : on the prediction bounds, as they were resolved: asked for, or chosen half-way.
    frontier : the best trade-offs, by rising mean latency, between the means of the objectives and
        of what is limited, within the limits or not; a part of them where they are very many.
    objectives : names of the responses that were optimized, the first decides between winners.
    constraints : as they were asked for, besides the latency limit.
    cost : what the first objective is traded for; "" for nothing.
    traded : the metrics that the frontier is a trade-off between, the cost first; empty where the
        run's objectives and limits tell.
    optimal : no architecture of the space can be better under the predictors.
    gap : the most accuracy (fraction) that could still be missed; 0.0 if optimal, None if unknown.
    evaluations : architectures scored, or search nodes opened.
    budget, reward, warm_start : as they were asked for.
    predicted_by : None of searches made before predictors were kept.
    fastest_alike : the candidate that was not found by the search: where the evaluated networks do
        not differ beyond noise, the fastest of them that is not measurably worse than the best.
    """

    method: str
    top: int
    limits: tuple[Limit, ...]
    confidence: float
    candidates: tuple[Candidate[AnyNetwork], ...]
    frontier: tuple[Candidate[AnyNetwork], ...]
    optimal: bool
    gap: float | None
    evaluations: int
    seconds: float
    objectives: tuple[str, ...] = (SCORE,)
    constraints: tuple[str, ...] = ()
    predicted_by: PredictedBy | None = None
    budget: int | None = None
    reward: str | None = None
    warm_start: str | None = None
    fastest_alike: Architecture | None = None
    cost: str = "latency_ms"
    traded: tuple[str, ...] = ()

    @property
    def limit_ms(self) -> float | None:
        """The limit on the upper latency bound; None where there was none."""
        found = (limit.at_most for limit in self.limits if limit.response == "latency_ms")
        return next(found, None)

    @classmethod
    def upgraded(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Return the document of now for one of before: see `earlier.search_result`."""
        return earlier.search_result(document)
