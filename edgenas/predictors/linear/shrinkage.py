"""Levels of shrinkage: a prior over coefficients as a sum of levels, each with its own variance.

Response = intercept + X b + noise; b = sum of root_l g_l, with g_l ~ N(0, variance_l I) and noise
N(0, 1), or of a given relative variance in each row, all times one residual variance. The variances
maximise the restricted likelihood (Patterson & Thompson 1971); leave-one-out residuals come from
one inverse (Dubrule 1983).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.core.errors import PredictorError
from edgenas.predictors import definite

COVARIANCE = "covariance of the rows"
# The prior of a level's log variance, relative to noise: keeps few rows from an extreme answer.
LOG_VARIANCE_SPREAD = 3.0
LOG_VARIANCE_BOUNDS = (-12.0, 14.0)
FLAT = 1e6
# The noise grows with the mean as nothing (0), or as the mean itself (1).
POWER_BOUNDS, FIRST_POWER = (0.0, 1.0), 0.7
# The states in which L-BFGS-B ends as it should: at the least value, or after all its steps.
SETTLED = (0, 1)
# Variances of a few levels need no more rows than these; their cost grows with the cube of rows.
MOST_ROWS = 500


@dataclass(frozen=True)
class Level:
    """Coefficients that vary alike.

    root : float64 [p, q], the coefficients are root @ (q numbers alike).
    flat : nothing is known of their size; the variance is FLAT and not chosen.
    pairs : int64 [p, 2], which two terms each term is the product of (-1: none). The level is then
        as wide as the product of their effects, and a term that is its own pair as wide as its own
        (heredity.py).
    times : how often widths are found, each time from effects under those found before: the more
        often, the fewer terms are left.
    before : of such a level, float64, the variances of the levels before it in the fit that its
        widths are from; () where nothing was fitted yet.
    """

    name: str
    root: np.ndarray
    pairs: np.ndarray | None = None
    flat: bool = False
    times: int = 1
    before: tuple[float, ...] = ()


@dataclass(frozen=True)
class Projection:
    """Inverse covariance of the rows with the intercept projected out, float64 [n, n].

    noise : float64 [n], the noise variance of each row, 1 where all are alike.
    """

    inverse: np.ndarray
    weighted: np.ndarray  # inverse @ response, [n]
    noise: np.ndarray

    def left_out(self) -> np.ndarray:
        """Return response minus the prediction from all other rows, float64 [n]."""
        return np.asarray(self.weighted / np.maximum(np.diag(self.inverse), 1e-12))

    def error(self) -> float:
        """Return the leave-one-out mean squared error, each over the row's noise variance."""
        return float(np.mean(self.left_out() ** 2 / self.noise))


@dataclass(frozen=True)
class Shrinkage:
    """Chosen variances, one a level, relative to the residual variance; 0 where a level is dead.

    deviance : half of it, restricted, with the weak prior of the variances. power : of the noise.
    """

    variances: np.ndarray
    projection: Projection
    deviance: float = 0.0
    power: float = 0.0

    def fitted(self, response: np.ndarray) -> np.ndarray:
        """Return the means of the rows, float64 [n], given their responses [n]."""
        return np.asarray(response - self.projection.noise * self.projection.weighted)


