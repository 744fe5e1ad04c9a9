"""Predictors: from the terms of an architecture to a response, with intervals.

A member is a module with `fit(data: TrainingData, seed: int) -> FittedPredictor` and, to be read
back from its JSON, `load(document: dict) -> FittedPredictor`; `kind` in that JSON is its name.

Where predictions are sums over the terms, `fit` returns an `Additive`: then `exact` searches
with a proof, and `explain` says what each choice costs. Any other is searched by an optimizer that
only evaluates points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from edgenas.core.records.fitted import Coefficient, HeldOut
from edgenas.predictors.linear.noise import Spread
from edgenas.predictors.linear.shrinkage import Level


@dataclass(frozen=True)
class Runs:
    """Repeated runs of networks. row : int64 [m], the row that each run is of. response : float64
    [m], what it took; a row's response is the mean of its runs'."""

    row: np.ndarray
    response: np.ndarray


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
    network : int64 [n], rows of one network are left out together; None: rows of equal terms are.
    runs : the runs that rows are means of, for errors of single runs; None if rows are runs.
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
    network: np.ndarray | None = None
    runs: Runs | None = None


@dataclass(frozen=True)
class Prediction:
    """Means and prediction-interval bounds, float64 [n] each, in the response's unit."""

    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class FittedPredictor(Protocol):
    """A fitted predictor. All matrices are [n, p] in the order of `terms`, without intercept."""

    @property
    def name(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def terms(self) -> tuple[str, ...]: ...

    @property
    def n(self) -> int: ...

    @property
    def heldout(self) -> HeldOut | None: ...

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Return the predicted means, float64 [n]."""
        ...

    def get_prediction(self, matrix: np.ndarray, confidence: float) -> Prediction:
        """Return means with two-sided prediction intervals of nominal `confidence`."""
        ...

    def outside(self, matrix: np.ndarray) -> np.ndarray:
        """Return how far rows lie from what was measured, float64 [n]; over 1 is outside."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return all that `load` needs to give the same predictions; no pickle."""
        ...


@runtime_checkable
class Additive(FittedPredictor, Protocol):
    """A predictor whose mean is an intercept and a sum over the terms."""

    params: np.ndarray  # float64 [p + 1], intercept first
    covariance: np.ndarray  # float64 [p + 1, p + 1], of the params, over `scale`
    scale: float  # residual variance, in unit², of a typical row
    spread: Spread  # how the noise grows with the mean

    def student(self, confidence: float) -> float:
        """Return the two-sided quantile that confidence intervals of the params use."""
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

    def coefficients(self, confidence: float) -> tuple[Coefficient, ...]:
        """Return the coefficient table, intercept first."""
        ...
