"""The separable relaxation of a `StageProblem`: its Pareto frontier, its bounds and its points.

The relaxation puts the limit on cost + least_margin. Every point that meets the true limit meets
the relaxed one, so its best value bounds the true one from above, and a search through all its
points above a value misses nothing that is better than that value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgenas.optimize.optimizers.base import ROUNDING, StageProblem

_CHUNK = 1 << 20  # pairs expanded at once
_BISECTIONS = 40


class OutOfNodesError(Exception):
    """A search would open more nodes than its budget allows."""


@dataclass
class Nodes:
    """How many nodes a search may open, and how many it has opened."""

    budget: int
    opened: int = 0

    @property
    def left(self) -> int:
        return self.budget - self.opened

    def open(self, count: int) -> None:
        """Count `count` more nodes, or raise `OutOfNodesError` if they are too many."""
        if count > self.left:
            raise OutOfNodesError
        self.opened += count


@dataclass(frozen=True)
class Frontier:
    """The best trade-offs of some stages, by rising cost and rising value.

    values, costs : float64 [n]. choices : int64 [n, n_columns], what was chosen for each point.
    """

    values: np.ndarray
    costs: np.ndarray
    choices: np.ndarray

    def best_value(self, ceilings: np.ndarray) -> np.ndarray:
        """Return the greatest value within each cost, -inf where nothing is, as float64 [n]."""
        index = np.searchsorted(self.costs, ceilings, side="right") - 1
        return np.where(index >= 0, self.values[index], -np.inf)

    def plus(self, other: Frontier) -> Frontier:
        """Return the frontier of the sums of one point of each (Minkowski sum, then pruned)."""
        values = np.add.outer(self.values, other.values).ravel()
        costs = np.add.outer(self.costs, other.costs).ravel()
        kept = pareto(values, costs)
        mine, others = np.divmod(kept, len(other.values))
        choices = np.hstack((self.choices[mine], other.choices[others]))
        return Frontier(values[kept], costs[kept], choices)


def pareto(values: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Return the indices, by rising cost, of the points that no other point dominates.

    Of points that are equal up to rounding one is kept. values, costs : float64 [n].
    """
    order = np.argsort(costs)
    ranked = values[order]
    best_before = np.concatenate(([-np.inf], np.maximum.accumulate(ranked)[:-1]))
    rising = order[ranked > best_before + ROUNDING * np.abs(values).max()]
    # Of two with one cost the later has the greater value, in whatever order the sort left them.
    return rising[np.append(np.diff(costs[rising]) > ROUNDING * np.abs(costs).max(), True)]


