"""Levels of shrinkage: a prior over coefficients as a sum of levels, each with its own variance.

Response = intercept + X b + noise; b = sum of root_l g_l, with g_l ~ N(0, variance_l I) and noise
N(0, 1), all times one residual variance. The variances maximise the restricted likelihood
(Patterson & Thompson 1971); leave-one-out residuals come from one inverse (Dubrule 1983).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

# The prior of a level's log variance, relative to noise: keeps few rows from an extreme answer.
LOG_VARIANCE_SPREAD = 3.0
LOG_VARIANCE_BOUNDS = (-12.0, 14.0)
FLAT = 1e6
# Variances of a few levels need no more rows than these; their cost grows with the cube of rows.
MOST_ROWS = 500


@dataclass(frozen=True)
class Level:
    """Coefficients that vary alike.

    root : float64 [p, q], the coefficients are root @ (q numbers alike).
    flat : nothing is known of their size; the variance is FLAT and not chosen.
    pairs : int64 [p, 2], which two terms each term is the product of (-1: none). The level is then
        as wide as the product of their effects (strong heredity; Chipman 1996), see `inherit`.
    given : the variance over the residual one, where it is known and not chosen.
    """

    name: str
    root: np.ndarray
    pairs: np.ndarray | None = None
    flat: bool = False
    given: float = 0.0


@dataclass(frozen=True)
class Projection:
    """Inverse covariance of the rows with the intercept projected out, float64 [n, n]."""

    inverse: np.ndarray
    weighted: np.ndarray  # inverse @ response, [n]

    def left_out(self) -> np.ndarray:
        """Return response minus the prediction from all other rows, float64 [n]."""
        return np.asarray(self.weighted / np.maximum(np.diag(self.inverse), 1e-12))

    def error(self) -> float:
        """Return the leave-one-out mean squared error."""
        return float(np.mean(self.left_out() ** 2))


@dataclass(frozen=True)
class Shrinkage:
    """Chosen variances, one a level, relative to the residual variance; 0 where a level is dead."""

    variances: np.ndarray
    projection: Projection


def sample(n: int) -> np.ndarray:
    """Return the rows that variances are chosen from, int64, rising: all, or 500 random ones."""
    if n <= MOST_ROWS:
        return np.arange(n)
    return np.sort(np.random.default_rng(n).permutation(n)[:MOST_ROWS])


def choose(
    matrix: np.ndarray,
    response: np.ndarray,
    levels: Sequence[Level],
    start: np.ndarray | None = None,
    iterations: int = 25,
) -> Shrinkage:
    """Return the variances of the levels for rows [n, p] and responses [n].

    start : variances to begin with, of an earlier fit of nearly the same rows.
    """
    from scipy.optimize import minimize

    if not levels:
        return Shrinkage(np.zeros(0), project(np.eye(len(response)), response))
    centred = matrix - matrix.mean(axis=0)
    spreads = np.array([np.mean(np.sum((centred @ level.root) ** 2, axis=1)) for level in levels])
    sizes = np.array([np.mean(np.sum((matrix @ level.root) ** 2, axis=1)) for level in levels])
    # rows that are alike differ by rounding only: that is no spread
    live = spreads > np.maximum(1e-12 * spreads.max(initial=0.0), 1e-20 * sizes + 1e-300)
    given = np.array([FLAT if level.flat else level.given for level in levels])
    given *= np.where([level.flat for level in levels], 1.0, spreads)  # over the spread
    fixed = (given > 0) & live
    free = live & ~fixed
    grams = [
        (part := matrix @ level.root) @ part.T / spread
        for level, spread, alive in zip(levels, spreads, live, strict=True)
        if alive
    ]
    noise = np.eye(len(response))
    for gram, known, size in zip(grams, fixed[live], given[live], strict=True):
        noise += size * gram * known
    grams = [gram for gram, known in zip(grams, fixed[live], strict=True) if not known]
    logs = np.zeros(len(grams))
    if grams:
        if start is not None:
            logs = np.log(np.maximum(start[free] * spreads[free], 1e-5))
        found = minimize(
            _criterion,
            np.clip(logs, *LOG_VARIANCE_BOUNDS),
            args=(np.reshape(grams, (len(grams), -1)), noise, response),
            jac=True,
            method="L-BFGS-B",
            bounds=[LOG_VARIANCE_BOUNDS] * len(grams),
            options={"maxiter": iterations, "ftol": 1e-5},
        )
        logs = found.x
    covariance = noise.copy()
    for log, gram in zip(logs, grams, strict=True):
        covariance += np.exp(log) * gram
    variances = np.zeros(len(levels))
    variances[fixed] = given[fixed] / spreads[fixed]
    variances[free] = np.exp(logs) / spreads[free]
    return Shrinkage(variances, project(covariance, response))


def inherit(
    matrix: np.ndarray, response: np.ndarray, levels: Sequence[Level], start: np.ndarray
) -> tuple[Level, ...]:
    """Return `levels` with those of products made as wide as the effects of their factors.

    start : variances of the levels, of an earlier fit of nearly the same rows.
    """
    if all(level.pairs is None for level in levels):
        return tuple(levels)
    mains = [index for index, level in enumerate(levels) if level.pairs is None]
    parents = [levels[index] for index in mains]
    chosen = choose(matrix, response, parents, start[mains], iterations=5)
    sizes = effects(matrix, parents, chosen)
    return tuple(
        level if level.pairs is None else replace(level, root=_strengths(sizes, level.pairs))
        for level in levels
    )


def effects(matrix: np.ndarray, levels: Sequence[Level], chosen: Shrinkage) -> np.ndarray:
    """Return |coefficient| times standard deviation of every term, float64 [p]."""
    pulled = matrix.T @ chosen.projection.weighted
    coefficients = np.zeros(matrix.shape[1])
    for level, variance in zip(levels, chosen.variances, strict=True):
        coefficients += variance * (level.root @ (level.root.T @ pulled))
    return np.asarray(np.abs(coefficients) * matrix.std(axis=0))


def _strengths(sizes: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    products = np.flatnonzero(pairs[:, 0] >= 0)
    strength = sizes[pairs[products, 0]] * sizes[pairs[products, 1]]
    root = np.zeros((len(pairs), len(products)))
    root[products, np.arange(len(products))] = np.sqrt(strength / max(strength.max(), 1e-300))
    return root


def project(covariance: np.ndarray, response: np.ndarray) -> Projection:
    """Return the projection for rows of `covariance` [n, n], noise included."""
    inverse = np.linalg.inv(covariance)
    ones = inverse.sum(axis=1)
    inverse = inverse - np.outer(ones, ones) / ones.sum()
    return Projection(inverse, inverse @ response)


def _criterion(
    logs: np.ndarray, grams: np.ndarray, noise: np.ndarray, response: np.ndarray
) -> tuple[float, np.ndarray]:
    """Restricted deviance / 2 with the residual variance profiled out, and its gradient.

    grams : float64 [n_levels, n * n].
    """
    from scipy.linalg import lapack

    n = len(response)
    covariance = noise + (np.exp(logs) @ grams).reshape(n, n)
    factor, _ = lapack.dpotrf(covariance, lower=1, overwrite_a=1)
    inverse, _ = lapack.dpotri(factor, lower=1)
    inverse = inverse + inverse.T
    inverse.flat[:: n + 1] /= 2
    ones = inverse.sum(axis=1)
    inverse -= np.outer(ones, ones) / ones.sum()
    weighted = inverse @ response
    quadratic = max(float(response @ weighted), 1e-300)
    value = np.log(np.diag(factor)).sum() + 0.5 * np.log(ones.sum())
    value += 0.5 * (n - 1) * np.log(quadratic / (n - 1))
    slope = 0.5 * inverse - 0.5 * (n - 1) / quadratic * np.outer(weighted, weighted)
    gradient = np.exp(logs) * (grams @ slope.ravel())
    penalty = logs / LOG_VARIANCE_SPREAD
    return value + 0.5 * float(penalty @ penalty), gradient + penalty / LOG_VARIANCE_SPREAD
