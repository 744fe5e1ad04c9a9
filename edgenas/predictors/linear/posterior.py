"""From chosen variances to coefficients and covariance; monotone costs; plain least squares."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgenas.core.errors import PredictorError
from edgenas.predictors import definite
from edgenas.predictors.linear.noise import EVEN, Spread
from edgenas.predictors.linear.shrinkage import Level

MOST_STEPS = 30  # of non-negative least squares, times the constraints


@dataclass(frozen=True)
class Posterior:
    """Coefficients in the order (intercept, *terms).

    params : float64 [p + 1]. covariance : float64 [p + 1, p + 1], over the residual variance.
    effective : how many parameters the rows were spent on (trace of the hat matrix).
    spread : of the noise around the mean.
    """

    params: np.ndarray
    covariance: np.ndarray
    effective: float
    spread: Spread = EVEN

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        return np.asarray(matrix @ self.params[1:] + self.params[0])

    def error(self, matrix: np.ndarray) -> np.ndarray:
        """Return the standard errors of new responses, over the residual one, float64 [n]."""
        noise = self.spread.of(self.predict(matrix))
        return np.asarray(np.sqrt(noise**2 + variance_of_means(matrix, self.covariance)))


def variance_of_means(matrix: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return x' covariance x of rows x = (1, *matrix[i]), float64 [n]."""
    rows = with_intercept(matrix)
    variance = np.einsum("ij,ij->i", rows @ covariance, rows)
    return np.asarray(np.maximum(variance, 0.0))


def with_intercept(matrix: np.ndarray) -> np.ndarray:
    """Return `matrix` [n, p] behind a column of ones, [n, p + 1]."""
    return np.column_stack([np.ones(matrix.shape[0]), matrix])


def least_squares(rows: np.ndarray, response: np.ndarray, method: str = "pinv") -> Any:
    """Return the statsmodels results of ordinary least squares on `rows` as they are."""
    with warnings.catch_warnings():  # statsmodels 0.14 imports what pandas 3 deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        from statsmodels.regression.linear_model import OLS

    return OLS(response, rows).fit(method=method)


def shrunken(
    matrix: np.ndarray,
    response: np.ndarray,
    levels: Sequence[Level],
    variances: np.ndarray,
    final: bool = False,
    *,
    noise: np.ndarray | None = None,
) -> Posterior:
    """Return the coefficients under the levels' prior, for rows [n, p] and responses [n].

    noise : float64 [n], relative standard deviations of the rows' noise; None for 1.
    final : by statsmodels, as least squares on the rows stacked with the prior; else by the normal
        equations, which is faster and the same to rounding.
    """
    mean = matrix.mean(axis=0)
    root = merged(levels, variances) if levels else np.zeros((matrix.shape[1], 0))
    rows = with_intercept((matrix - mean) @ root)
    if noise is not None:
        rows, response = rows / noise[:, None], response / noise
    gram = rows.T @ rows
    if not final:
        return from_normal_equations(gram, rows.T @ response, root, mean)
    prior = np.eye(rows.shape[1])[1:]
    stacked, padded = np.vstack([rows, prior]), np.append(response, np.zeros(len(prior)))
    results = least_squares(stacked, padded, "qr")
    return _in_terms(results.params, results.normalized_cov_params, gram, root, mean)


def from_normal_equations(
    gram: np.ndarray,
    right: np.ndarray,
    root: np.ndarray,
    mean: np.ndarray,
    shrunken: bool = True,
) -> Posterior:
    """Return the coefficients from `gram` [q + 1, q + 1] and `right` [q + 1], the sums of rows
    (1, (terms - mean) @ root), root [p, q]; they have the prior variance 1 if `shrunken`."""
    if shrunken:
        prior = np.diag(np.append(0.0, np.ones(len(gram) - 1)))
        covariance, _ = definite.inverse(gram + prior, "normal equations")
    else:
        covariance = np.linalg.pinv(gram, hermitian=True)
    return _in_terms(covariance @ right, covariance, gram, root, mean)