class Relaxation:
    """The relaxed problem, solved for all limits at once by merging the stages' Pareto sets."""

    def __init__(self, problem: StageProblem) -> None:
        self.problem = problem
        # _suffixes[size][stage]: the frontier of that stage and all after it; the last is empty.
        self._suffixes = [self._merge(size) for size in problem.sizes]

    def _merge(self, size: int) -> list[Frontier]:
        suffixes = [Frontier(np.zeros(1), np.zeros(1), np.empty((1, 0), np.int64))]
        for stage in reversed(self.problem.stages):
            values, costs = self.problem.values[size][stage], self.problem.costs[size][stage]
            kept = pareto(values, costs)
            suffixes.append(Frontier(values[kept], costs[kept], kept[:, None]).plus(suffixes[-1]))
        return suffixes[::-1]

    @cached_property
    def frontier(self) -> Frontier:
        """The frontier over all sizes; its choices are points."""
        whole = [suffixes[0] for suffixes in self._suffixes]
        points = np.concatenate(
            [np.insert(front.choices, 0, size, axis=1) for size, front in enumerate(whole)]
        )
        values = np.concatenate(
            [f.values + o for f, o in zip(whole, self.problem.value_offsets, strict=True)]
        )
        costs = np.concatenate(
            [f.costs + o for f, o in zip(whole, self.problem.cost_offsets, strict=True)]
        )
        kept = pareto(values, costs)
        return Frontier(values[kept], costs[kept], points[kept])

    def bound(self, ceiling: float) -> float:
        """Return a value that no point of cost up to `ceiling` exceeds; -inf if there is none."""
        ceilings = np.array([ceiling + self.problem.cost_rounding])
        return float(self.frontier.best_value(ceilings)[0])

    def points(self, ceiling: float, floor: float, nodes: Nodes) -> np.ndarray:
        """Return every point of cost <= `ceiling`, value >= `floor`, int64 [n, 1 + n_stages].

        Raises
        ------
        OutOfNodesError : there are too many to open.
        """
        ceiling += self.problem.cost_rounding
        floor -= self.problem.value_rounding
        return np.concatenate(
            [self._points_of_size(size, ceiling, floor, nodes) for size in self.problem.sizes]
        )

    def _points_of_size(self, size: int, ceiling: float, floor: float, nodes: Nodes) -> np.ndarray:
        """Extend partial points stage by stage; keep those that the later stages can complete."""
        problem = self.problem
        ceiling = ceiling - problem.cost_offsets[size]
        floor = floor - problem.value_offsets[size]
        values, costs = np.zeros(1), np.zeros(1)
        chosen = np.empty((1, 0), np.int64)
        options = self._useful_options(size, ceiling, floor)
        for stage in problem.stages:
            useful, rest = options[stage], self._suffixes[size][stage + 1]
            option_values = problem.values[size][stage][useful]
            option_costs = problem.costs[size][stage][useful]
            kept = [(np.empty(0, np.int64), np.empty(0, np.int64))]
            rows = max(1, _CHUNK // max(1, len(useful)))
            for start in range(0, len(values), rows):
                part = slice(start, start + rows)
                totals = np.add.outer(values[part], option_values)
                nodes.open(totals.size)
                left = ceiling - np.add.outer(costs[part], option_costs)
                partial, option = np.nonzero(totals + rest.best_value(left) >= floor)
                kept.append((partial + start, option))
            partials, picked = (np.concatenate(column) for column in zip(*kept, strict=True))
            values = values[partials] + option_values[picked]
            costs = costs[partials] + option_costs[picked]
            chosen = np.column_stack((chosen[partials], useful[picked]))
        return np.insert(chosen, 0, size, axis=1)

    def _useful_options(self, size: int, ceiling: float, floor: float) -> list[np.ndarray]:
        """Return, a stage, the options that a point of cost <= ceiling, value >= floor can have.

        By Lagrangian duality sum(v) <= sum(v - price * c) + price * ceiling for any price >= 0; an
        option that takes the right side below `floor`, all else at its best, is in no such point.
        """
        values, costs = self.problem.values[size], self.problem.costs[size]
        least_costs = [cost.min() for cost in costs]
        spare = ceiling - sum(least_costs)
        useful = [cost - least <= spare for cost, least in zip(costs, least_costs, strict=True)]
        if np.isfinite(floor):
            price = self._price(size, ceiling)
            nets = [v - price * c for v, c in zip(values, costs, strict=True)]
            slack = sum(net.max() for net in nets) + price * ceiling - floor
            useful = [u & (net.max() - net <= slack) for u, net in zip(useful, nets, strict=True)]
        return [np.flatnonzero(mask) for mask in useful]

    def _price(self, size: int, ceiling: float) -> float:
        """Return what one more unit of cost buys on the frontier's hull: the tightest price."""
        front = self._suffixes[size][0]
        if not front.costs[0] < ceiling < front.costs[-1]:
            return 0.0
        low, high = 0.0, (front.values[-1] - front.values[0]) / (ceiling - front.costs[0])
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            best = int(np.argmax(front.values - middle * front.costs))
            low, high = (middle, high) if front.costs[best] > ceiling else (low, middle)
        return float(high)
