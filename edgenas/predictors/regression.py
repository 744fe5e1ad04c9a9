"""`regression`: linear regression on named terms, shrunk where rows are few, with honest intervals.

Ridge regression (Hoerl & Kennard 1970) on the standardised terms; the penalty has the least
leave-one-out error, computed from the hat matrix (Allen's PRESS), and is 0 (plain least squares)
where the rows allow it. Inference is by statsmodels; for a ridge on the rows stacked with its
penalty. Prediction intervals are conformal: the quantile of held-out errors over their standard
errors (Vovk et al. 2005; Barber et al. 2021, CV+).
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgenas.errors import PredictorError
from edgenas.predictors import document
from edgenas.predictors.base import Coefficient, HeldOut, Prediction, TrainingData

FOLDS = 10
CONFIDENCE = 0.9
PENALTIES = (0.0, *(10 ** (quarter / 4) for quarter in range(-16, 17)))
# Least squares is kept while a ridge predicts rows left out less than this much better.
WORTHWHILE = 0.98


@dataclass(frozen=True)
class Regression:
    """A fitted regression. Vectors and matrices are in the order (intercept, *terms).

    params : float64 [p + 1]. covariance : float64 [p + 1, p + 1], of the params, over `scale`.
    scale : residual variance, in unit². df_resid : rows minus effective parameters.
    scores : rising, float64 [n]: |held-out error| over its standard error with scale 1.
    vif : float64 [p], variance inflation factors; infinite for collinear terms.
    penalty : of the ridge on standardised terms; 0 is ordinary least squares.
    """

    name: str
    unit: str
    terms: tuple[str, ...]
    n: int
    heldout: HeldOut | None
    params: np.ndarray
    covariance: np.ndarray
    scale: float
    df_resid: float
    scores: np.ndarray
    vif: np.ndarray
    penalty: float
    rows_sha256: str

    @property
    def intercept(self) -> float:
        return float(self.params[0])

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Return the predicted means, float64 [n], of rows [n, p]."""
        return np.asarray(matrix @ self.params[1:] + self.params[0])

    def margin(self, matrix: np.ndarray, confidence: float) -> np.ndarray:
        """Return upper bound minus mean of two-sided prediction intervals, float64 [n]."""
        rows = with_intercept(matrix)
        variance = np.einsum("ij,ij->i", rows @ self.covariance, rows)
        return np.asarray(self._quantile(confidence) * np.sqrt(1.0 + np.maximum(variance, 0.0)))

    def least_margin(self, confidence: float) -> float:
        """Return a bound that no row's margin is below."""
        return self._quantile(confidence)

    def get_prediction(self, matrix: np.ndarray, confidence: float) -> Prediction:
        """Return means with two-sided prediction intervals of nominal `confidence`."""
        mean, margin = self.predict(matrix), self.margin(matrix, confidence)
        return Prediction(mean, mean - margin, mean + margin)

    def contrast(self, difference: np.ndarray, confidence: float) -> Prediction:
        """Return effects of term differences [n, p] (x1 - x0) with confidence intervals."""
        mean = difference @ self.params[1:]
        variance = np.einsum("ij,ij->i", difference @ self.covariance[1:, 1:], difference)
        margin = self._student(confidence) * np.sqrt(self.scale * np.maximum(variance, 0.0))
        return Prediction(mean, mean - margin, mean + margin)

    def coefficients(self, confidence: float) -> tuple[Coefficient, ...]:
        """Return the coefficient table, intercept first."""
        from scipy import stats

        bse = np.sqrt(self.scale * np.maximum(np.diag(self.covariance), 0.0))
        half = self._student(confidence) * bse
        tvalues = np.divide(self.params, bse, out=np.zeros_like(bse), where=bse > 0)
        pvalues = 2 * stats.t.sf(np.abs(tvalues), self.df_resid)
        limits = zip(self.params - half, self.params + half, strict=True)
        columns = (self.params, bse, tvalues, pvalues, limits, np.append(1.0, self.vif))
        return tuple(
            Coefficient(name, float(b), float(se), float(t), float(p), (float(lo), float(hi)), v)
            for name, b, se, t, p, (lo, hi), v in zip(
                ("intercept", *self.terms), *columns, strict=True
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Return all that `load` needs to give the same predictions, signed with its SHA-256."""
        return document.sealed("regression", self)

    def _student(self, confidence: float) -> float:
        from scipy import stats

        return float(stats.t.ppf(0.5 + check_confidence(confidence) / 2, self.df_resid))

    def _quantile(self, confidence: float) -> float:
        """Conformal quantile of the scores; where rows are too few, Student's over their spread."""
        rank = int(np.ceil((self.n + 1) * check_confidence(confidence)))
        if rank <= len(self.scores):
            return float(self.scores[rank - 1])
        spread = float(np.sqrt(np.mean(self.scores**2)))
        return max(float(self.scores[-1]), spread * self._student(confidence))


def fit(data: TrainingData, seed: int) -> Regression:
    """Fit `data`; `seed` draws the folds of the cross-validation.

    Raises
    ------
    PredictorError : too few rows, numbers that are not finite, or a constant response.
    """
    check(data)
    fitted = _fit(data)
    folds = min(FOLDS, data.matrix.shape[0])
    fold_of = np.random.default_rng(seed).permutation(data.matrix.shape[0]) % folds
    mean, error = np.empty_like(data.response), np.empty_like(data.response)
    for fold in range(folds):
        out = fold_of == fold
        part = _fit(replace(data, matrix=data.matrix[~out], response=data.response[~out]))
        rows = with_intercept(data.matrix[out])
        mean[out] = rows @ part.params
        error[out] = np.sqrt(1 + np.einsum("ij,ij->i", rows @ part.covariance, rows))
    ratios = np.abs(data.response - mean) / error
    fitted = replace(fitted, scores=np.sort(ratios))
    heldout = _heldout(data.response, mean, error, ratios, folds)
    return replace(fitted, heldout=heldout)


def load(document_: dict[str, Any]) -> Regression:
    """Return the predictor that `to_json` wrote; `PredictorError` if it was edited or is newer."""
    fitted = document.opened("regression", document_, Regression)
    size = len(fitted.terms) + 1
    shapes = fitted.params.shape, fitted.covariance.shape, fitted.vif.shape
    if shapes != ((size,), (size, size), (size - 1,)) or fitted.scores.ndim != 1:
        raise PredictorError(f"The predictor's numbers do not fit its {size - 1} terms.")
    return fitted


def check(data: TrainingData) -> None:
    """Raise `PredictorError` unless `data` can be fitted."""
    n, p = data.matrix.shape
    if p != len(data.terms) or data.response.shape != (n,):
        raise PredictorError(f"{data.name}: rows, terms and responses do not belong together.")
    if not (np.isfinite(data.matrix).all() and np.isfinite(data.response).all()):
        raise PredictorError(f"{data.name}: a term or a response is not a finite number.")
    if n < 5:
        raise PredictorError(
            f"{data.name}: {n} rows are too few to fit, at least 5 are needed.", "Measure more."
        )
    if np.ptp(data.response) == 0:
        raise PredictorError(f"{data.name}: every response is {data.response[0]:g}.")


def check_confidence(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise PredictorError(f"A confidence is between 0 and 1, not {confidence:g}.")
    return confidence


def with_intercept(matrix: np.ndarray) -> np.ndarray:
    """Return `matrix` [n, p] behind a column of ones, [n, p + 1]."""
    return np.column_stack([np.ones(matrix.shape[0]), matrix])


def _fit(data: TrainingData) -> Regression:
    """Fit without cross-validation: `scores` are the training residuals until then."""
    matrix, response = data.matrix, data.response
    spread = matrix.std(axis=0)
    live = spread > 1e-9 * (1e-300 + np.abs(matrix).max(axis=0, initial=0.0))
    rows = with_intercept(matrix[:, live])
    penalty = _penalty(rows[:, 1:], response)
    if penalty > 0:
        shrink = np.diag(np.sqrt(penalty) * spread[live])
        stacked = np.vstack([rows, np.column_stack([np.zeros(shrink.shape[0]), shrink])])
        results = least_squares(np.append(response, np.zeros(shrink.shape[0])), stacked)
    else:
        results = least_squares(response, rows)
    covariance = results.normalized_cov_params
    effective = float(np.einsum("ij,jk,ik->", rows, covariance, rows))
    df_resid = max(len(response) - effective, 1.0)
    residual = response - rows @ results.params
    place = np.append(True, live)
    params, full = np.zeros(place.size), np.zeros((place.size, place.size))
    params[place] = results.params
    full[np.ix_(place, place)] = covariance
    return Regression(
        name=data.name,
        unit=data.unit,
        terms=tuple(data.terms),
        n=len(response),
        heldout=None,
        params=params,
        covariance=full,
        scale=float(residual @ residual / df_resid),
        df_resid=df_resid,
        scores=np.sort(np.abs(residual)),
        vif=_inflation(matrix, live),
        penalty=penalty,
        rows_sha256=_rows_sha256(data),
    )


def least_squares(response: np.ndarray, rows: np.ndarray) -> Any:
    """Return the statsmodels results of ordinary least squares on `rows` as they are."""
    with warnings.catch_warnings():  # statsmodels 0.14 imports what pandas 3 deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        from statsmodels.regression.linear_model import OLS

    return OLS(response, rows).fit()


def _penalty(matrix: np.ndarray, response: np.ndarray) -> float:
    """Return the penalty of least leave-one-out error."""
    n, p = matrix.shape
    if p == 0:
        return 0.0
    standard = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    left, singular, _ = np.linalg.svd(standard, full_matrices=False)
    full_rank = n > p + 2 and singular[-1] > 1e-8 * singular[0]
    projected, centred = left.T @ response, response - response.mean()
    errors = {}
    for penalty in PENALTIES if full_rank else PENALTIES[1:]:
        kept = singular**2 / (singular**2 + penalty)
        leverage = 1 / n + (left**2) @ kept
        residual = (centred - left @ (kept * projected)) / np.maximum(1 - leverage, 1e-9)
        errors[penalty] = float(np.mean(residual**2))
    best = min(errors, key=errors.__getitem__)
    return 0.0 if errors.get(0.0, np.inf) * WORTHWHILE**2 <= errors[best] else best


def _inflation(matrix: np.ndarray, live: np.ndarray) -> np.ndarray:
    """Return the variance inflation of each term, float64 [p]; 1 for constant terms."""
    inflation = np.ones(matrix.shape[1])
    if live.sum() > 1:
        values, vectors = np.linalg.eigh(np.corrcoef(matrix[:, live], rowvar=False))
        null = values < 1e-9 * values[-1]
        inverse = (vectors[:, ~null] ** 2 / values[~null]).sum(axis=1)
        collinear = (vectors[:, null] ** 2).sum(axis=1) > 1e-9
        inflation[live] = np.where(collinear, np.inf, inverse)
    return inflation


def _heldout(
    response: np.ndarray, mean: np.ndarray, error: np.ndarray, ratios: np.ndarray, folds: int
) -> HeldOut:
    """Summarise held-out errors; each row's interval comes from the other rows' ratios."""
    from scipy import stats

    n = len(response)
    rank = min(int(np.ceil(n * CONFIDENCE)), n - 1)
    ordered = np.sort(ratios)
    # without row i, the rank-th ratio is the next one wherever row i's is not above it
    limits = np.where(ratios <= ordered[rank - 1], ordered[rank], ordered[rank - 1])
    shown = response != 0
    tau = stats.kendalltau(response, mean).statistic if np.ptp(mean) > 0 else 0.0
    return HeldOut(
        n=n,
        folds=folds,
        rmse=float(np.sqrt(np.mean((response - mean) ** 2))),
        mape=float(np.mean(np.abs((response - mean)[shown] / response[shown]))),
        kendall_tau=float(tau),
        coverage=float(np.mean(ratios <= limits)),
        confidence=CONFIDENCE,
    )


def _rows_sha256(data: TrainingData) -> str:
    digest = hashlib.sha256("\n".join(data.terms).encode())
    digest.update(np.ascontiguousarray(data.matrix, np.float64).tobytes())
    digest.update(np.ascontiguousarray(data.response, np.float64).tobytes())
    return digest.hexdigest()
