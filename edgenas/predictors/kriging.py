"""`kriging`: a Gaussian process over the terms, for responses that are no sums of them.

The covariance of two rows x and y, each term scaled to unit spread over the p terms, is

    linear * x'y / p + curved * exp(-|x - y|^2 / (2 p length^2)) + noise * [x is y]

(Rasmussen and Williams 2006, eqs 2.25, 2.26 and 5.1); the four numbers maximise the likelihood of
the rows. Prediction intervals are conformal, as those of `regression` are: quantiles of held-out
errors over their standard errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgenas.core.errors import PredictorError
from edgenas.core.records.fitted import HeldOut
from edgenas.predictors.base import Prediction, TrainingData
from edgenas.predictors.linear import sealed
from edgenas.predictors.linear.cross_validation import validate
from edgenas.predictors.regression import FOLDS, check, check_confidence

# log of (linear, curved, length, noise) over the variance of the response: starts and bounds
_STARTS = ((0.0, -2.0, 0.0, -4.0), (-2.0, 0.0, 0.0, -3.0))
_BOUNDS = ((-9.0, 4.0), (-9.0, 4.0), (-2.3, 2.3), (-14.0, 1.0))


@dataclass(frozen=True)
class Kriging:
    """A fitted Gaussian process over rows of terms.

    rows : float64 [n * p], the measured rows. centre, scale : float64 [p], of each term.
    mean : of the response. amplitudes : linear, curved and noise, in unit^2. length : of the curve.
    weights : float64 [n], inverse covariance times (response - mean).
    inverse : float64 [n, n], inverse covariance of the rows.
    scores : rising, float64 [n]: |held-out error| over its standard error.
    reach : greatest variance of a measured row as predicted from all others.
    """

    name: str
    unit: str
    terms: tuple[str, ...]
    n: int
    heldout: HeldOut | None
    rows: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    mean: float
    amplitudes: tuple[float, float, float]
    length: float
    weights: np.ndarray
    inverse: np.ndarray
    scores: np.ndarray
    reach: float

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Return the predicted means, float64 [n], of rows [n, p]."""
        return np.asarray(self.mean + self._across(matrix) @ self.weights)

    def error(self, matrix: np.ndarray) -> np.ndarray:
        """Return the standard errors of single responses, float64 [n]."""
        return np.sqrt(self._variance(matrix) + self.amplitudes[2])

    def get_prediction(self, matrix: np.ndarray, confidence: float) -> Prediction:
        """Return means with two-sided prediction intervals of nominal `confidence`."""
        rank = int(np.ceil((self.n + 1) * check_confidence(confidence)))
        quantile = float(self.scores[min(rank, self.n) - 1])
        if rank > self.n:  # too few scores to see that far: as if they were normal
            from scipy import special

            spread = float(np.sqrt(np.mean(self.scores**2)))
            quantile = max(quantile, spread * float(special.ndtri(0.5 + confidence / 2)))
        mean, margin = self.predict(matrix), quantile * self.error(matrix)
        return Prediction(mean, mean - margin, mean + margin)

    def outside(self, matrix: np.ndarray) -> np.ndarray:
        """Return how far rows lie from what was measured, float64 [n]; over 1 is outside."""
        return self._variance(matrix) / self.reach

    def to_json(self) -> dict[str, Any]:
        """Return all that `load` needs to give the same predictions, signed with its SHA-256."""
        return sealed.sealed("kriging", self)

    def _variance(self, matrix: np.ndarray) -> np.ndarray:
        """Return the variance of the means, float64 [n]."""
        linear, curved, _ = self.amplitudes
        scaled, across = self._scaled(matrix), self._across(matrix)
        own = linear * (scaled**2).mean(axis=1) + curved
        return np.maximum(own - np.einsum("ij,jk,ik->i", across, self.inverse, across), 0.0)

    def _across(self, matrix: np.ndarray) -> np.ndarray:
        measured = self._scaled(self.rows.reshape(self.n, -1))
        return _covariance(self._scaled(matrix), measured, *self.amplitudes[:2], self.length)

    def _scaled(self, matrix: np.ndarray) -> np.ndarray:
        return np.asarray((matrix - self.centre) / self.scale)