def sample(n: int, most: int = MOST_ROWS) -> np.ndarray:
    """Return the rows that variances are chosen from, int64, rising: all, or `most` random ones."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(n).permutation(n)[:most])


def choose(
    matrix: np.ndarray,
    response: np.ndarray,
    levels: Sequence[Level],
    start: np.ndarray | None = None,
    iterations: int = 25,
    *,
    noise: np.ndarray | None = None,
    growth: np.ndarray | None = None,
) -> Shrinkage:
    """Return the variances of the levels for rows [n, p] and responses [n].

    start : variances to begin with, of an earlier fit of nearly the same rows.
    noise : float64 [n], relative noise variance of the rows; None for 1.
    growth : float64 [n], logarithms of the rows' means: the noise variance is exp(2 power growth),
        and the power, from 0 to 1, is chosen too.
    """
    around = _Noise(np.ones(len(response)) if noise is None else noise, growth)
    if not levels:
        return Shrinkage(np.zeros(0), project(np.diag(around.fixed), response, around.fixed))
    parts = _grams(matrix, levels, response)
    logs = np.zeros(len(parts.free))
    if start is not None:
        logs = np.log(np.maximum(start[parts.places] * parts.spreads, 1e-5))
    logs = np.clip(logs, *LOG_VARIANCE_BOUNDS)
    bounds = [LOG_VARIANCE_BOUNDS] * len(logs)
    if growth is not None:
        logs, bounds = np.append(logs, FIRST_POWER), [*bounds, POWER_BOUNDS]
    flat = np.reshape(parts.free, (len(parts.free), len(response) ** 2))
    deviance, power = 0.0, 0.0
    if len(logs):
        logs, deviance = _least_deviance(
            logs, (flat, parts.known, response, around), bounds, iterations
        )
    relative = around.variances(logs[len(parts.free) :])
    if growth is not None:
        logs, power = logs[:-1], float(logs[-1])
    covariance = parts.known + np.diag(relative)
    for log, gram in zip(logs, parts.free, strict=True):
        covariance += np.exp(log) * gram
    variances = parts.given.copy()
    variances[parts.places] = np.exp(logs) / parts.spreads
    return Shrinkage(variances, project(covariance, response, relative), deviance, power)


def _least_deviance(
    start: np.ndarray, problem: tuple[Any, ...], bounds: list[tuple[float, float]], iterations: int
) -> tuple[np.ndarray, float]:
    """Return the variables of the least `_criterion` that `iterations` steps reach, and its value.

    A search that ends because its line search failed goes on from the middle of the bounds, and the
    better end counts.

    Raises
    ------
    PredictorError : the criterion is no finite number.
    """
    from scipy.optimize import minimize

    best, least = start, np.inf
    for begin in (start, np.mean(bounds, axis=1)):
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
            found = minimize(
                _criterion,
                begin,
                args=problem,
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options={"maxiter": iterations, "ftol": 1e-5},
            )
        if np.isfinite(found.fun) and np.isfinite(found.x).all() and found.fun < least:
            best, least = found.x, float(found.fun)
        if np.isfinite(least) and found.status in SETTLED:
            return best, least
    if not np.isfinite(least):
        raise PredictorError(
            f"The variances of the terms cannot be chosen: {found.message}.", definite.HINT
        )
    return best, least


@dataclass(frozen=True)
class _Noise:
    """Relative noise variances of the rows: `fixed` [n], or growing by a power of exp(`growth`)."""

    fixed: np.ndarray
    growth: np.ndarray | None

    def variances(self, power: np.ndarray) -> np.ndarray:
        if self.growth is None:
            return self.fixed
        return np.asarray(np.exp(2 * power[0] * self.growth))


@dataclass(frozen=True)
class _Grams:
    """Covariances of the rows [n, n] that levels make: `known` in all, `free` of one each over its
    spread; `places` of those among the levels; `given` variances, 0 where they are free or dead."""

    known: np.ndarray
    free: list[np.ndarray]
    places: np.ndarray
    spreads: np.ndarray
    given: np.ndarray


def _grams(matrix: np.ndarray, levels: Sequence[Level], response: np.ndarray) -> _Grams:
    parts = [matrix @ level.root for level in levels]
    spreads = np.array([part.var(axis=0).sum() for part in parts])
    sizes = np.array([np.mean(np.sum(part**2, axis=1)) for part in parts])
    # rows that are alike differ by rounding only: that is no spread
    live = spreads > np.maximum(1e-12 * spreads.max(initial=0.0), 1e-20 * sizes + 1e-300)
    spreads = np.where(live, spreads, 1.0)
    given = np.array(
        [FLAT / x if level.flat else 0.0 for level, x in zip(levels, spreads, strict=True)]
    )
    given = np.where(live, given, 0.0)
    known = np.zeros((len(response), len(response)))
    free = []
    for part, spread, alive, variance in zip(parts, spreads, live, given, strict=True):
        if alive:
            if variance > 0:
                known += variance * part @ part.T
            else:
                free.append(part @ part.T / spread)
    places = np.flatnonzero(live & (given == 0))
    return _Grams(known, free, places, spreads[places], given)


def coefficients(
    matrix: np.ndarray, response: np.ndarray, levels: Sequence[Level], chosen: Shrinkage
) -> tuple[np.ndarray, float]:
    """Return the coefficients, float64 [p], under the chosen variances, and the intercept."""
    found = _pulled(matrix, levels, chosen)
    return found, float(np.mean(chosen.fitted(response) - matrix @ found))


def effects(matrix: np.ndarray, levels: Sequence[Level], chosen: Shrinkage) -> np.ndarray:
    """Return |coefficient| times standard deviation of every term, float64 [p]."""
    return np.asarray(np.abs(_pulled(matrix, levels, chosen)) * matrix.std(axis=0))


def _pulled(matrix: np.ndarray, levels: Sequence[Level], chosen: Shrinkage) -> np.ndarray:
    """Return the best linear unbiased predictions of the coefficients, float64 [p]."""
    pulled = matrix.T @ chosen.projection.weighted
    found = np.zeros(matrix.shape[1])
    for level, variance in zip(levels, chosen.variances, strict=True):
        found += variance * (level.root @ (level.root.T @ pulled))
    return found


def project(
    covariance: np.ndarray, response: np.ndarray, noise: np.ndarray | None = None
) -> Projection:
    """Return the projection for rows of `covariance` [n, n], which includes their noise (or 1)."""
    inverse, _ = definite.inverse(covariance, COVARIANCE)
    ones = inverse.sum(axis=1)
    inverse -= np.outer(ones, ones) / ones.sum()
    alike = np.ones(len(response)) if noise is None else noise
    return Projection(inverse, inverse @ response, alike)


def _criterion(
    logs: np.ndarray, grams: np.ndarray, known: np.ndarray, response: np.ndarray, noise: _Noise
) -> tuple[float, np.ndarray]:
    """Restricted deviance / 2 with the residual variance profiled out, and its gradient.

    logs : of the levels' variances; behind them the power of the noise if it grows.
    grams : float64 [n_levels, n * n].
    """
    n, count = len(response), len(grams)
    sizes = np.exp(logs[:count])
    covariance = known + (sizes @ grams).reshape(n, n)
    covariance.flat[:: n + 1] += noise.variances(logs[count:])
    inverse, factor = definite.inverse(covariance, COVARIANCE)
    ones = inverse.sum(axis=1)
    inverse -= np.outer(ones, ones) / ones.sum()
    weighted = inverse @ response
    quadratic = max(float(response @ weighted), 1e-300)
    value = np.log(np.diag(factor)).sum() + 0.5 * np.log(ones.sum())
    value += 0.5 * (n - 1) * np.log(quadratic / (n - 1))
    slope = 0.5 * inverse - 0.5 * (n - 1) / quadratic * np.outer(weighted, weighted)
    penalty = logs[:count] / LOG_VARIANCE_SPREAD
    gradient = sizes * (grams @ slope.ravel()) + penalty / LOG_VARIANCE_SPREAD
    if noise.growth is not None:
        by_power = 2 * noise.growth * noise.variances(logs[count:])
        gradient = np.append(gradient, np.diag(slope) @ by_power)
    return value + 0.5 * float(penalty @ penalty), gradient
