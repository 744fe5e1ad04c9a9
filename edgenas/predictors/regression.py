"""`regression`: linear regression on named terms, shrunk in levels, with honest intervals.

The levels come from the terms' names (vocabulary.py) unless the data bring their own; their
variances are chosen from the rows (shrinkage.py). Plain least squares is kept where the rows allow
it. Inference is by statsmodels. Prediction intervals are conformal: quantiles of held-out errors
over their standard errors.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from edgenas.core.counted import counted
from edgenas.core.errors import PredictorError
from edgenas.core.records.fitted import Coefficient, HeldOut
from edgenas.predictors.base import Prediction, TrainingData
from edgenas.predictors.linear import estimator, sealed
from edgenas.predictors.linear.cross_validation import Refit, validate
from edgenas.predictors.linear.noise import EVEN, Spread
from edgenas.predictors.linear.posterior import Posterior, inflation, variance_of_means

FOLDS = 5
LEAST_ROWS = 5


@dataclass(frozen=True)
class Regression:
    """A fitted regression. Vectors and matrices are in the order (intercept, *terms).

    params : float64 [p + 1]. covariance : float64 [p + 1, p + 1], of the params, over `scale`.
    scale : residual variance, in unit². df_resid : rows minus effective parameters.
    scores : rising, float64 [n], or that many quantiles of more: |held-out error| over its standard
        error with scale 1.
    vif : float64 [p], variance inflation factors; infinite for collinear terms.
    levels : variance of each level over `scale`; none if the fit is plain least squares.
    low, high : float64 [p], range of each term in the rows.
    reach : greatest leverage of a measured row as predicted from all others; 1, as uncertain as one
        measurement, in files that do not have it.
    spread : how the noise grows with the mean; `scale` is that of a typical row.
    light : how many rows count for less than half, as errors have heavy tails (`student.find`).
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
    levels: dict[str, float]
    low: np.ndarray
    high: np.ndarray
    rows_sha256: str
    reach: float = 1.0
    spread: Spread = EVEN
    light: int = 0

    @property
    def intercept(self) -> float:
        return float(self.params[0])

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Return the predicted means, float64 [n], of rows [n, p]."""
        return np.asarray(matrix @ self.params[1:] + self.params[0])

    def margin(self, matrix: np.ndarray, confidence: float) -> np.ndarray:
        """Return upper bound minus mean of two-sided prediction intervals, float64 [n]."""
        noise = self.spread.of(self.predict(matrix))
        error = np.sqrt(noise**2 + variance_of_means(matrix, self.covariance))
        return np.asarray(self._quantile(confidence) * error)

    def least_margin(self, confidence: float) -> float:
        """Return a bound that no row's margin is below."""
        return self._quantile(confidence) * self.spread.least

    def ceiling(self, limit: float, confidence: float) -> float:
        """Return a mean that no row whose upper bound is within `limit` is above."""
        return self.spread.ceiling(limit, self._quantile(confidence))

    def get_prediction(self, matrix: np.ndarray, confidence: float) -> Prediction:
        """Return means with two-sided prediction intervals of nominal `confidence`."""
        mean, margin = self.predict(matrix), self.margin(matrix, confidence)
        return Prediction(mean, mean - margin, mean + margin)

    def contrast(self, difference: np.ndarray, confidence: float) -> Prediction:
        """Return effects of term differences [n, p] (x1 - x0) with confidence intervals."""
        mean = difference @ self.params[1:]
        variance = np.einsum("ij,ij->i", difference @ self.covariance[1:, 1:], difference)
        margin = self.student(confidence) * np.sqrt(self.scale * np.maximum(variance, 0.0))
        return Prediction(mean, mean - margin, mean + margin)

    def coefficients(self, confidence: float) -> tuple[Coefficient, ...]:
        """Return the coefficient table, intercept first."""
        from scipy import special

        bse = np.sqrt(self.scale * np.maximum(np.diag(self.covariance), 0.0))
        half = self.student(confidence) * bse
        tvalues = np.divide(self.params, bse, out=np.zeros_like(bse), where=bse > 0)
        pvalues = 2 * special.stdtr(self.df_resid, -np.abs(tvalues))
        limits = zip(self.params - half, self.params + half, strict=True)
        columns = (self.params, bse, tvalues, pvalues, limits, np.append(1.0, self.vif))
        return tuple(
            Coefficient(
                *(name, float(b), float(se), float(t), float(p), (float(lo), float(hi))),
                vif=float(v) if np.isfinite(v) else None,
            )
            for name, b, se, t, p, (lo, hi), v in zip(
                ("intercept", *self.terms), *columns, strict=True
            )
        )

    def leverage(self, matrix: np.ndarray) -> np.ndarray:
        """Return the variance of the predicted means over that of the noise there, float64 [n]."""
        noise = self.spread.of(self.predict(matrix))
        return np.asarray(variance_of_means(matrix, self.covariance) / noise**2)

    def outside(self, matrix: np.ndarray, ranged: np.ndarray | None = None) -> np.ndarray:
        """Return how far rows lie from what was measured, float64 [n]; over 1 is outside.

        The variance of the predicted mean over the greatest that a measured row has as predicted
        from all others (leverage; Weisberg 1985, 5.1). Rows with a term farther out than its whole
        measured range, or that differ in what never varied, are infinitely far.

        ranged : bool [p], the terms whose range counts (not those of products); None means all.
        """
        span = self.high - self.low
        idle = np.diag(self.covariance)[1:] <= 0
        slack = np.where(span > 0, span, np.where(idle, 0.0, np.inf)) + 1e-9 * np.abs(self.high)
        beyond = (matrix < self.low - slack) | (matrix > self.high + slack)
        if ranged is not None:
            beyond &= ranged
        beyond = beyond.any(axis=1)
        return np.where(beyond, np.inf, self.leverage(matrix) / self.reach)

    def to_json(self) -> dict[str, Any]:
        """Return all that `load` needs to give the same predictions, signed with its SHA-256."""
        return sealed.sealed("regression", self)

    def student(self, confidence: float) -> float:
        """Return the quantile of Student's t that two-sided confidence intervals take."""
        from scipy import special  # scipy.stats takes a second to import

        return float(special.stdtrit(self.df_resid, 0.5 + check_confidence(confidence) / 2))

    def _quantile(self, confidence: float) -> float:
        """Conformal quantile of the scores; where rows are too few, Student's over their spread."""
        rank = int(np.ceil((len(self.scores) + 1) * check_confidence(confidence)))
        if rank <= len(self.scores):
            return float(self.scores[rank - 1])
        spread = float(np.sqrt(np.mean(self.scores**2)))
        return max(float(self.scores[-1]), spread * self.student(confidence))


