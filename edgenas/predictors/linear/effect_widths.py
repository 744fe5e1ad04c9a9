"""Levels whose terms are as wide as effects that the rows show, and errors that admit it.

A term is as wide as its own effect in the fit of the levels before (adaptive; Zou 2006), or as the
product of its factors' effects (strong heredity; Chipman 1996). Such widths have seen all rows, so
leave-one-out errors at fixed widths are too small: `held_out` finds the widths again without the
rows that it predicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenas.predictors.linear import shrinkage
from edgenas.predictors.linear.shrinkage import Level

# Steps that variances move at first, and when nearly the same rows are fitted again.
FIRST_STEPS, AGAIN_STEPS, STEPS = 5, 3, 6
# More folds where they cost nothing; above MOST_ROWS, PARTS fits of so many rows each.
SMALL, MANY_FOLDS, FOLDS = 60, 10, 5
MOST_ROWS, PARTS = 120, 2


@dataclass(frozen=True)
class HeldOut:
    """Rows that were left out, int64 [m], some more than once, and their predictions [m]."""

    rows: np.ndarray
    mean: np.ndarray


@dataclass(frozen=True)
class Refound:
    """A term that the rows chose: `place` among the terms, and its `values` [n] in all rows as only
    the rows kept, int64, would choose it."""

    place: int
    values: Callable[[np.ndarray], np.ndarray]

    def matrix(self, matrix: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Return `matrix` [n, p] with the term as the rows `kept`, int64, choose it."""
        found = matrix.copy()
        found[:, self.place] = self.values(kept)
        return found


def inherit(
    matrix: np.ndarray,
    response: np.ndarray,
    levels: Sequence[Level],
    start: np.ndarray,
    noise: np.ndarray | None = None,
) -> tuple[Level, ...]:
    """Return `levels` with those of pairs made as wide as effects in the fit of all before them,
    and of themselves from the second time on.

    start, noise : as for `shrinkage.choose`.
    """
    found: list[Level] = []
    spreads = matrix.std(axis=0)
    for level in levels:
        if level.pairs is None:
            found.append(level)
            continue
        near = len(level.before) == len(found)
        begin = np.array(level.before) if near else start[: len(found)]
        steps, fitted, first = AGAIN_STEPS if near else FIRST_STEPS, found, level.before
        root = level.root
        for time in range(level.times):
            chosen = shrinkage.choose(matrix, response, fitted, begin, steps, noise=noise)
            root = _strengths(shrinkage.effects(matrix, fitted, chosen), level.pairs, spreads)
            if time == 0:
                first = tuple(chosen.variances.tolist())
            fitted = [*found, replace(level, root=root)]
            begin, steps = (
                np.append(chosen.variances[: len(found)], chosen.variances[-1]),
                AGAIN_STEPS,
            )
        found.append(replace(level, root=root, before=first))
    return tuple(found)


def held_out(
    matrix: np.ndarray,
    response: np.ndarray,
    levels: Sequence[Level],
    variances: np.ndarray,
    refound: Refound | None = None,
) -> HeldOut:
    """Return what rows [n, p] are predicted to be without them, widths and variances found again,
    and the term that rows chose, if there is one.

    Groups of rows are the same for all levels, so that errors can be compared.
    """
    rows, means, whole = [], [], matrix
    for kept, out in _splits(len(response)):
        matrix = whole if refound is None else refound.matrix(whole, kept)
        here = matrix[kept], response[kept]
        inherited = inherit(*here, levels, variances)
        chosen = shrinkage.choose(*here, inherited, variances, STEPS)
        coefficients, intercept = shrinkage.coefficients(*here, inherited, chosen)
        rows.append(out)
        means.append(matrix[out] @ coefficients + intercept)
    return HeldOut(np.concatenate(rows), np.concatenate(means))


def _splits(n: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield which of n rows are kept, and which are left out, int64."""
    rng = np.random.default_rng(n)
    if n > MOST_ROWS:
        for _ in range(PARTS):
            order = rng.permutation(n)
            yield order[:MOST_ROWS], order[MOST_ROWS:]
        return
    order = rng.permutation(n)
    for out in np.array_split(order, MANY_FOLDS if n <= SMALL else FOLDS):
        yield np.setdiff1d(order, out), out


def _strengths(sizes: np.ndarray, pairs: np.ndarray, spreads: np.ndarray) -> np.ndarray:
    """Return the root [p, q] of terms as wide as the product of the effects of their pairs [p, 2].

    sizes, spreads : float64 [p], effects and standard deviations of all terms.
    """
    products = np.flatnonzero(pairs[:, 0] >= 0)
    strength = sizes[pairs[products, 0]] * sizes[pairs[products, 1]]
    root = np.zeros((len(pairs), len(products)))
    widths = np.sqrt(strength / max(strength.max(), 1e-300))
    itself = pairs[products, 0] == products  # other products are standardised
    widths[itself] /= np.maximum(spreads[products[itself]], 1e-300)
    root[products, np.arange(len(products))] = widths
    return root
