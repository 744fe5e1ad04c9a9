"""Optimizers: the best architecture under a limit, from predictions alone.

A member is a file with `optimize(problem: StageProblem, limit: float, *, seed: int, budget: int,
count: int) -> Found`. Optimizers know neither spaces nor predictors: a step lays both out as the
arrays of a `StageProblem`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# One point of the search: index of the size, then one option index a stage.
Point = tuple[int, ...]


@dataclass(frozen=True)
class StageProblem:
    """Maximise a value under a limit on a cost, both sums over stages (and a constant a size).

    One list entry a size (resolution); in it one array a stage, one number an option of the stage.

    value_offsets, cost_offsets : float64 [n_sizes].
    values, costs : values[size][stage] is float64 [n_options].
    margin : added to the summed cost of points, int64 [n, 1 + n_stages], to give the upper bound
        that the limit is on; returns float64 [n], never less than `least_margin`; None: no margin.
    """

    value_offsets: np.ndarray
    cost_offsets: np.ndarray
    values: tuple[tuple[np.ndarray, ...], ...]
    costs: tuple[tuple[np.ndarray, ...], ...]
    margin: Callable[[np.ndarray], np.ndarray] | None = None
    least_margin: float = 0.0


@dataclass(frozen=True)
class Found:
    """What was found: `points` meet the limit, best value first, distinct in (value, cost).

    frontier : points in rising cost and rising value, for all limits.
    gap : the most value that could still be missed; 0.0 if `optimal`, None if not known.
    """

    points: tuple[Point, ...]
    frontier: tuple[Point, ...]
    optimal: bool
    gap: float | None
    evaluations: int
