"""Optimizers: the best trade-offs between responses of architectures, within limits.

A member is a file with one function, and `BUDGET`, the budget that it gets unless told otherwise:

    optimize(problem: Problem, *, seed: int, budget: int, archive: Archive | None = None,
             start: np.ndarray | None = None, progress: Task | None = None) -> Archive

budget : evaluations, each new point once, never exceeded.
archive : what an earlier search of the same problem saw. Its points cost nothing: with the same
    seed and start, 100 evaluations and then 200 more see what 300 in one go see.
start : int64 [n, n_variables], points that are tried first (warm start).
progress : advanced by each new evaluation.

The returned archive holds all of the earlier one and everything seen since.

Raises `InputError` for a budget that is not positive, and `NoneFeasibleError`, which names the
limit that binds and carries the archive, when nothing seen meets the limits.

Optimizers know neither spaces nor predictors: a caller lays both out as a `Problem`. `exact` and
`anneal` also have `best_under(problem: StageProblem, limit, *, seed, budget, count) -> Found`: one
value under a limit on the upper bound of one cost, with a gap to the optimum. It raises
`InfeasibleError`, with `least_cost` and `least_point`, when no point meets the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgenas.core.errors import InputError, PredictorError

# One point of the search: index of the size, then one option index a stage.
Point = tuple[int, ...]

# Sums over stages in another order differ by less than this share of the greatest summand.
ROUNDING = 1e-14


@dataclass(frozen=True)
class StageProblem:
    """Maximise a value under a limit on a cost, both sums over stages (and a constant a size).

    One list entry a size (resolution); in it one array a stage, one number an option of the stage.
    Options that no response can tell apart are best given once: with a margin, every copy
    multiplies the points that `exact` has to look at.

    value_offsets, cost_offsets : float64 [n_sizes].
    values, costs : values[size][stage] is float64 [n_options].
    margin : added to the summed cost of points, int64 [n, 1 + n_stages], to give the upper bound
        that the limit is on; float64 [n], never less than `least_margin`. None for no margin.
    ceiling : the cost that no point whose upper bound is within a limit exceeds, where that is
        less than the limit minus `least_margin`, because margins grow with the cost.

    Raises
    ------
    PredictorError : a number is not finite, or a stage has no option.
    """

    value_offsets: np.ndarray
    cost_offsets: np.ndarray
    values: tuple[tuple[np.ndarray, ...], ...]
    costs: tuple[tuple[np.ndarray, ...], ...]
    margin: Callable[[np.ndarray], np.ndarray] | None = None
    least_margin: float = 0.0
    ceiling: Callable[[float], float] | None = None

    def __post_init__(self) -> None:
        stages = [array for size in (*self.values, *self.costs) for array in size]
        arrays = [self.value_offsets, self.cost_offsets, *stages]
        if not all(len(array) for array in arrays):
            raise PredictorError("A stage of the search has no option to choose from.")
        if not all(np.isfinite(array).all() for array in arrays):
            raise PredictorError(
                "A prediction of the search is not a finite number.", "Fit the predictors again."
            )

    @property
    def sizes(self) -> range:
        return range(len(self.values))

    @property
    def stages(self) -> range:
        return range(len(self.values[0]))

    def value(self, points: np.ndarray) -> np.ndarray:
        """Return the summed values of points, int64 [n, 1 + n_stages], as float64 [n]."""
        return _sums(self.value_offsets, self.values, points)

    def cost(self, points: np.ndarray) -> np.ndarray:
        """Return the summed costs of points, int64 [n, 1 + n_stages], as float64 [n]."""
        return _sums(self.cost_offsets, self.costs, points)

    def upper(self, points: np.ndarray) -> np.ndarray:
        """Return what the limit is on, the summed costs and the margin, as float64 [n]."""
        costs = self.cost(points)
        return costs if self.margin is None or not len(points) else costs + self.margin(points)

    @property
    def floor_margin(self) -> float:
        """The least that any point's margin can be."""
        return 0.0 if self.margin is None else self.least_margin

    def highest_cost(self, limit: float) -> float:
        """Return a cost that no point whose upper bound is within `limit` exceeds."""
        if self.margin is None or self.ceiling is None:
            return limit - self.floor_margin
        return min(self.ceiling(limit), limit - self.floor_margin)

    @property
    def cost_rounding(self) -> float:
        """Costs closer than this are equal: they differ by the order of summation only."""
        return _rounding(self.cost_offsets, self.costs)

    @property
    def value_rounding(self) -> float:
        """Values closer than this are equal: they differ by the order of summation only."""
        return _rounding(self.value_offsets, self.values)


@dataclass(frozen=True)
class Found:
    """What was found: `points` meet the limit, best value first, distinct in (value, cost).

    frontier : points in rising cost and rising value, the margin left out: the whole frontier from
        `exact`, the best that was met from the others.
    optimal : no point that meets the limit has a greater value than the first of `points`.
    gap : the most value that could still be missed; 0.0 if `optimal`, None if not known.
    evaluations : points scored, or search nodes opened.
    """

    points: tuple[Point, ...]
    frontier: tuple[Point, ...]
    optimal: bool
    gap: float | None
    evaluations: int


def check_budget(budget: int) -> None:
    """Raise `InputError` unless there is something to spend."""
    if budget < 1:
        raise InputError(
            f"A search needs a budget of at least 1 evaluation, not {budget}.",
            "Give it a greater one.",
        )


def as_points(points: np.ndarray) -> tuple[Point, ...]:
    """Return int64 [n, 1 + n_stages] as tuples of plain integers."""
    return tuple(map(tuple, points.tolist()))


def _sums(
    offsets: np.ndarray, arrays: tuple[tuple[np.ndarray, ...], ...], points: np.ndarray
) -> np.ndarray:
    totals = np.empty(len(points))
    for size, stages in enumerate(arrays):
        rows = np.flatnonzero(points[:, 0] == size)
        subtotal = np.full(len(rows), offsets[size])
        for stage, array in enumerate(stages):
            subtotal += array[points[rows, 1 + stage]]
        totals[rows] = subtotal
    return totals


def _rounding(offsets: np.ndarray, arrays: tuple[tuple[np.ndarray, ...], ...]) -> float:
    largest = max(
        abs(float(offset)) + sum(float(np.abs(array).max()) for array in stages)
        for offset, stages in zip(offsets, arrays, strict=True)
    )
    return ROUNDING * largest
