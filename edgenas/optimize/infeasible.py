"""Why no network meets a set of limits: what each can reach alone, and which one binds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.optimize.front import Column, FrontLayout

MOST_STEPS = 200  # of a descent; each changes one stage or the size
STARTS = 8  # descents from points that a search tried
MOST_PAIRS = 50_000  # options of two variables that are tried together

# what a descent makes least, first things first: values [n, n_columns] -> float64 [n, n_keys]
Keys = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class LimitReach:
    """How far one limit can be kept. All in the unit of its response, as bounds.

    limit : what was asked. alone : the best that was reached without the other limits.
    jointly : the best that was reached with the others kept; None if they exclude each other.
    """

    column: Column
    limit: float
    alone: float
    jointly: float | None

    @property
    def feasible_alone(self) -> bool:
        """Whether a network keeps this limit, whatever the others."""
        return self._over(self.alone) <= 0

    @property
    def feasible_jointly(self) -> bool:
        """Whether a network was met that keeps this limit and all others."""
        return self.jointly is not None and self._over(self.jointly) <= 0

    def _over(self, value: float) -> float:
        return value - self.limit if self.column.side == "upper" else self.limit - value

    def sentence(self) -> str:
        """Return what this limit can reach, in words."""
        kind, upper = self.column.kind, self.column.side == "upper"
        asked = f"{kind.label} {'at most' if upper else 'at least'} {kind.shown(self.limit)}"
        reach = "no less than" if upper else "no more than"
        if not self.feasible_alone:
            over = kind.shown(self._over(self.alone))
            return f"{asked} cannot be kept by any: {reach} {kind.shown(self.alone)}, {over} off"
        if self.jointly is None:
            return f"{asked} can be kept alone ({kind.shown(self.alone)})"
        if self.feasible_jointly:
            return f"{asked} can be kept with the others ({kind.shown(self.jointly)})"
        over = kind.shown(self._over(self.jointly))
        return (
            f"{asked} can be kept alone ({kind.shown(self.alone)}), but with the others kept it "
            f"reaches {reach} {kind.shown(self.jointly)}, {over} off"
        )


def reach(layout: FrontLayout, seen: np.ndarray) -> tuple[LimitReach, ...]:
    """Return what each limit can reach, by descent from its own best and from points `seen`.

    seen : int64 [n, 1 + n_stages], what a search tried; the nearest of it are started from.
    """
    problem = layout.problem
    limits = list(problem.limits())
    least = [_least_sums(layout, column, sign) for column, sign, _ in limits]
    own = [
        _descend(layout, points[0], _one(column, sign))
        for points, (column, sign, _) in zip(least, limits, strict=True)
    ]
    starts = list(np.concatenate(least))
    if len(seen):
        nearest = np.argsort(problem.violation(problem.evaluate(seen)), kind="stable")
        starts += list(seen[nearest[:STARTS]])
    found = []
    for index, (column, sign, bound) in enumerate(limits):
        jointly = _jointly(layout, [*own, *starts], limits, index) if len(limits) > 1 else None
        alone = float(problem.evaluate(own[index][None])[0, column])
        found.append(LimitReach(layout.columns[column], sign * bound, alone, jointly))
    return tuple(found)


def _jointly(
    layout: FrontLayout,
    starts: Sequence[np.ndarray],
    limits: Sequence[tuple[int, float, float]],
    index: int,
) -> float | None:
    """Return the best value of one limit's column among points that keep all other limits."""
    column, sign, _ = limits[index]
    others = [limit for i, limit in enumerate(limits) if i != index]

    def keys(values: np.ndarray) -> np.ndarray:
        broken = np.zeros(len(values))
        for other, way, bound in others:
            broken += np.maximum(way * values[:, other] - bound, 0.0) / max(abs(bound), 1e-300)
        return np.column_stack((broken, sign * values[:, column]))

    best: tuple[float, ...] = (np.inf, np.inf)
    for start in starts:
        point = _descend(layout, start, keys)
        best = min(best, tuple(keys(layout.problem.evaluate(point[None]))[0]))
    return float(sign * best[1]) if best[0] == 0 else None


def _one(column: int, sign: float) -> Keys:
    return lambda values: sign * values[:, [column]]


def _least_sums(layout: FrontLayout, column: int, sign: float) -> np.ndarray:
    """Return the point of each size whose summed column is least (sign 1) or greatest (-1).

    int64 [n_sizes, 1 + n_stages], the best size first.
    """
    sums = layout.problem.sums
    if sums is None:  # nothing says where it is least: from the first options, and the last ones
        ends = (np.zeros(len(layout.problem.options)), np.array(layout.problem.options) - 1)
        points = np.array(
            [[size, *end[1:]] for size in range(layout.problem.options[0]) for end in ends],
            np.int64,
        )
        order = np.argsort(sign * layout.problem.evaluate(points)[:, column], kind="stable")
        return np.asarray(points[order])
    best = [(sign * part[:, :, column]).argmin(axis=1) for part in sums.parts]
    sizes = np.arange(len(sums.offsets))
    points = np.column_stack((sizes, *best))
    order = np.argsort(sign * sums.values(points)[:, column], kind="stable")
    return np.asarray(points[order])


def _descend(layout: FrontLayout, start: np.ndarray, keys: Keys) -> np.ndarray:
    """Change one variable for the better, or two where one does not help, until nothing does."""
    current = start
    best = tuple(keys(layout.problem.evaluate(current[None]))[0])
    for _ in range(MOST_STEPS):
        for neighbours in (_neighbours, _pairs):
            near = neighbours(layout, current)
            scores = keys(layout.problem.evaluate(near))
            index = int(np.lexsort(scores.T[::-1])[0])
            if tuple(scores[index]) < best:
                current, best = near[index], tuple(scores[index])
                break
        else:
            break
    return current


def _neighbours(layout: FrontLayout, point: np.ndarray) -> np.ndarray:
    """Return the points that differ in one variable at most, int64 [n, 1 + n_stages]."""
    blocks = []
    for variable, count in enumerate(layout.problem.options):
        block = np.repeat(point[None], count, axis=0)
        block[:, variable] = np.arange(count)
        blocks.append(block)
    return np.concatenate(blocks)


def _pairs(layout: FrontLayout, point: np.ndarray) -> np.ndarray:
    """Return the points that differ in two variables; without the pairs that have too many."""
    blocks = [point[None]]
    for (i, n), (j, m) in itertools.combinations(enumerate(layout.problem.options), 2):
        if n * m <= MOST_PAIRS:
            block = np.repeat(point[None], n * m, axis=0)
            block[:, i], block[:, j] = np.divmod(np.arange(n * m), m)
            blocks.append(block)
    return np.concatenate(blocks)
