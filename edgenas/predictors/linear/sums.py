"""Sums that say all of many rows that a linear fit asks: they are added chunk by chunk.

Of rows x = (1, terms - shift), responses y and relative noise s, the coefficients of weighted least
squares and of its shrunken form follow from the sums of x x' / s², x y / s² and y² / s²; what a
fold lacks is the total less the fold's own sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.predictors.linear.posterior import Posterior, from_normal_equations, merged
from edgenas.predictors.linear.shrinkage import Level


@dataclass(frozen=True)
class Sums:
    """gram : float64 [p + 1, p + 1], of x x'. right : float64 [p + 1], of x y. square : of y².

    All are over the rows' noise variances; y is the response less that of `center`.
    shift : float64 [p], taken off the terms; center : taken off the response.
    """

    n: int
    gram: np.ndarray
    right: np.ndarray
    square: float
    shift: np.ndarray
    center: float

    def __add__(self, other: Sums) -> Sums:
        return self._with(other, 1)

    def __sub__(self, other: Sums) -> Sums:
        return self._with(other, -1)

    def _with(self, other: Sums, sign: int) -> Sums:
        return Sums(
            self.n + sign * other.n,
            self.gram + sign * other.gram,
            self.right + sign * other.right,
            self.square + sign * other.square,
            self.shift,
            self.center,
        )

    def residual(self, params: np.ndarray) -> float:
        """Return the sum of squared residuals, over the noise variances, under coefficients
        `params` [p + 1], intercept first."""
        shifted = params.copy()
        shifted[0] += self.shift @ params[1:] - self.center
        off = self.square - 2 * shifted @ self.right + shifted @ self.gram @ shifted
        return max(float(off), 0.0)

    def fit(self, levels: Sequence[Level], variances: np.ndarray | None) -> Posterior:
        """Return the coefficients under the levels' variances; of least squares where those are
        None."""
        p = len(self.shift)
        root = np.eye(p) if variances is None else merged(levels, variances)
        whole = np.zeros((p + 1, root.shape[1] + 1))
        whole[0, 0], whole[1:, 1:] = 1.0, root
        gram, right = whole.T @ self.gram @ whole, whole.T @ self.right
        found = from_normal_equations(gram, right, root, self.shift, shrunken=variances is not None)
        found.params[0] += self.center
        return found


def of(
    matrix: np.ndarray, response: np.ndarray, noise: np.ndarray, shift: np.ndarray, center: float
) -> Sums:
    """Return the sums of rows [n, p], responses [n] and relative standard deviations of the noise
    [n]."""
    rows = np.empty((len(matrix), matrix.shape[1] + 1))
    rows[:, 0] = 1.0
    np.subtract(matrix, shift, out=rows[:, 1:])
    rows /= noise[:, None]
    scaled = (response - center) / noise
    return Sums(len(rows), rows.T @ rows, rows.T @ scaled, float(scaled @ scaled), shift, center)
