"""A search laid out as arrays: the options of every stage with what the predictors say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.errors import PredictorError
from edgenas.optimizers.base import Point, StageProblem
from edgenas.predictors.base import FittedPredictor, Prediction
from edgenas.records import Architecture, Candidate, Interval, StageChoice
from edgenas.spaces.base import MobileSpace
from edgenas.term_rows import TermRows, distinct_choices


@dataclass(frozen=True)
class Predictors:
    """Latency in ms and accuracy as a fraction, over the architectures of one space."""

    space: MobileSpace
    latency: FittedPredictor
    accuracy: FittedPredictor
    confidence: float

    def __post_init__(self) -> None:
        for predictor, terms in ((self.latency, "physical"), (self.accuracy, "choices")):
            if predictor.terms != TermRows(self.space, terms).terms.names:
                raise PredictorError(
                    f"The predictor of {predictor.name} has other terms than this edgenas makes.",
                    "Fit it again: edgenas fit RUN",
                )

    def candidates(self, architectures: Sequence[Architecture]) -> tuple[Candidate, ...]:
        """Return the architectures with their prediction intervals."""
        if not architectures:
            return ()
        latency_rows = TermRows(self.space, "physical").matrix(architectures)
        accuracy_rows = TermRows(self.space, "choices").matrix(architectures)
        latency = self.latency.get_prediction(latency_rows, self.confidence)
        accuracy = self.accuracy.get_prediction(accuracy_rows, self.confidence)
        return tuple(
            Candidate(
                architecture,
                Interval(*(float(np.clip(x[i], 0.0, 1.0)) for x in _bounds(accuracy))),
                Interval(*(float(x[i]) for x in _bounds(latency))),
            )
            for i, architecture in enumerate(architectures)
        )


@dataclass(frozen=True)
class Layout:
    """A `StageProblem` and the architecture that each of its points stands for."""

    space: MobileSpace
    choices: tuple[tuple[StageChoice, ...], ...]
    problem: StageProblem

    def architecture(self, point: Point) -> Architecture:
        """Return the architecture of a point (index of the size, then one option a stage)."""
        size, *options = point
        stages = tuple(self.choices[stage][option] for stage, option in enumerate(options))
        return Architecture.of(self.space.name, self.space.resolutions[size], stages)


def lay_out(predictors: Predictors) -> Layout:
    """Return the whole space as options of stages; the limit is on the upper latency bound."""
    space, confidence = predictors.space, predictors.confidence
    choices = tuple(distinct_choices(space, stage) for stage in range(len(space.stages)))
    latency_rows = TermRows(space, "physical")
    options = _option_rows(latency_rows, choices)

    def margin(points: np.ndarray) -> np.ndarray:
        rows = latency_rows.size_rows[points[:, 0]].copy()
        for size in np.unique(points[:, 0]):
            here = points[:, 0] == size
            for stage, stage_options in enumerate(options[size]):
                rows[here] += stage_options[points[here, 1 + stage]]
        return predictors.latency.margin(rows, confidence)

    costs = _sums(predictors.latency, latency_rows, options)
    accuracy_rows = TermRows(space, "choices")
    values = _sums(predictors.accuracy, accuracy_rows, _option_rows(accuracy_rows, choices))
    problem = StageProblem(
        value_offsets=values[0],
        cost_offsets=costs[0],
        values=values[1],
        costs=costs[1],
        margin=margin,
        least_margin=predictors.latency.least_margin(confidence),
    )
    return Layout(space, choices, problem)


def half_way(problem: StageProblem) -> float:
    """Return the limit half-way between the least and the greatest upper bound of the cost.

    Both ends are taken where the summed cost is least and greatest.
    """
    ends = []
    for pick in (np.argmin, np.argmax):
        points = [
            [size, *(int(pick(costs)) for costs in problem.costs[size])] for size in problem.sizes
        ]
        ends.append(problem.upper(np.array(points)))
    return float((ends[0].min() + ends[1].max()) / 2)


OptionRows = tuple[tuple[np.ndarray, ...], ...]


def _option_rows(rows: TermRows, choices: tuple[tuple[StageChoice, ...], ...]) -> OptionRows:
    return tuple(
        tuple(
            np.array([rows.stage_row(resolution, stage, choice) for choice in options])
            for stage, options in enumerate(choices)
        )
        for resolution in rows.space.resolutions
    )


def _sums(
    predictor: FittedPredictor, rows: TermRows, options: OptionRows
) -> tuple[np.ndarray, OptionRows]:
    """Return the offsets [n_sizes], and what each option adds, [size][stage][n_options]."""
    nothing = predictor.predict(np.zeros((1, len(rows.terms.names))))[0]
    added = tuple(
        tuple(predictor.predict(stage) - nothing for stage in stages) for stages in options
    )
    return predictor.predict(rows.size_rows), added


def _bounds(prediction: Prediction) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return prediction.mean, prediction.lower, prediction.upper
