"""Predictors: from the terms of an architecture to a response, with intervals.

A member is a file with `fit(data: TrainingData, seed: int) -> FittedPredictor` and, to be read back
from its JSON, `load(document: dict) -> FittedPredictor`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from edgenas.predictors.shrinkage import Level
from edgenas.predictors.spread import Spread

EXTRAPOLATION = (
    "Outside what was measured, where intervals are no promise, is a row whose mean is less "
    "certain than that of any measured row predicted from all others, that is farther out in a "
    "term than its whole measured range, or that has a new category."
)


@dataclass(frozen=True)
class TrainingData:
    """Rows to fit.

    terms : term names, p of them; the intercept is not among them.
    matrix : float64 [n, p], one row an architecture.
    response : float64 [n], in `unit`.
    name, unit : what the response is called ("latency_ms") and measured in ("ms").
    levels : how coefficients vary together; () lets the predictor read it off the names.
    cost : more of any term never lowers the response. rising : instead, float64 [c, p]: sums of
        coefficients, one a row, that are not negative.
    plain : ordinary least squares, whatever the rows.
    logarithm : `response` is the natural logarithm of what is measured; errors are told of that.
    """

    name: str
    unit: str
    terms: tuple[str, ...]
    matrix: np.ndarray
    response: np.ndarray
    levels: tuple[Level, ...] = ()
    cost: bool = False
    rising: np.ndarray | None = None
    plain: bool = False
    logarithm: bool = False


@dataclass(frozen=True)
class Prediction:
    """Means and prediction-interval bounds, float64 [n] each, in the response's unit."""

    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True)
class Coefficient:
    """One line of the coefficient table; the statsmodels names."""

    name: str
    coef: float
    bse: float
    tvalue: float
    pvalue: float
    conf_int: tuple[float, float]
    vif: float


@dataclass(frozen=True)
class HeldOut:
    """Errors on rows that were left out of the fit (cross-validation).

    rmse : in the response's unit; mape : fraction; coverage : share of held-out rows inside their
    prediction interval of nominal `confidence`.
    """

    n: int
    folds: int
    rmse: float
    mape: float
    kendall_tau: float
    coverage: float
    confidence: float
    r2: float


class FittedPredictor(Protocol):
    """A fitted predictor. All matrices are [n, p] in the order of `terms`, without intercept."""

    name: str
    unit: str
    terms: tuple[str, ...]
    n: int
    heldout: HeldOut | None
    params: np.ndarray  # float64 [p + 1], intercept first
    covariance: np.ndarray  # float64 [p + 1, p + 1], of the params, over `scale`
    scale: float  # residual variance, in unit², of a typical row
    spread: Spread  # how the noise grows with the mean

    def student(self, confidence: float) -> float:
        """Return the two-sided quantile that confidence intervals of the params use."""
        ...

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Return the predicted means, float64 [n]."""
        ...

    def get_prediction(self, matrix: np.ndarray, confidence: float) -> Prediction:
        """Return means with two-sided prediction intervals of nominal `confidence`."""
        ...

    def margin(self, matrix: np.ndarray, confidence: float) -> np.ndarray:
        """Return upper bound minus mean of the prediction intervals, float64 [n]."""
        ...

    def least_margin(self, confidence: float) -> float:
        """Return a bound that the margin of no row is below."""
        ...

    def ceiling(self, limit: float, confidence: float) -> float:
        """Return a mean that no row whose upper bound is within `limit` is above."""
        ...

    def contrast(self, difference: np.ndarray, confidence: float) -> Prediction:
        """Return effects of term differences [n, p] (x1 - x0) with confidence intervals."""
        ...

    def leverage(self, matrix: np.ndarray) -> np.ndarray:
        """Return the variance of the predicted means over that of the noise there, float64 [n]."""
        ...

    def outside(self, matrix: np.ndarray) -> np.ndarray:
        """Return how far rows lie from what was measured, float64 [n]; over 1 is outside."""
        ...

    def coefficients(self, confidence: float) -> tuple[Coefficient, ...]:
        """Return the coefficient table, intercept first."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return all that `load` needs to give the same predictions; no pickle."""
        ...
