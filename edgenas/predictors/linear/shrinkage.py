"""Levels of shrinkage: a prior over coefficients as a sum of levels, each with its own variance.

Response = intercept + X b + noise; b = sum of root_l g_l, with g_l ~ N(0, variance_l I) and noise
N(0, 1), or of a given relative variance in each row, all times one residual variance. The variances
maximise the restricted likelihood (Patterson & Thompson 1971).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.core.errors import PredictorError
from edgenas.predictors import definite
from edgenas.predictors.linear.projection import (
    COVARIANCE,
    NARROW,
    Directions,
    Means,
    Projection,
    project,
)

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
    parts = _Parts.of(matrix, levels)
    logs = np.zeros(len(parts.places))
    if start is not None:
        logs = np.log(np.maximum(start[parts.places] * parts.spreads, 1e-5))
    logs = np.clip(logs, *LOG_VARIANCE_BOUNDS)
    bounds = [LOG_VARIANCE_BOUNDS] * len(logs)
    if growth is not None:
        logs, bounds = np.append(logs, FIRST_POWER), [*bounds, POWER_BOUNDS]
    deviance, power = 0.0, 0.0
    if len(logs):
        narrow = growth is None and matrix.shape[1] < NARROW * len(response)
        make = _narrow_problem if narrow else _problem
        logs, deviance = _least_deviance(
            logs, make(matrix, levels, parts, response, around), bounds, iterations
        )
    relative = around.variances(logs[len(parts.places) :])
    if growth is not None:
        logs, power = logs[:-1], float(logs[-1])
    variances = parts.given.copy()
    variances[parts.places] = np.exp(logs) / parts.spreads
    roots = [level.root for level in levels]
    projection = Means.of(matrix, roots, variances).project(response, relative)
    return Shrinkage(variances, projection, deviance, power)


def _least_deviance(
    start: np.ndarray, problem: _Problem, bounds: list[tuple[float, float]], iterations: int
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
                args=(problem,),
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
            "The variances of the terms cannot be chosen: their likelihood is no finite number.",
            definite.HINT,
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
class _Parts:
    """What levels add to the rows' means: `means` of each, matrix @ root [n, q].

    places : int64, of the levels whose variance is chosen; spreads : theirs over the rows. given :
    variances, 0 where they are chosen or dead.
    """

    means: list[np.ndarray]
    places: np.ndarray
    spreads: np.ndarray
    given: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray, levels: Sequence[Level]) -> _Parts:
        means = [matrix @ level.root for level in levels]
        spreads = np.array([part.var(axis=0).sum() for part in means])
        sizes = np.array([np.mean(np.sum(part**2, axis=1)) for part in means])
        # rows that are alike differ by rounding only: that is no spread
        live = spreads > np.maximum(1e-12 * spreads.max(initial=0.0), 1e-20 * sizes + 1e-300)
        spreads = np.where(live, spreads, 1.0)
        given = np.array(
            [FLAT / x if level.flat else 0.0 for level, x in zip(levels, spreads, strict=True)]
        )
        given = np.where(live, given, 0.0)
        places = np.flatnonzero(live & (given == 0))
        return cls(means, places, spreads[places], given)

    def grams(self, means: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return covariances that `means` of the levels, [m, q] each, make: of those whose variance
        is given, [m, m], and of each other one over its spread, [levels, m * m]."""
        size = len(means[0])
        known = np.zeros((size, size))
        for part, variance in zip(means, self.given, strict=True):
            if variance > 0:
                known += variance * part @ part.T
        free = [
            (means[place] @ means[place].T / spread).ravel()
            for place, spread in zip(self.places, self.spreads, strict=True)
        ]
        return known, np.reshape(free, (len(free), size**2))


@dataclass(frozen=True)
class _Problem:
    """Rows whose covariance is `known` [m, m] + sizes @ `grams` [levels, m * m] + noise.

    contrasts : whether the rows are what is left without the intercept, and their noise is 1; if
    not, it is projected out. rest, constant : what these leave out of the sum of squares, and of
    the deviance. degrees : of freedom, of all rows.
    """

    known: np.ndarray
    grams: np.ndarray
    response: np.ndarray
    noise: _Noise
    degrees: int
    contrasts: bool = False
    rest: float = 0.0
    constant: float = 0.0


def _problem(
    matrix: np.ndarray,
    levels: Sequence[Level],
    parts: _Parts,
    response: np.ndarray,
    noise: _Noise,
) -> _Problem:
    return _Problem(*parts.grams(parts.means), response, noise, len(response) - 1)


def _narrow_problem(
    matrix: np.ndarray,
    levels: Sequence[Level],
    parts: _Parts,
    response: np.ndarray,
    noise: _Noise,
) -> _Problem:
    """Return the problem in the directions that the terms [n, p] move rows in."""
    directions = Directions.of(matrix, response, noise.fixed)
    grams = parts.grams([directions.upper @ level.root for level in levels])
    even = _Noise(np.ones(len(directions.along)), None)
    rest, constant = directions.rest, directions.constant
    return _Problem(*grams, directions.along, even, len(response) - 1, True, rest, constant)


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


def _criterion(logs: np.ndarray, problem: _Problem) -> tuple[float, np.ndarray]:
    """Restricted deviance / 2 with the residual variance profiled out, and its gradient.

    logs : of the levels' variances; behind them the power of the noise if it grows.
    """
    size, count, degrees = len(problem.response), len(problem.grams), problem.degrees
    sizes, noise = np.exp(logs[:count]), problem.noise
    covariance = problem.known + (sizes @ problem.grams).reshape(size, size)
    covariance.flat[:: size + 1] += noise.variances(logs[count:])
    inverse, factor = definite.inverse(covariance, COVARIANCE)
    value = np.log(np.diag(factor)).sum() + problem.constant
    if not problem.contrasts:
        ones = inverse.sum(axis=1)
        inverse -= np.outer(ones, ones) / ones.sum()
        value += 0.5 * np.log(ones.sum())
    weighted = inverse @ problem.response
    quadratic = max(float(problem.response @ weighted) + problem.rest, 1e-300)
    value += 0.5 * degrees * np.log(quadratic / degrees)
    slope = np.outer(weighted, weighted * (-0.5 * degrees / quadratic))
    inverse *= 0.5
    slope += inverse
    penalty = logs[:count] / LOG_VARIANCE_SPREAD
    gradient = sizes * (problem.grams @ slope.ravel()) + penalty / LOG_VARIANCE_SPREAD
    if noise.growth is not None:
        by_power = 2 * noise.growth * noise.variances(logs[count:])
        gradient = np.append(gradient, np.diag(slope) @ by_power)
    return value + 0.5 * float(penalty @ penalty), gradient