def _in_terms(
    inner: np.ndarray, covariance: np.ndarray, gram: np.ndarray, root: np.ndarray, mean: np.ndarray
) -> Posterior:
    """Return coefficients of rows (1, (terms - mean) @ root) as those of (1, terms)."""
    back = np.zeros((len(mean) + 1, len(inner)))
    back[0, 0], back[1:, 1:], back[0, 1:] = 1.0, root, -mean @ root
    effective = float(np.sum(covariance * gram))
    spread = back @ covariance @ back.T
    return Posterior(back @ inner, (spread + spread.T) / 2, effective)


def merged(levels: Sequence[Level], variances: np.ndarray) -> np.ndarray:
    """Return one root of the levels' summed prior covariance, float64 [p, q], q at most p."""
    parts = [level.root * np.sqrt(v) for level, v in zip(levels, variances, strict=True) if v > 0]
    root = np.hstack([np.zeros((levels[0].root.shape[0], 0)), *parts])
    if root.shape[1] <= root.shape[0]:
        return root
    prior = root @ root.T
    return definite.factor(prior + np.diag(1e-9 * np.diag(prior) + 1e-300), "terms' prior")


def plain(matrix: np.ndarray, response: np.ndarray, noise: np.ndarray | None = None) -> Posterior:
    """Return least squares on the terms that vary; the others' coefficients are 0.

    noise : float64 [n], relative standard deviations of the rows' noise; None for 1.
    """
    live = np.append(True, np.ptp(matrix, axis=0) > 0)
    rows = with_intercept(matrix)[:, live]
    if noise is not None:
        rows, response = rows / noise[:, None], response / noise
    results = least_squares(rows, response)
    params, covariance = np.zeros(live.size), np.zeros((live.size, live.size))
    params[live], covariance[np.ix_(live, live)] = results.params, results.normalized_cov_params
    return Posterior(params, covariance, float(results.model.rank))


def risen(fitted: Posterior, rising: np.ndarray) -> Posterior:
    """Return the likeliest coefficients b with rising @ b >= 0 (rising: [c, p], no intercept).

    Minimises (b - params)' covariance^-1 (b - params) under the constraints, by its dual, which is
    a non-negative least squares problem (Lawson & Hanson 1974). The covariance is kept: the
    constraint can only have narrowed it.
    """
    from scipy.optimize import nnls

    slack = rising @ fitted.params[1:]
    if slack.size == 0 or slack.min() >= 0:
        return fitted
    moves = fitted.covariance[:, 1:] @ rising.T  # [p + 1, c]
    quadratic = rising @ moves[1:]
    jitter = 1e-9 * np.trace(quadratic) / len(slack)
    factor = definite.factor(quadratic + jitter * np.eye(len(slack)), "covariance of the costs").T
    try:
        force, _ = nnls(factor, -np.linalg.solve(factor.T, slack), maxiter=MOST_STEPS * len(slack))
    except RuntimeError as problem:
        raise PredictorError(
            f"Costs that may not fall with more work cannot be fitted: {problem}.", definite.HINT
        ) from problem
    return replace(fitted, params=fitted.params + moves @ force)


def inflation(matrix: np.ndarray) -> np.ndarray:
    """Return the variance inflation factor of each term, float64 [p]: infinite for collinear
    terms, 1 for constant ones."""
    factors = np.ones(matrix.shape[1])
    live = np.ptp(matrix, axis=0) > 0
    if live.sum() > 1:
        values, vectors = np.linalg.eigh(np.corrcoef(matrix[:, live], rowvar=False))
        null = values < 1e-9 * values[-1]
        inverse = (vectors[:, ~null] ** 2 / values[~null]).sum(axis=1)
        collinear = (vectors[:, null] ** 2).sum(axis=1) > 1e-9
        factors[live] = np.where(collinear, np.inf, inverse)
    return factors
