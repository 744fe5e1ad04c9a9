"""How coefficients come from rows: the levels' variances, the noise, and what cannot fall."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgenas.predictors.base import TrainingData
from edgenas.predictors.linear import effect_widths, names, shrinkage, student
from edgenas.predictors.linear import noise as spread
from edgenas.predictors.linear.noise import EVEN, Spread
from edgenas.predictors.linear.posterior import Posterior, plain, risen, shrunken
from edgenas.predictors.linear.shrinkage import Level

# Variances of a fold start from those of all rows, and move this many steps.
REFIT_ITERATIONS = 6
# Least squares is kept while levels predict rows left out less than this much better.
WORTHWHILE = 0.98


@dataclass(frozen=True)
class Recipe:
    """How coefficients come from rows [n, p]: variances is None where least squares is kept.

    noise : float64 [n], relative standard deviations of the rows' noise: as `spread` has them, over
        the square root of what each row counts.
    weights : float64 [n], what each row counts; None for 1.
    """

    rows: np.ndarray
    responses: np.ndarray
    levels: tuple[Level, ...]
    variances: np.ndarray | None
    rising: np.ndarray | None
    spread: Spread
    noise: np.ndarray
    weights: np.ndarray | None = None

    @property
    def light(self) -> int:
        """How many rows count for less than half."""
        return 0 if self.weights is None else student.light(self.weights)

    def fit(self, final: bool = False) -> Posterior:
        """Return the coefficients under the variances as they are."""
        noise = None if (self.noise == 1).all() else self.noise
        if self.variances is None:
            fitted = plain(self.rows, self.responses, noise)
        else:
            fitted = shrunken(
                self.rows, self.responses, self.levels, self.variances, final, noise=noise
            )
        fitted = replace(fitted, spread=self.spread)
        return fitted if self.rising is None else risen(fitted, self.rising)

    def refit(self, kept: np.ndarray) -> Posterior:
        """Return the coefficients with widths and variances chosen again for rows `kept`, bool."""
        here = replace(
            self, rows=self.rows[kept], responses=self.responses[kept], noise=self.noise[kept]
        )
        if self.variances is None:
            return here.fit()
        part = shrinkage.sample(len(here.rows))
        some = here.rows[part], here.responses[part]
        noise = here.noise[part] ** 2
        levels = effect_widths.inherit(*some, self.levels, self.variances, noise)
        if self.weights is not None:  # what rows count is found without those left out, too
            here = replace(here, noise=here.noise * np.sqrt(self.weights[kept]), weights=None)
            noise = here.noise[part] ** 2
        chosen = shrinkage.choose(*some, levels, self.variances, REFIT_ITERATIONS, noise=noise)
        here = replace(here, levels=levels, variances=chosen.variances)
        return (here if self.weights is None else here.with_tails()).fit()

    def with_tails(self) -> Recipe:
        """Return this with rows that count by how far off they are, if their errors say so."""
        if self.variances is None:
            return self
        heavy = student.find(self.rows, self.responses, self.levels, self.variances, self.noise)
        if heavy is None:
            return self
        noise = self.noise / np.sqrt(heavy.weights)
        return replace(self, variances=heavy.variances, noise=noise, weights=heavy.weights)

    def deviation(self, fitted: Posterior) -> float:
        """Return the residual standard deviation of a typical row, in the response's unit, above 0.

        `fitted` : of these rows. It is what the restricted likelihood that chose the variances has
        profiled out, y'Py / (n - 1); of least squares, the usual one.
        """
        residual = (self.responses - fitted.predict(self.rows)) / self.noise
        squares = float(residual @ residual)
        if self.variances is None:
            squares /= max(len(residual) - fitted.effective, 1.0)
        else:
            around = (self.responses - self.responses.mean()) / self.noise
            squares = max(float(around @ residual), squares) / (len(residual) - 1)
        return max(float(np.sqrt(squares)), 1e-9 * float(np.ptp(self.responses)))

    def named_variances(self) -> dict[str, float]:
        if self.variances is None:
            return {}
        return {x.name: float(v) for x, v in zip(self.levels, self.variances, strict=True)}


def of(data: TrainingData, tails: bool = True) -> Recipe:
    """Return how the rows of `data` are fitted: the spread of their noise, and the variances.

    tails : whether rows may count by how far off they are (`student.find`).
    """
    levels = tuple(data.levels or names.levels(data.terms, data.matrix))
    rising = np.eye(len(data.terms)) if data.cost and data.rising is None else data.rising
    even = np.ones(len(data.response))
    recipe = Recipe(data.matrix, data.response, levels, None, rising, EVEN, even)
    if data.plain:
        return recipe
    part = shrinkage.sample(len(data.response))
    matrix, response = data.matrix[part], data.response[part]
    if data.logarithm:  # shares of the response: noise that grows with it is even
        grown, chosen = EVEN, shrinkage.choose(matrix, response, levels)
    else:
        grown, chosen = spread.find(matrix, response, levels)
    if grown.power > 0:
        noise = np.sqrt(chosen.projection.noise)
        found = shrunken(matrix, response, levels, chosen.variances, noise=noise)
        recipe = replace(recipe, spread=grown, noise=grown.of(found.predict(data.matrix)))
    if tails:
        heavy = replace(recipe, variances=chosen.variances).with_tails()
        if heavy.weights is not None:
            return heavy
    unshrunk = _least_squares_error(matrix, response, recipe.noise[part])
    shrink = unshrunk * WORTHWHILE**2 > chosen.projection.error()
    return replace(recipe, variances=chosen.variances) if shrink else recipe


def _least_squares_error(matrix: np.ndarray, response: np.ndarray, noise: np.ndarray) -> float:
    """Return the leave-one-out mean squared error of least squares, each over the variance of the
    row's noise (relative standard deviations [n]); infinite if rows are few."""
    live = matrix[:, np.ptp(matrix, axis=0) > 0]
    n, p = live.shape
    if n <= p + 2:
        return np.inf
    rows = np.column_stack([np.ones(n), live - live.mean(axis=0)]) / noise[:, None]
    left, singular, _ = np.linalg.svd(rows / np.linalg.norm(rows, axis=0), full_matrices=False)
    if singular[-1] < 1e-8 * singular[0]:
        return np.inf
    scaled = response / noise
    leverage = np.sum(left**2, axis=1)
    residual = (scaled - left @ (left.T @ scaled)) / np.maximum(1 - leverage, 1e-9)
    return float(np.mean(residual**2))
