"""Fits of more rows than a matrix of their terms has memory for.

Terms, levels and noise are chosen from a sample that has each category; coefficients are of all
rows, by sums that are added chunk by chunk; held-out errors are of rows that no sum of their fold's
fit has seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from edgenas.predictors.base import Runs
from edgenas.predictors.linear import cross_validation, estimator, shrinkage, sums
from edgenas.predictors.linear.cross_validation import Validation
from edgenas.predictors.linear.estimator import Recipe
from edgenas.predictors.linear.posterior import Posterior, inflation, risen
from edgenas.predictors.linear.sums import Sums
from edgenas.predictors.regression import FOLDS, Regression, greatest_left_out
from edgenas.predictors.tables.build import VOCABULARIES, Terms, with_each_category
from edgenas.predictors.tables.rows import Rows

MANY = 20_000  # rows from which on no matrix of all is made
CHOSEN_FROM = 5_000
CHUNK = 16_384
# Errors of so many rows left out are within half a percent of those of all.
HELD_OUT = 100_000
SCORES = 1_999  # quantiles of the scores that are kept
NoiseAt = Callable[[np.ndarray], np.ndarray]  # terms of rows -> relative standard deviations


def needed(terms: str, rows: Rows) -> bool:
    """Return whether rows are so many; formulas have few terms, and are as they are."""
    return terms in VOCABULARIES and len(rows.response) > MANY


def distinct(rows: Rows, matrix: np.ndarray | None) -> int:
    """Return how many rows differ in their terms, `matrix` [n, p], or in their columns."""
    if matrix is not None:
        return int(np.unique(matrix, axis=0).shape[0])
    return len(rows.response) if rows.network is None else int(rows.network.max()) + 1


def sample(rows: Rows) -> Rows:
    """Return the rows that terms, levels and noise are chosen from, one of each category among
    them."""
    return rows.some(with_each_category(rows, shrinkage.sample(len(rows.response), CHOSEN_FROM)))


@dataclass(frozen=True)
class _Pass:
    """What one pass over all rows gives: sums of each fold, and the terms' ranges and means."""

    folds: list[Sums]
    low: np.ndarray
    high: np.ndarray
    means: np.ndarray


def fit(terms: Terms, rows: Rows, seed: int) -> tuple[Regression, np.ndarray]:
    """Return the fit of all `rows` with the `terms` of a sample of them, and the
    terms' means over all rows, float64 [p]."""
    recipe = estimator.of(terms.data, tails=False)
    first = recipe.fit()
    response = np.log(rows.response) if terms.data.logarithm else rows.response
    n = len(response)
    alike = np.arange(n) if rows.network is None else rows.network
    _, fold_of = cross_validation.drawn(alike, FOLDS, seed)

    def noise_at(matrix: np.ndarray) -> np.ndarray:
        return recipe.spread.of(first.predict(matrix))

    passed = _passed(terms, rows, response, fold_of, noise_at)
    whole = reduce(add, passed.folds)
    fitted = _solved(whole, recipe)
    left_out = [_solved(whole - part, recipe) for part in passed.folds]
    validation, reach = _validated(terms, rows, response, fold_of, (fitted, left_out))
    df_resid = max(n - fitted.effective, 1.0)
    regression = Regression(
        name=rows.name,
        unit="",
        terms=terms.data.terms,
        n=n,
        heldout=validation.summary,
        params=fitted.params,
        covariance=fitted.covariance,
        scale=whole.residual(fitted.params) / df_resid,
        df_resid=df_resid,
        scores=np.quantile(validation.scores, np.arange(1, SCORES + 1) / (SCORES + 1)),
        vif=inflation(terms.data.matrix),
        levels=recipe.named_variances(),
        low=passed.low,
        high=passed.high,
        rows_sha256=_sha256(rows),
        reach=reach,
        spread=recipe.spread,
    )
    return regression, passed.means


def _passed(
    terms: Terms, rows: Rows, response: np.ndarray, fold_of: np.ndarray, noise_at: NoiseAt
) -> _Pass:
    shift, center = terms.data.matrix.mean(axis=0), float(terms.data.response.mean())
    low, high = np.full(len(shift), np.inf), np.full(len(shift), -np.inf)
    total = np.zeros(len(shift))
    folds: list[Sums | None] = [None] * (int(fold_of.max()) + 1)
    for place, matrix in _chunks(terms, rows, np.arange(len(response))):
        np.minimum(low, matrix.min(axis=0), out=low)
        np.maximum(high, matrix.max(axis=0), out=high)
        total += matrix.sum(axis=0)
        noise = noise_at(matrix)
        for fold, known in enumerate(folds):
            here = fold_of[place] == fold
            part = sums.of(matrix[here], response[place][here], noise[here], shift, center)
            folds[fold] = part if known is None else known + part
    return _Pass([x for x in folds if x is not None], low, high, total / len(response))


def _validated(
    terms: Terms,
    rows: Rows,
    response: np.ndarray,
    fold_of: np.ndarray,
    fits: tuple[Posterior, list[Posterior]],
) -> tuple[Validation, float]:
    """Return the errors on a random part of the rows, and the greatest leverage among them.

    fits : of all rows, and without each fold.
    """
    fitted, left_out = fits
    judged = shrinkage.sample(len(response), HELD_OUT)
    mean, error, leverage = np.empty((3, len(judged)))
    for place, matrix in _chunks(terms, rows, judged):
        of_rows = fold_of[judged[place]]
        here_mean, here_error = mean[place], error[place]
        for fold, without in enumerate(left_out):
            out = of_rows == fold
            here_mean[out] = without.predict(matrix[out])
            here_error[out] = without.error(matrix[out])
        noise = fitted.spread.of(fitted.predict(matrix))
        leverage[place] = (fitted.error(matrix) / noise) ** 2 - 1
    logarithm = terms.data.logarithm
    runs = _runs(rows.runs, judged, len(response), logarithm)
    validation = cross_validation.judged(
        response[judged], mean, error, len(left_out), logarithm=logarithm, runs=runs
    )
    return validation, greatest_left_out(leverage)


def _chunks(terms: Terms, rows: Rows, places: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield which of the `places`, int64 [m], a chunk is of, and its terms, float64 [k, p]."""
    needed = {name for atom in terms.atoms for name in atom.columns}
    if terms.gates is not None:
        needed |= {gate for gate, _ in terms.gates.least.values()} | terms.gates.least.keys()
    if terms.cell is not None:
        needed |= set(terms.cell.columns)
    for start in range(0, len(places), CHUNK):
        place = slice(start, min(start + CHUNK, len(places)))
        some = places[place]
        yield (
            place,
            terms.of({name: rows.columns[name][some] for name in rows.columns if name in needed}),
        )


def _solved(whole: Sums, recipe: Recipe) -> Posterior:
    fitted = replace(whole.fit(recipe.levels, recipe.variances), spread=recipe.spread)
    return fitted if recipe.rising is None else risen(fitted, recipe.rising)


def _runs(runs: Runs | None, judged: np.ndarray, n: int, logarithm: bool) -> Runs | None:
    """Return the runs that the rows at `judged` are means of."""
    if runs is None:
        return None
    place = np.full(n, -1)
    place[judged] = np.arange(len(judged))
    row = place[runs.row]
    response = runs.response[row >= 0]
    return Runs(row[row >= 0], np.log(response) if logarithm else response)


def _sha256(rows: Rows) -> str:
    digest = hashlib.sha256("\n".join(rows.columns).encode())
    for values in (*rows.columns.values(), rows.response):
        digest.update(np.ascontiguousarray(values).view(np.uint8).data)
    return digest.hexdigest()