class Fitting(Protocol):
    """How coefficients come from rows; `recipe.Recipe` is one.

    noise : float64 [n], relative standard deviations of the rows' noise: as `spread` has them, over
    the square root of what each row counts. light : how many count for less than half.
    """

    @property
    def spread(self) -> Spread: ...
    @property
    def noise(self) -> np.ndarray: ...
    @property
    def light(self) -> int: ...
    def fit(self, final: bool = False) -> Posterior: ...
    def refit(self, kept: np.ndarray) -> Posterior: ...
    def named_variances(self) -> dict[str, float]: ...


def fit(
    data: TrainingData, seed: int, *, refit: Refit | None = None, folds: int = FOLDS
) -> Regression:
    """Fit `data`; `seed` draws the folds of the cross-validation.

    refit : what predicts rows left out, where terms were chosen from rows that are too few for the
        choice to be free; None refits the terms of `data`.

    Raises
    ------
    PredictorError : too few rows, numbers that are not finite, or a constant response.
    """
    check(data)
    if data.plain and len(data.response) < len(data.terms) + 3:
        raise PredictorError(
            f"{data.name}: plain least squares on {len(data.terms)} terms takes "
            f"{len(data.terms) + 3} rows or more, not {len(data.response)}.",
            "Use --terms auto, or measure more.",
        )
    return assembled(data, estimator.of(data), seed, refit=refit, folds=folds)


