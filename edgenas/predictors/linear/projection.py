"""Errors of rows left out, under a covariance of the rows with the intercept projected out.

Dubrule (1983): the error of a row as predicted from all others is its element of inverse @ response
over that of the inverse's diagonal. Where terms are fewer than rows, all of it is worked out in the
terms' directions: what is orthogonal to them has the noise alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.predictors import definite

COVARIANCE = "covariance of the rows"
# With fewer terms than this share of the rows, their directions take less time than the rows: where
# many covariances are looked at under one noise, or one alone.
NARROW, NARROW_FOR_ONE = 0.85, 0.5


@dataclass(frozen=True)
class Projection:
    """The inverse covariance of the rows with the intercept projected out, [n, n].

    weighted : float64 [n], inverse @ response. diagonal : float64 [n], of the inverse. noise :
    float64 [n], the noise variance of each row, 1 where all are alike. apply : returns inverse @
    columns [n, c].
    """

    weighted: np.ndarray
    diagonal: np.ndarray
    noise: np.ndarray
    apply: Callable[[np.ndarray], np.ndarray]

    def left_out(self) -> np.ndarray:
        """Return response minus the prediction from all other rows, float64 [n]."""
        return np.asarray(self.weighted / np.maximum(self.diagonal, 1e-12))

    def error(self) -> float:
        """Return the leave-one-out mean squared error, each over the row's noise variance."""
        return float(np.mean(self.left_out() ** 2 / self.noise))


def project(
    covariance: np.ndarray, response: np.ndarray, noise: np.ndarray | None = None
) -> Projection:
    """Return the projection for rows of `covariance` [n, n], which includes their noise (or 1)."""
    inverse, _ = definite.inverse(covariance, COVARIANCE)
    ones = inverse.sum(axis=1)
    ones /= np.sqrt(ones.sum())

    def apply(columns: np.ndarray) -> np.ndarray:
        return np.asarray(inverse @ columns - np.outer(ones, ones @ columns))

    weighted = inverse @ response - ones * (ones @ response)
    alike = np.ones(len(response)) if noise is None else noise
    return Projection(weighted, np.diag(inverse) - ones**2, alike, apply)


@dataclass(frozen=True)
class Means:
    """The means of rows of terms, `matrix` [n, p], before anything is measured.

    covariance : of the means, float64 [n, n]; where `narrow`, of the coefficients, [p, p].
    """

    matrix: np.ndarray
    covariance: np.ndarray
    narrow: bool

    @classmethod
    def of(cls, matrix: np.ndarray, roots: Sequence[np.ndarray], variances: np.ndarray) -> Means:
        """Coefficients have the covariance sum of variance * root root', roots [p, q]."""
        n, p = matrix.shape
        used = [v**0.5 * root for root, v in zip(roots, variances, strict=True) if v > 0]
        root, narrow = np.hstack([np.zeros((p, 0)), *used]), p < NARROW_FOR_ONE * n
        if not narrow:
            root = matrix @ root
        return cls(matrix, root @ root.T, narrow)

    def project(self, response: np.ndarray, noise: np.ndarray) -> Projection:
        """Return the projection, given the rows' relative noise variances, float64 [n]."""
        if not self.narrow:
            covariance = self.covariance.copy()
            covariance.flat[:: len(noise) + 1] += noise
            return project(covariance, response, noise)
        directions = Directions.of(self.matrix, response, noise)
        return directions.projection(directions.upper @ self.covariance @ directions.upper.T)


@dataclass(frozen=True)
class Directions:
    """Rows as contrasts, their noise made 1: what is left without the intercept.

    basis : float64 [n, p], orthonormal, of the directions that p terms move rows in; the terms are
    basis @ upper. contrasts : float64 [n], of the responses; along : float64 [p], in the
    directions; rest : the sum of squares of what is orthogonal to them. intercept : float64 [n], of
    length 1. weights : float64 [n], 1 over the noise's standard deviations.
    """

    basis: np.ndarray
    upper: np.ndarray
    contrasts: np.ndarray
    along: np.ndarray
    rest: float
    intercept: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray, response: np.ndarray, noise: np.ndarray) -> Directions:
        """matrix : [n, p], p at most n. noise : [n], relative noise variances."""
        weights = 1 / np.sqrt(noise)
        intercept = weights / np.linalg.norm(weights)
        rows, contrasts = matrix * weights[:, None], response * weights
        rows -= np.outer(intercept, intercept @ rows)
        contrasts -= intercept * (intercept @ contrasts)
        basis, upper = np.linalg.qr(rows)
        along = basis.T @ contrasts
        off = contrasts - basis @ along
        with np.errstate(over="ignore"):  # a sum that is not finite is refused where it is used
            rest = float(off @ off)
        return cls(basis, upper, contrasts, along, rest, intercept, weights)

    @property
    def constant(self) -> float:
        """Half of the restricted deviance that is of the noise and the intercept alone."""
        return float(0.5 * np.log(self.weights @ self.weights) - np.log(self.weights).sum())

    def projection(self, covariance: np.ndarray) -> Projection:
        """Return the projection, given the `covariance` of the means in the directions, [p, p]."""
        inverse, _ = definite.inverse(covariance + np.eye(len(covariance)), COVARIANCE)
        taken = self.basis - self.basis @ inverse

        def apply(columns: np.ndarray) -> np.ndarray:
            scaled = self.weights[:, None] * columns
            scaled -= np.outer(self.intercept, self.intercept @ scaled)
            return np.asarray(self.weights[:, None] * (scaled - taken @ (self.basis.T @ scaled)))

        diagonal = 1 - self.intercept**2 - np.einsum("ij,ij->i", taken, self.basis)
        weighted = self.weights * (self.contrasts - taken @ self.along)
        return Projection(weighted, self.weights**2 * diagonal, self.weights**-2.0, apply)
