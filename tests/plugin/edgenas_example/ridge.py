"""`ridge`: least squares with a small penalty on scaled terms; intervals from held-out errors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgenas.core.errors import PredictorError
from edgenas.core.records.fitted import HeldOut
from edgenas.predictors.base import Prediction, TrainingData
from edgenas.predictors.linear import sealed
from edgenas.predictors.linear.cross_validation import validate
from edgenas.predictors.regression import check

PENALTY = 1e-3


@dataclass(frozen=True)
class Ridge:
    """params : float64 [p + 1], intercept first. scores : rising, |held-out errors|, in the unit.
    low, high : float64 [p], the range of each term in the rows."""

    name: str
    unit: str
    terms: tuple[str, ...]
    n: int
    heldout: HeldOut | None
    params: np.ndarray
    scores: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        return np.asarray(self.params[0] + matrix @ self.params[1:])

    def error(self, matrix: np.ndarray) -> np.ndarray:
        return np.ones(len(matrix))

    def get_prediction(self, matrix: np.ndarray, confidence: float) -> Prediction:
        rank = min(int(np.ceil((self.n + 1) * confidence)), self.n)
        mean, margin = self.predict(matrix), self.scores[rank - 1]
        return Prediction(mean, mean - margin, mean + margin)

    def outside(self, matrix: np.ndarray) -> np.ndarray:
        span = np.where(self.high > self.low, self.high - self.low, np.inf)
        beyond = np.maximum(self.low - matrix, matrix - self.high) / span
        return np.asarray(1 + np.nan_to_num(beyond).max(axis=1, initial=-1.0))

    def to_json(self) -> dict[str, Any]:
        return sealed.sealed("ridge", self)


def fit(data: TrainingData, seed: int) -> Ridge:
    """Fit `data`; `seed` draws the folds."""
    check(data)
    every = np.ones(len(data.response), bool)
    validation = validate(data.matrix, data.response, lambda kept: _fit(data, kept), 5, seed)
    return replace(_fit(data, every), heldout=validation.summary, scores=validation.scores)


def load(document: dict[str, Any]) -> Ridge:
    """Return the predictor that `to_json` wrote."""
    fitted = sealed.opened("ridge", document, Ridge)
    if fitted.params.shape != (len(fitted.terms) + 1,) or not fitted.scores.size:
        raise PredictorError("The predictor's numbers do not fit its terms.", sealed.AGAIN)
    return fitted


def _fit(data: TrainingData, kept: np.ndarray) -> Ridge:
    matrix, response = data.matrix[kept], data.response[kept]
    centre, scale = matrix.mean(axis=0), matrix.std(axis=0)
    scale = np.where(scale > 1e-12, scale, 1.0)
    rows = (matrix - centre) / scale
    penalty = PENALTY * len(rows) * np.eye(rows.shape[1])
    slopes = np.linalg.solve(rows.T @ rows + penalty, rows.T @ (response - response.mean())) / scale
    params = np.concatenate(([response.mean() - centre @ slopes], slopes))
    low, high = matrix.min(axis=0), matrix.max(axis=0)
    return Ridge(
        data.name, data.unit, tuple(data.terms), len(rows), None, params, np.ones(1), low, high
    )
