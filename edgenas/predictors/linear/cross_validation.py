"""Held-out errors by cross-validation, and the conformal scores that make intervals honest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgenas.core.records.fitted import HeldOut
from edgenas.predictors.base import Runs
from edgenas.predictors.tables.log_response import measured

CONFIDENCE = 0.9


class HasError(Protocol):
    """What rows gave: means of other rows, and the standard errors of single responses there."""

    def predict(self, matrix: np.ndarray) -> np.ndarray: ...

    def error(self, matrix: np.ndarray) -> np.ndarray: ...


Refit = Callable[[np.ndarray], HasError]  # which rows are in, bool [n] -> what they give


@dataclass(frozen=True)
class Validation:
    """summary : the errors. scores : rising, float64 [n], |held-out error| over its standard error
    for residual variance 1 (Barber et al. 2021, CV+, with errors scaled as in Lei et al. 2018)."""

    summary: HeldOut
    scores: np.ndarray


def validate(
    matrix: np.ndarray,
    response: np.ndarray,
    refit: Refit,
    folds: int,
    seed: int,
    *,
    logarithm: bool = False,
    network: np.ndarray | None = None,
    runs: Runs | None = None,
) -> Validation:
    """Predict every row from the other folds.

    network : int64 [n], rows of one network share a fold; None: rows of equal terms do.
    runs : what rows are means of: errors are those of single runs, and so are the scores.
    logarithm : `response` is one; the summary is of what it is of, the scores are its own.
    """
    n = len(response)
    # rows that are alike stay together: one would give the other away
    alike = np.unique(matrix, axis=0, return_inverse=True)[1] if network is None else network
    alike = alike.reshape(-1)
    if alike.max() == 0 or _unseen(matrix, alike):
        alike = np.arange(n)
    folds, fold_of = drawn(alike, folds, seed)
    mean, error = np.empty(n), np.empty(n)
    for fold in range(folds):
        out = fold_of == fold
        fitted = refit(~out)
        mean[out], error[out] = fitted.predict(matrix[out]), fitted.error(matrix[out])
    return judged(response, mean, error, folds, logarithm=logarithm, runs=runs)


def drawn(alike: np.ndarray, folds: int, seed: int) -> tuple[int, np.ndarray]:
    """Return how many folds there are, and that of each row, int64 [n]: one for equal `alike`."""
    groups = int(alike.max()) + 1
    folds = min(folds, groups)
    return folds, (np.random.default_rng(seed).permutation(groups) % folds)[alike]


def judged(
    response: np.ndarray,
    mean: np.ndarray,
    error: np.ndarray,
    folds: int,
    *,
    logarithm: bool = False,
    runs: Runs | None = None,
) -> Validation:
    """Return what comes of rows left out, their means and standard errors, float64 [n] each; the
    rest is said by `validate`."""
    if runs is None:
        runs = Runs(np.arange(len(response)), response)
    mean, error, response = mean[runs.row], error[runs.row], runs.response
    ratios = np.abs(response - mean) / error
    # one score a row: its runs are not independent of one another
    scores = np.sqrt(np.bincount(runs.row, ratios**2) / np.bincount(runs.row))
    if logarithm:
        response, mean = np.exp(response), measured(mean)
    return Validation(_summary(response, mean, ratios, folds), np.sort(scores))


def _unseen(matrix: np.ndarray, alike: np.ndarray) -> bool:
    """Return whether most groups of rows alike have a category, 0 or 1, that no other has.

    Without its group such a category is new, and nothing is known of it.
    """
    _, first = np.unique(alike, return_index=True)
    distinct = matrix[first]
    marks = ((distinct == 0) | (distinct == 1)).all(axis=0)
    alone = distinct[:, marks & (np.count_nonzero(distinct, axis=0) == 1)]
    return len(first) < len(matrix) and bool(alone.any(axis=1).mean() > 0.5)


def _summary(response: np.ndarray, mean: np.ndarray, ratios: np.ndarray, folds: int) -> HeldOut:
    from scipy import stats

    n = len(response)
    rank = min(int(np.ceil(n * CONFIDENCE)), n - 1)
    ordered = np.sort(ratios)
    # a row's own limit is from the other rows: without it the rank-th ratio may be the next one
    limits = np.where(ratios <= ordered[rank - 1], ordered[rank], ordered[rank - 1])
    shown = np.abs(response) > 1e-12 * np.abs(response).max()  # of nothing there is no share
    tau = stats.kendalltau(response, mean).statistic if np.ptp(mean) > 0 else 0.0
    return HeldOut(
        n=n,
        folds=folds,
        rmse=float(np.sqrt(np.mean((response - mean) ** 2))),
        mape=float(np.mean(np.abs((response - mean)[shown] / response[shown]))),
        kendall_tau=float(tau),
        coverage=float(np.mean(ratios <= limits)),
        confidence=CONFIDENCE,
        r2=float(1 - np.mean((response - mean) ** 2) / response.var()),
    )
