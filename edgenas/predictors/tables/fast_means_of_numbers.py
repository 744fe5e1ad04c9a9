"""What numeric columns add to many means at once: sums, their logarithms, and one quadratic form.

Logarithms are of sums over few columns each, and over places of such sums, so columns are summed
in blocks that fit the cache, and sums of sums are not summed again from columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MOST_COLUMNS = 32  # of a block


@dataclass(frozen=True)
class Block:
    """Columns, c of them, and their weights: float64 [s + 1, c], in s sums and the mean itself."""

    columns: tuple[str, ...]
    weights: np.ndarray


@dataclass(frozen=True)
class Numbers:
    """Values that a quadratic form is taken of: logarithms, then columns as they are.

    blocks : of columns; their sums follow one another. shared : float64 [t, s], the sums behind
    those, as sums of them. floor, added : float64 [s + t], what is added to a sum before its
    logarithm, and the least that it then counts as. plain : columns that are values.
    """

    blocks: tuple[Block, ...]
    shared: np.ndarray
    floor: np.ndarray
    added: np.ndarray
    plain: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*(x for b in self.blocks for x in b.columns), *self.plain)))

    def values(
        self, numbers: Mapping[str, np.ndarray], rows: slice, mean: np.ndarray
    ) -> np.ndarray:
        """Return the values, and a row of ones behind them, [v + 1, n]; add to the `mean` [n]."""
        n, logs = len(mean), len(self.floor)
        values = np.empty((logs + len(self.plain) + 1, n))
        read = np.empty((max((len(b.columns) for b in self.blocks), default=0), n))
        start = 0
        for block in self.blocks:
            for index, name in enumerate(block.columns):
                read[index] = numbers[name][rows]
            stop = start + len(block.weights)
            np.matmul(block.weights, read[: len(block.columns)], out=values[start:stop])
            start = stop - 1  # the last row is of the mean, and makes room for the next sum
            mean += values[start]
        if len(self.shared):
            np.matmul(self.shared, values[:start], out=values[start:logs])
        sums = values[:logs]
        sums += self.added[:, None]
        if (sums.min(axis=1) < self.floor).any():  # seldom, and finding out is faster
            np.maximum(sums, self.floor[:, None], out=sums)
        np.log(sums, out=sums)
        for index, name in enumerate(self.plain, logs):
            values[index] = numbers[name][rows]
        values[-1] = 1.0
        return values


def plan(
    columns: Sequence[str], linear: np.ndarray, sums: np.ndarray
) -> tuple[tuple[Block, ...], np.ndarray, list[int]]:
    """Return the blocks, the shared sums, and which of `sums` these are in turn.

    linear : float64 [c], weights of the columns in the mean. sums : float64 [l, c], in each sum.
    """
    own, shared = _shared(sums)
    label = np.arange(len(columns))
    for index in own:
        together = label[sums[index] != 0]
        label[np.isin(label, together)] = together.min()
    summed = (sums != 0).any(axis=0)
    blocks, order = [], []
    for group in np.unique(label[summed]):
        here = np.flatnonzero(label == group)
        rows = [index for index in own if sums[index, here].any()]
        blocks.append(_block(columns, linear, sums[rows], here))
        order += rows
    rest = np.flatnonzero(~summed & (linear != 0))
    for start in range(0, len(rest), MOST_COLUMNS):
        blocks.append(_block(columns, linear, sums[:0], rest[start : start + MOST_COLUMNS]))
    together = np.zeros((len(shared), len(order)))
    for row, parts in enumerate(shared.values()):
        together[row, [order.index(part) for part in parts]] = 1.0
    return tuple(blocks), together, [*order, *shared]


def _block(columns: Sequence[str], linear: np.ndarray, sums: np.ndarray, here: np.ndarray) -> Block:
    names = tuple(columns[index] for index in here.tolist())
    return Block(names, np.vstack([sums[:, here], linear[here]]))


def _shared(sums: np.ndarray) -> tuple[list[int], dict[int, list[int]]]:
    """Return the sums that stand alone, and of which of these each other is the sum."""
    own: list[int] = []
    shared: dict[int, list[int]] = {}
    for index in np.argsort(np.count_nonzero(sums, axis=1), kind="stable").tolist():
        rest, parts = sums[index].copy(), []
        for part in own:
            there = sums[part] != 0
            if (rest[there] == sums[part, there]).all():
                rest[there] = 0.0
                parts.append(part)
        if rest.any():
            own.append(index)
        else:
            shared[index] = parts
    return own, shared