def fit(data: TrainingData, seed: int) -> Kriging:
    """Fit `data`; `seed` draws the folds of the cross-validation.

    Raises
    ------
    PredictorError : too few rows, numbers that are not finite, or a constant response.
    """
    check(data)
    likeliest = _likeliest(data, _STARTS)
    fitted = _process(data, likeliest)

    if data.plain or data.logarithm:
        raise PredictorError(
            f"{data.name}: kriging takes responses as they are, of networks.",
            "Use the predictor regression.",
        )

    def refit(kept: np.ndarray) -> Kriging:
        part = replace(data, matrix=data.matrix[kept], response=data.response[kept])
        return _process(part, _likeliest(part, (tuple(likeliest),)))

    validation = validate(
        data.matrix, data.response, refit, FOLDS, seed, network=data.network, runs=data.runs
    )
    # variance of the mean of each measured row as predicted from the others: 1 / K^-1_ii - noise
    alone = 1 / np.diag(fitted.inverse) - fitted.amplitudes[2]
    return replace(
        fitted,
        heldout=validation.summary,
        scores=validation.scores,
        reach=max(float(alone.max()), 1e-12 * float(data.response.var())),
    )


def load(document: dict[str, Any]) -> Kriging:
    """Return the predictor that `to_json` wrote; `PredictorError` if it was edited or is newer."""
    fitted = sealed.opened("kriging", document, Kriging)
    n, p = fitted.n, len(fitted.terms)
    shapes = (fitted.rows.shape, fitted.centre.shape, fitted.scale.shape, fitted.weights.shape)
    if shapes != ((n * p,), (p,), (p,), (n,)) or fitted.inverse.shape != (n, n) or n < 1:
        raise PredictorError("The predictor's numbers do not fit its terms.", sealed.AGAIN)
    if fitted.scores.ndim != 1 or not fitted.scores.size or not (fitted.scale > 0).all():
        raise PredictorError("The predictor's numbers are not those of a fit.", sealed.AGAIN)
    if fitted.reach <= 0 or fitted.length <= 0 or min(fitted.amplitudes) < 0:
        raise PredictorError("The predictor's numbers are not those of a fit.", sealed.AGAIN)
    return fitted


def _covariance(
    rows: np.ndarray, others: np.ndarray, linear: float, curved: float, length: float
) -> np.ndarray:
    """Return the covariance without noise of scaled rows [n, p] and [m, p], float64 [n, m]."""
    p = max(rows.shape[1], 1)
    products = rows @ others.T
    squares = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None] - 2 * products
    falling = np.exp(-np.maximum(squares, 0.0) / (2 * p * length**2))
    return np.asarray(linear * products / p + curved * falling)


def _standardised(data: TrainingData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    centre, scale = data.matrix.mean(axis=0), data.matrix.std(axis=0)
    scale = np.where(scale > 1e-12 * np.abs(centre), scale, 1.0)
    return (data.matrix - centre) / scale, centre, scale


def _likeliest(data: TrainingData, starts: Sequence[tuple[float, ...]]) -> np.ndarray:
    """Return the logarithms of (linear, curved, length, noise) that the rows are likeliest with."""
    from scipy import linalg, optimize

    rows, _, _ = _standardised(data)
    response = (data.response - data.response.mean()) / max(float(data.response.std()), 1e-300)

    def deviance(logs: np.ndarray) -> float:
        linear, curved, length, noise = np.exp(logs)
        covariance = _covariance(rows, rows, linear, curved, length)
        covariance[np.diag_indices(len(rows))] += noise + 1e-10
        factor = linalg.cholesky(covariance, lower=True)
        white = linalg.solve_triangular(factor, response, lower=True)
        return float(white @ white / 2 + np.log(np.diag(factor)).sum())

    found = [
        optimize.minimize(deviance, start, method="L-BFGS-B", bounds=_BOUNDS) for start in starts
    ]
    return np.asarray(min(found, key=lambda one: one.fun).x)


def _process(data: TrainingData, logs: np.ndarray) -> Kriging:
    """Return the process with those numbers, before anything was held out."""
    rows, centre, scale = _standardised(data)
    variance = max(float(data.response.var()), 1e-300)
    linear, curved, length, noise = np.exp(logs)
    amplitudes = linear * variance, curved * variance, (noise + 1e-10) * variance
    covariance = _covariance(rows, rows, amplitudes[0], amplitudes[1], length)
    covariance[np.diag_indices(len(rows))] += amplitudes[2]
    inverse = np.linalg.inv(covariance)
    inverse = (inverse + inverse.T) / 2
    mean = float(data.response.mean())
    return Kriging(
        name=data.name,
        unit=data.unit,
        terms=tuple(data.terms),
        n=len(rows),
        heldout=None,
        rows=data.matrix.ravel(),
        centre=centre,
        scale=scale,
        mean=mean,
        amplitudes=(float(amplitudes[0]), float(amplitudes[1]), float(amplitudes[2])),
        length=float(length),
        weights=inverse @ (data.response - mean),
        inverse=inverse,
        scores=np.ones(1),
        reach=1.0,
    )