def assembled(
    data: TrainingData,
    made: Fitting,
    seed: int,
    *,
    refit: Refit | None = None,
    folds: int = FOLDS,
) -> Regression:
    """Return the regression of `data` with coefficients as they are `made`; `fit` says the rest."""
    matrix, response = data.matrix, data.response
    fitted = made.fit(final=True)
    validation = validate(
        matrix,
        response,
        made.refit if refit is None else refit,
        folds,
        seed,
        logarithm=data.logarithm,
        network=data.network,
        runs=data.runs,
    )
    df_resid = max(len(response) - fitted.effective, 1.0)
    residual = (response - fitted.predict(matrix)) / made.noise
    found = Regression(
        name=data.name,
        unit=data.unit,
        terms=tuple(data.terms),
        n=len(response),
        heldout=validation.summary,
        params=fitted.params,
        covariance=fitted.covariance,
        scale=float(residual @ residual / df_resid),
        df_resid=df_resid,
        scores=validation.scores,
        vif=inflation(matrix),
        levels=made.named_variances(),
        low=matrix.min(axis=0),
        high=matrix.max(axis=0),
        rows_sha256=_rows_sha256(data),
        spread=made.spread,
        light=made.light,
    )
    return replace(found, reach=greatest_left_out(found.leverage(matrix)))


def estimate(data: TrainingData) -> Posterior:
    """Return the coefficients alone, as `fit` chooses and shrinks them; nothing is validated."""
    return estimator.of(data).fit()


def load(document: dict[str, Any]) -> Regression:
    """Return the predictor that `to_json` wrote; `PredictorError` if it was edited or is newer."""
    fitted = sealed.opened("regression", document, Regression)
    size = len(fitted.terms) + 1
    shapes = fitted.params.shape, fitted.covariance.shape, fitted.vif.shape
    if shapes != ((size,), (size, size), (size - 1,)) or fitted.scores.ndim != 1:
        raise PredictorError(f"The predictor's numbers do not fit its {size - 1} terms.")
    ranges = fitted.low.shape, fitted.high.shape
    above_zero = fitted.df_resid, fitted.reach, fitted.spread.floor, fitted.spread.typical
    whole = ranges == ((size - 1,), (size - 1,)) and fitted.scores.size and fitted.n > 0
    if not whole or min(above_zero) <= 0 or fitted.scale < 0:
        raise PredictorError("The predictor's numbers are not those of a fit.", sealed.AGAIN)
    return fitted


def check(data: TrainingData) -> None:
    """Raise `PredictorError` unless `data` can be fitted."""
    n, p = data.matrix.shape
    if p != len(data.terms) or data.response.shape != (n,):
        raise PredictorError(f"{data.name}: rows, terms and responses do not belong together.")
    if not (np.isfinite(data.matrix).all() and np.isfinite(data.response).all()):
        raise PredictorError(f"{data.name}: a term or a response is not a finite number.")
    if n < LEAST_ROWS:
        raise PredictorError(
            f"{data.name}: {counted(n, 'row is', 'rows are')} too few to fit, at least "
            f"{LEAST_ROWS} are needed.",
            "Measure more.",
        )
    if np.ptp(data.response) == 0:
        raise PredictorError(f"{data.name}: every response is {data.response[0]:g}.")


def check_confidence(confidence: float) -> float:
    """Return `confidence` if it is one."""
    if not 0 < confidence < 1:
        raise PredictorError(f"A confidence is between 0 and 1, not {confidence:g}.")
    return confidence


def greatest_left_out(leverage: np.ndarray) -> float:
    """Return the greatest leverage [n] that a row has in the fit of all others."""
    alone = leverage > 0.999  # nothing else says what these rows say
    left_out = leverage[~alone] / (1 - leverage[~alone])
    return max(float(left_out.max(initial=0.0)), float(alone.any()), 1e-12)


def _rows_sha256(data: TrainingData) -> str:
    digest = hashlib.sha256("\n".join(data.terms).encode())
    digest.update(np.ascontiguousarray(data.matrix, np.float64).tobytes())
    digest.update(np.ascontiguousarray(data.response, np.float64).tobytes())
    return digest.hexdigest()
