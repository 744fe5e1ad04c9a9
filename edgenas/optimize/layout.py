"""A search laid out as arrays: the options of every stage with what the predictors say of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from edgenas.core import plugins
from edgenas.core.errors import PredictorError
from edgenas.core.metrics import REGISTRY, Count
from edgenas.core.records import Architecture, Candidate, Interval, StageChoice
from edgenas.core.records.goals import SCORE
from edgenas.hardware.pipeline import Pipeline
from edgenas.optimize.optimizers.base import Point, StageProblem
from edgenas.optimize.term_rows import TermRows, canonical, distinct_choices
from edgenas.predictors.base import Additive, FittedPredictor
from edgenas.spaces.base import MobileSpace


@dataclass(frozen=True)
class Predictors:
    """Latency in ms and accuracy as a fraction, over the architectures of one space.

    others : predictors of further responses, by name; each in the unit of its response.
    of_hardware : how the responses that the target's model of hardware knows follow from layers.
    filled : the pipeline whose networks are each folded as fast as its resources let them; None
        where they are not.
    """

    space: MobileSpace
    latency: FittedPredictor
    accuracy: FittedPredictor
    confidence: float
    others: Mapping[str, FittedPredictor] = field(default_factory=dict)
    of_hardware: Mapping[str, Count] = field(default_factory=dict)
    filled: Pipeline | None = None

    def __post_init__(self) -> None:
        for name, predictor in self.fitted.items():
            if predictor.terms != self.rows(REGISTRY[name].source).terms.names:
                raise PredictorError(
                    f"The predictor of {predictor.name} has other terms than this edgenas makes.",
                    "Fit it again: edgenas fit RUN",
                )

    @property
    def additive(self) -> bool:
        """Whether latency and accuracy are sums over the terms."""
        return isinstance(self.latency, Additive) and isinstance(self.accuracy, Additive)

    @property
    def fitted(self) -> dict[str, FittedPredictor]:
        """All predictors by the name of their response."""
        return {"latency_ms": self.latency, SCORE: self.accuracy, **self.others}

    @property
    def counts(self) -> dict[str, Count]:
        """How every exact response follows from the layers of a network, by its name."""
        counted = {kind.name: kind.count for kind in REGISTRY.values() if kind.counted is not None}
        return {**counted, **self.of_hardware}

    def rows(self, source: str) -> TermRows:
        """Return the rows of a term set over the space; the same ones each time."""
        return self._rows.setdefault(source, TermRows(self.space, source))

    @cached_property
    def _rows(self) -> dict[str, TermRows]:
        return {}

    def candidates(self, architectures: Sequence[Architecture]) -> tuple[Candidate, ...]:
        """Return the architectures with their prediction intervals."""
        if not architectures:
            return ()
        intervals = {
            name: self._intervals(name, predictor, architectures)
            for name, predictor in self.fitted.items()
        }
        counts = self.counts
        candidates = []
        for i, architecture in enumerate(architectures):
            here = {name: of[i] for name, of in intervals.items()}
            layers = self.space.layers(architecture)
            here |= {name: exactly(count(layers)) for name, count in counts.items()}
            candidates.append(Candidate.of(architecture, here))
        return tuple(candidates)

    def outside(self, architectures: Sequence[Architecture]) -> dict[str, np.ndarray]:
        """Return by response which architectures lie outside what was measured, bool [n]."""
        return {
            name: predictor.outside(self.rows(REGISTRY[name].source).matrix(architectures)) > 1
            for name, predictor in self.fitted.items()
        }

    def _intervals(
        self, name: str, predictor: FittedPredictor, architectures: Sequence[Architecture]
    ) -> list[Interval]:
        matrix = self.rows(REGISTRY[name].source).matrix(architectures)
        predicted = predictor.get_prediction(matrix, self.confidence)
        bounds = np.column_stack((predicted.mean, predicted.lower, predicted.upper))
        if REGISTRY[name].unit == "fraction":
            bounds = bounds.clip(0.0, 1.0)
        bounds[:, 1] = bounds[:, 1].clip(0.0)  # no response is negative
        return [Interval(*map(float, row)) for row in bounds]


def load_predictor(document: Any, wanted: str | None = None) -> FittedPredictor:
    """Return the predictor that a file holds, read by the plug-in that wrote it.

    wanted : the plug-in that must have written it; None for any.

    Raises
    ------
    PredictorError, PluginError : it is none, was edited, or is newer.
    """
    kind = document.get("kind") if isinstance(document, dict) else None
    if wanted is not None and kind != wanted:
        raise PredictorError(
            f"The run's predictors were fitted by '{kind}', not '{wanted}'.",
            "Fit them again: edgenas fit RUN",
        )
    fitted: FittedPredictor = plugins.load("predictors", str(kind)).load(document)
    return fitted


def exactly(value: float) -> Interval:
    """Return a value that is known without error."""
    return Interval(value, value, value)


@dataclass(frozen=True)
class Grid:
    """The choices of every stage of a space, and the architecture of each point of them."""

    space: MobileSpace
    choices: tuple[tuple[StageChoice, ...], ...]

    @classmethod
    def of(cls, space: MobileSpace) -> Grid:
        """Return the grid of the choices that predictors can tell apart."""
        return Grid(space, tuple(distinct_choices(space, s) for s in range(len(space.stages))))

    def architecture(self, point: Point) -> Architecture:
        """Return the architecture of a point (index of the size, then one option a stage)."""
        size, *options = point
        stages = tuple(self.choices[stage][option] for stage, option in enumerate(options))
        return Architecture.of(self.space.name, self.space.resolutions[size], stages)

    def point(self, architecture: Architecture) -> Point:
        """Return the point of an architecture of the space, or of one that is predicted alike."""
        self.space.check(architecture)
        size = self.space.resolutions.index(architecture.resolution)
        ordered = map(canonical, architecture.stages)
        return size, *(of.index(one) for of, one in zip(self.choices, ordered, strict=True))


@dataclass(frozen=True)
class Layout(Grid):
    """A grid and the `StageProblem` over its points."""

    problem: StageProblem


def lay_out(predictors: Predictors) -> Layout:
    """Return the whole space as options of stages; the limit is on the upper latency bound.

    Raises
    ------
    PredictorError : a predictor is no sum over the terms.
    """
    latency, accuracy = predictors.latency, predictors.accuracy
    if not (isinstance(latency, Additive) and isinstance(accuracy, Additive)):
        raise PredictorError(
            "The predictors are no sums over the choices.", "Search with --optimizer evolution."
        )
    space, confidence = predictors.space, predictors.confidence
    choices = Grid.of(space).choices
    latency_rows = predictors.rows("physical")
    options = option_rows(latency_rows, choices)

    def margin(points: np.ndarray) -> np.ndarray:
        return latency.margin(matrix_of(points, latency_rows, options), confidence)

    costs = summands(latency, latency_rows, options)
    accuracy_rows = predictors.rows("choices")
    values = summands(accuracy, accuracy_rows, option_rows(accuracy_rows, choices))
    problem = StageProblem(
        value_offsets=values[0],
        cost_offsets=costs[0],
        values=values[1],
        costs=costs[1],
        margin=margin,
        least_margin=latency.least_margin(confidence),
        ceiling=lambda limit: latency.ceiling(limit, confidence),
    )
    return Layout(space, choices, problem)


def half_way_between(predictors: Predictors, architectures: Sequence[Architecture]) -> float:
    """Return the limit half-way between the least and the greatest upper latency bound of some."""
    uppers = [one["latency_ms"].upper for one in predictors.candidates(architectures)]
    return (min(uppers) + max(uppers)) / 2


def half_way(layout: Layout, avoided: Collection[int] = ()) -> float:
    """Return the limit half-way between the least and the greatest upper bound of the cost.

    Both ends are taken where the summed cost is least and greatest, of networks without the kernel
    sizes `avoided`, wherever a stage offers others.
    """
    problem, ends = layout.problem, []
    usable = [
        np.array([not set(avoided).intersection(option.kernel_sizes) for option in options])
        for options in layout.choices
    ]
    usable = [kept if kept.any() else ~kept for kept in usable]
    for pick, never in ((np.argmin, np.inf), (np.argmax, -np.inf)):
        points = [
            [
                size,
                *(
                    int(pick(np.where(kept, costs, never)))
                    for kept, costs in zip(usable, problem.costs[size], strict=True)
                ),
            ]
            for size in problem.sizes
        ]
        ends.append(problem.upper(np.array(points)))
    return float((ends[0].min() + ends[1].max()) / 2)


OptionRows = tuple[tuple[np.ndarray, ...], ...]


def matrix_of(points: np.ndarray, rows: TermRows, options: OptionRows) -> np.ndarray:
    """Return the term rows of points, int64 [n, 1 + n_stages], as float64 [n, p]."""
    matrix: np.ndarray = rows.size_rows[points[:, 0]].copy()
    for size in np.unique(points[:, 0]):
        here = points[:, 0] == size
        for stage, stage_options in enumerate(options[size]):
            matrix[here] += stage_options[points[here, 1 + stage]]
    return matrix


def option_rows(rows: TermRows, choices: tuple[tuple[StageChoice, ...], ...]) -> OptionRows:
    """Return the rows of each stage's options, float64 [n_options, p], as [size][stage]."""
    return tuple(
        tuple(
            np.array([rows.stage_row(resolution, stage, choice) for choice in options])
            for stage, options in enumerate(choices)
        )
        for resolution in rows.space.resolutions
    )


def summands(
    predictor: Additive, rows: TermRows, options: OptionRows
) -> tuple[np.ndarray, OptionRows]:
    """Return the offsets [n_sizes], and what each option adds, [size][stage][n_options]."""
    nothing = predictor.predict(np.zeros((1, len(rows.terms.names))))[0]
    added = tuple(
        tuple(predictor.predict(stage) - nothing for stage in stages) for stages in options
    )
    return predictor.predict(rows.size_rows), added
