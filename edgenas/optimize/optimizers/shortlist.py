"""The best points seen so far that meet a limit, and local improvement of one of them."""

from __future__ import annotations

import numpy as np

from edgenas.optimize.optimizers.base import Point, StageProblem, as_points

# Points whose value and cost both agree to this share of the greatest count as one.
DISTINCT = 1e-9


class Shortlist:
    """The `count` best points that meet the limit, distinct in (value, cost), best value first."""

    def __init__(self, problem: StageProblem, limit: float, count: int) -> None:
        self._problem = problem
        self._limit = limit + problem.cost_rounding
        self._count = max(1, count)
        self._points = np.empty((0, 1 + len(problem.stages)), np.int64)

    @property
    def points(self) -> tuple[Point, ...]:
        return as_points(self._points)

    @property
    def best(self) -> float:
        """The greatest value; -inf while the list is empty."""
        return self.value(0)

    @property
    def worst(self) -> float:
        """The value that a point must exceed to enter; -inf while there is room."""
        return self.value(self._count - 1)

    def value(self, place: int) -> float:
        """Return the value of the point at `place`; -inf where there is none."""
        rows = self._points[place : place + 1]
        return float(self._problem.value(rows)[0]) if len(rows) else -np.inf

    def add(self, points: np.ndarray) -> None:
        """Take in those of `points`, int64 [n, 1 + n_stages], that belong on the list."""
        problem = self._problem
        values = problem.value(points)
        points = points[values > self.worst]
        points = np.concatenate((self._points, points[problem.upper(points) <= self._limit]))
        values, costs = problem.value(points), problem.cost(points)
        order = np.lexsort((costs, -values))
        grid = np.column_stack((_to_grid(values), _to_grid(costs)))[order]
        _, first = np.unique(grid, axis=0, return_index=True)
        self._points = points[order[np.sort(first)[: self._count]]]

    def improve(self, budget: int) -> int:
        """Climb from the best point, one option swapped at a time; return the points scored."""
        scored = 0
        while True:
            before = self.best
            swaps = _swaps(self._problem, self._points[0])
            if scored + len(swaps) > budget:
                return scored
            self.add(swaps)
            scored += len(swaps)
            if self.best <= before:
                return scored


def _to_grid(numbers: np.ndarray) -> np.ndarray:
    step = DISTINCT * max(float(np.abs(numbers).max(initial=0.0)), np.finfo(float).tiny)
    return np.round(numbers / step)


def _swaps(problem: StageProblem, point: np.ndarray) -> np.ndarray:
    """Return each point one stage's option away from `point`, int64 [n, 1 + n_stages]."""
    blocks = []
    for stage in problem.stages:
        block = np.repeat(point[None], len(problem.values[point[0]][stage]), axis=0)
        block[:, 1 + stage] = np.arange(len(block))
        blocks.append(block)
    return np.concatenate(blocks)
