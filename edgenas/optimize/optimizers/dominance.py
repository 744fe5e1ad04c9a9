"""Which points no other dominates, and how much they dominate together (hypervolume)."""

from __future__ import annotations

from bisect import bisect_right
from functools import reduce

import numpy as np


def nondominated(costs: np.ndarray) -> np.ndarray:
    """Return the indices, rising, of rows of costs [n, n_objectives] that no other row dominates.

    Less is better. Of equal rows the first stays. Rows must not hold NaN.
    """
    if costs.shape[1] > 3:
        return _by_elimination(costs)
    order = np.lexsort(costs.T[::-1])  # nothing is dominated by a row after it
    ranked = costs[order]
    if costs.shape[1] == 3:
        return np.sort(order[_by_staircase(ranked)])
    last = ranked[:, -1]
    least_before = np.concatenate(([np.inf], np.minimum.accumulate(last)[:-1]))
    better = last < least_before
    better[:1] = True
    return np.sort(order[better])


def hypervolume(costs: np.ndarray, reference: np.ndarray) -> float:
    """Return the volume between the rows of costs [n, n_objectives] and `reference` that at least
    one row dominates; rows that do not beat the reference everywhere add nothing.

    Slicing along the last objective (Zitzler and Thiele 1998; While et al. 2006).
    """
    costs = costs[(costs < reference).all(axis=1)]
    costs = costs[nondominated(costs)]
    if not len(costs):
        return 0.0
    if costs.shape[1] == 1:
        return float(reference[0] - costs.min())
    costs = costs[np.argsort(costs[:, -1], kind="stable")]
    depths = np.diff(costs[:, -1], append=reference[-1])
    if costs.shape[1] == 2:
        widths = reference[0] - np.minimum.accumulate(costs[:, 0])
        return float(widths @ depths)
    slices = (hypervolume(costs[: i + 1, :-1], reference[:-1]) for i in range(len(costs)))
    return float(sum(area * depth for area, depth in zip(slices, depths, strict=True)))


def ranks(costs: np.ndarray, violation: np.ndarray) -> np.ndarray:
    """Return the front that each row is in, int64 [n]: 0 for the best (Deb et al. 2002).

    Rows without violation rank by non-dominated sorting of costs [n, n_objectives]; all others
    come after them, by violation, float64 [n].
    """
    ranked = np.empty(len(costs), np.int64)
    left, rank = np.flatnonzero(violation == 0.0), 0
    while len(left):
        front = nondominated(costs[left])
        ranked[left[front]] = rank
        left, rank = np.delete(left, front), rank + 1
    broken = np.flatnonzero(violation > 0.0)
    ranked[broken] = rank + np.unique(violation[broken], return_inverse=True)[1]
    return ranked


def _by_staircase(ranked: np.ndarray) -> list[int]:
    """Three columns in lexicographic order: keep the steps of the last two, as a falling stair."""
    seconds: list[float] = [-np.inf]
    thirds: list[float] = [np.inf]
    kept: list[int] = []
    for index, (second, third) in enumerate(ranked[:, 1:].tolist()):
        place = bisect_right(seconds, second)
        if thirds[place - 1] <= third and kept:
            continue
        kept.append(index)
        end = place
        while end < len(thirds) and thirds[end] >= third:
            end += 1
        start = place - (seconds[place - 1] == second)
        seconds[start:end], thirds[start:end] = [second], [third]
    return kept


def _by_elimination(costs: np.ndarray) -> np.ndarray:
    """Any number of columns: the row of least sum stays, all that it dominates go."""
    if not len(costs):
        return np.empty(0, np.int64)
    lowest = costs.min(axis=0)
    spans = np.maximum(costs.max(axis=0) - lowest, np.finfo(float).tiny)
    left = np.lexsort((*costs.T[::-1], ((costs - lowest) / spans).sum(axis=1)))
    columns = np.ascontiguousarray(costs[left].T)
    kept: list[int] = []
    while len(left):
        kept.append(int(left[0]))
        better = reduce(np.logical_or, (column[1:] < column[0] for column in columns))
        stays = np.flatnonzero(better) + 1
        left, columns = left[stays], columns[:, stays]
    return np.sort(np.array(kept, dtype=np.int64))
