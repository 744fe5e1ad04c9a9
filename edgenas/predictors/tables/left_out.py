"""Errors on rows left out, with what the rows chose chosen again without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from edgenas.core.errors import PredictorError
from edgenas.predictors import regression
from edgenas.predictors.linear import estimator
from edgenas.predictors.linear.effect_widths import Refound
from edgenas.predictors.regression import Regression
from edgenas.predictors.tables import build, power_sums
from edgenas.predictors.tables.rows import Rows

# Terms are chosen again for rows left out where so few rows choose them; fewer choose none.
FEWEST, FEW, FEW_FOLDS = 12, 40, 5
# Of few rows the residual deviation is told badly, and the variances over it the worse: errors of a
# fold are taken to be halfway, on a logarithmic scale, between its own deviation and that of all.
# Farther apart than by MOST_APART they are rounding, of a response without noise.
OWN_DEVIATION, MOST_APART = 0.5, 10.0


def fit(terms: str, rows: Rows, built: build.Terms, seed: int, *, known: bool) -> Regression:
    """Return the regression of terms `built` of `rows`; where rows are few, its errors
    are of all that chose the terms.

    terms, seed : of a `TableRegression`. known : which edges count was not left to the rows.
    """
    if terms != "auto" or known or not FEWEST <= len(rows.response) < FEW:
        return regression.fit(built.data, seed, refit=_sum_again(built, rows))
    regression.check(built.data)
    recipe = estimator.of(built.data)
    deviation = recipe.deviation(recipe.fit())
    try:
        again = _chosen_again(terms, rows, seed, built.data.logarithm, deviation)
        return regression.assembled(built.data, recipe, seed, refit=again, folds=FEW_FOLDS)
    except PredictorError:  # without a fold nothing varies: the terms as they are say more
        return regression.fit(built.data, seed)


@dataclass(frozen=True)
class LeftOut:
    """Rows that were left out of all choices: their means, and standard errors over the residual
    one, float64 [m]. It predicts these rows and no others."""

    mean: np.ndarray
    relative_error: np.ndarray

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        return self.mean

    def error(self, matrix: np.ndarray) -> np.ndarray:
        return self.relative_error


def _chosen_again(
    terms: str, rows: Rows, seed: int, logarithm: bool, deviation: float
) -> Callable[[np.ndarray], LeftOut]:
    """Return what predicts rows left out with terms, cuts and levels chosen again without them.

    Rows that are few choose what suits them; errors and intervals are honest only if that is done
    without the rows that are predicted (CV+; Barber et al. 2021). Standard errors are over the
    residual deviation, which each fold has another of; they are told over `deviation`, that of all
    rows.
    """

    def refit(kept: np.ndarray) -> LeftOut:
        built = build.make(terms, rows.some(np.flatnonzero(kept)), seed, logarithm=logarithm)
        matrix = built.of(rows.some(np.flatnonzero(~kept)).columns)
        recipe = estimator.of(built.data)
        fitted = recipe.fit()
        apart = np.clip(recipe.deviation(fitted) / deviation, 1 / MOST_APART, MOST_APART)
        share = apart**OWN_DEVIATION
        return LeftOut(fitted.predict(matrix), share * fitted.error(matrix))

    return refit


def _sum_again(built: build.Terms, rows: Rows) -> Callable[[np.ndarray], LeftOut] | None:
    """Return what predicts rows left out with the sum of products chosen again without them, all
    else as it was built; None if there is none."""
    places = [place for place, atom in enumerate(built.atoms) if atom.kind == "powers"]
    summed = power_sums.of(built.atoms, rows.columns, rows.response) if places else None
    if summed is None:
        return None
    recipe, again = estimator.of(built.data), Refound(places[0], summed.values)

    def refit(kept: np.ndarray) -> LeftOut:
        matrix = again.matrix(built.data.matrix, np.flatnonzero(kept))
        fitted = replace(recipe, rows=matrix).refit(kept)
        return LeftOut(fitted.predict(matrix[~kept]), fitted.error(matrix[~kept]))

    return refit


def error(terms: str, rows: Rows, seed: int) -> float:
    """Return the RMSE of rows left out one by one, their terms chosen again without each."""
    n = len(rows.response)
    off = np.empty(n)
    for row in range(n):
        others = rows.some(np.delete(np.arange(n), row))
        built = build.make(terms, others, seed)
        alone = built.of(rows.some(np.array([row])).columns)
        mean = estimator.of(built.data).fit().predict(alone)
        off[row] = rows.response[row] - mean[0]
    return float(np.sqrt(np.mean(off**2)))
