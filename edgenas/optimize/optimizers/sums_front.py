"""The whole front of responses that are sums: dynamic programming over the variables.

Of two partial points that differ in the same variables, the one that is no better in any response
that matters can be dropped: whatever completes it, completes the other as well (Bellman; for
several criteria Klamroth and Wiecek 2000). Partial points that no completion brings within the
limits are dropped too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.optimize.optimizers.base import ROUNDING
from edgenas.optimize.optimizers.dominance import nondominated
from edgenas.optimize.optimizers.problem import Problem, Sums

MOST_PARTIAL = 100_000  # partial points kept of one variable
_PAIRS = 1 << 20  # pairs compared at once


@dataclass(frozen=True)
class SumsFront:
    """points : int64 [n, n_variables]. complete : nothing was left out for want of memory."""

    points: np.ndarray
    complete: bool


def sums_front(problem: Problem, *, within_limits: bool = True) -> SumsFront:
    """Return the points that no other matches in all objectives and limited responses.

    Of several objectives, responses whose sums decide their limit do not count: what keeps it keeps
    it. Of one they do, so that there are further points to choose from.

    within_limits : only those whose sums meet the limits; otherwise the limits count as goals,
        and nothing else does.
    """
    sums = problem.sums
    assert sums is not None
    columns, signs, bounds = _criteria(problem, within_limits)
    counting = _counting(problem, columns) if within_limits else range(len(columns))
    front = _Front(sums, columns, signs, bounds, list(counting))
    whole = [front.of_size(size) for size in range(problem.options[0])]
    points = np.concatenate([points for _, points in whole])
    costs = np.concatenate([costs for costs, _ in whole])
    return SumsFront(points[nondominated(costs[:, list(counting)])], front.complete)


def least(sums: Sums, column: int, sign: float) -> float:
    """Return the least sign * response that any point has."""
    totals = sign * sums.offsets[:, column]
    for part in sums.parts:
        totals = totals + (sign * part[:, :, column]).min(axis=1)
    return float(totals.min())


def _criteria(problem: Problem, within_limits: bool) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Return what is made small: columns, their signs, and what each must not exceed."""
    bounds: dict[tuple[int, float], float] = {}
    if within_limits:
        for i in problem.objectives:
            bounds[i, -1.0 if problem.responses[i].goal == "max" else 1.0] = np.inf
    for i, sign, bound in problem.limits():
        bounds[i, sign] = bound if within_limits else np.inf
    columns, signs = zip(*bounds, strict=True)
    return list(columns), np.array(signs), np.array(list(bounds.values()))


def _counting(problem: Problem, columns: list[int]) -> list[int]:
    """Return the places of the criteria that tell whole points apart."""
    goals = problem.objectives
    assert problem.sums is not None
    if len(goals) < 2:
        return list(range(len(columns)))
    settled = problem.sums.exact.difference(goals)
    return [place for place, column in enumerate(columns) if column not in settled]


class _Front:
    """counting : places of the criteria that whole points are told apart by."""

    def __init__(
        self,
        sums: Sums,
        columns: list[int],
        signs: np.ndarray,
        bounds: np.ndarray,
        counting: list[int],
    ) -> None:
        self._counting = counting
        self._offsets = sums.offsets[:, columns] * signs
        self._parts = [part[:, :, columns] * signs for part in sums.parts]
        self._bounds = bounds
        self.complete = True

    def of_size(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the costs [n, n_criteria] and points [n, n_variables] of one size's front."""
        parts = [part[size] for part in self._parts]
        largest = np.abs(self._offsets[size]) + sum(np.abs(part).max(axis=0) for part in parts)
        bounds = self._bounds + ROUNDING * largest
        rest = self._offsets[size] + sum(part.min(axis=0) for part in parts)
        costs, points = self._offsets[size][None], np.full((1, 1), size)
        every = list(range(costs.shape[1]))
        for place, part in enumerate(parts, 1):
            counting = self._counting if place == len(parts) else every
            rest = rest - part.min(axis=0)
            spare = bounds - (rest - self._offsets[size])
            if place == len(parts):
                spare = self._bounds  # sums that are whole keep them exactly
            fits = np.flatnonzero((costs.min(axis=0, initial=np.inf) + part <= spare).all(axis=1))
            useful = fits[nondominated(part[fits])]
            costs, points = self._merge((costs, points), part, useful, spare, counting)
        return costs, points

    def _merge(
        self,
        partial: tuple[np.ndarray, np.ndarray],
        part: np.ndarray,
        options: np.ndarray,
        spare: np.ndarray,
        counting: list[int],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Append each of some options to each partial point; keep what no other dominates.

        partial : costs and points so far. part : what options add. options : which of them.
        spare : what the costs may be, so that the variables to come can still keep the limits.
        counting : columns of the costs by which one dominates another.
        """
        (costs, points), part = partial, part[options]
        kept_costs, kept_points = np.empty((0, costs.shape[1])), np.empty((0, 2), np.int64)
        rows = max(1, _PAIRS // max(1, len(part)))
        for start in range(0, len(costs), rows):
            totals = (costs[start : start + rows, None] + part).reshape(-1, costs.shape[1])
            pairs = np.column_stack(np.divmod(np.arange(len(totals)), len(part)))
            pairs[:, 0] += start
            within = (totals <= spare).all(axis=1)
            kept_costs = np.concatenate((kept_costs, totals[within]))
            kept_points = np.concatenate((kept_points, pairs[within]))
            kept = self._thin(kept_costs, nondominated(kept_costs[:, counting]))
            kept_costs, kept_points = kept_costs[kept], kept_points[kept]
        chosen = np.column_stack((points[kept_points[:, 0]], options[kept_points[:, 1]]))
        return kept_costs, chosen

    def _thin(self, costs: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Return `kept`, or one of each cell of the finest grid that leaves few enough."""
        cells = 1 << 20
        while len(kept) > MOST_PARTIAL:
            self.complete = False
            cells //= 2
            lowest, spans = costs[kept].min(axis=0), np.ptp(costs[kept], axis=0)
            spans[spans == 0.0] = 1.0
            grid = np.floor((costs[kept] - lowest) / spans * cells)
            kept = kept[np.sort(np.unique(grid, axis=0, return_index=True)[1])]
        return kept
