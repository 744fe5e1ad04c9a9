"""Explanations add up, and residuals are described as they are."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from edgenas.explain import diagnostics
from edgenas.predictors import regression
from edgenas.predictors.base import TrainingData


def fitted(slope: float = 2.0, seed: int = 0) -> regression.Regression:
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(0, 4, (60, 4))
    response = 5 + matrix @ np.array([slope, 0.5, 1.0, 0.0]) + rng.normal(0, 0.1, 60)
    terms = ("stage0.e", "stage0.k", "stage1.e", "stage1.k")
    return regression.fit(TrainingData("latency_ms", "ms", terms, matrix, response), seed)


def test_shares_sum_to_the_prediction_and_hold_the_truth():
    model, row = fitted(), np.array([1.0, 2.0, 3.0, 1.0])
    shares = diagnostics.breakdown(model, row, {"stage 1": (0, 1), "stage 2": (2, 3)}, 0.999)
    assert [share.group for share in shares] == ["everywhere", "stage 1", "stage 2"]
    assert sum(share.mean for share in shares) == pytest.approx(model.predict(row[None])[0])
    for share, truth in zip(shares, (5.0, 3.0, 3.0), strict=True):
        assert share.lower < truth < share.upper
    with pytest.raises(ValueError, match="two groups"):
        diagnostics.breakdown(model, row, {"a": (0,), "b": (0, 1)}, 0.9)


def test_residuals_are_described():
    rng = np.random.default_rng(0)
    predicted = rng.uniform(10, 100, 200)
    noise = rng.normal(0, 1, 200)
    (calm,) = diagnostics.diagnostics(predicted, predicted + noise)
    assert "noise" in calm
    assert "slow" in diagnostics.diagnostics(predicted, predicted + noise * predicted / 20)[0]
    bent = predicted + noise + (predicted - 55) ** 2 / 200
    assert any("curved" in text for text in diagnostics.diagnostics(predicted, bent))
    outlier = predicted + noise
    outlier[7] += 40
    assert any("row 8" in text for text in diagnostics.diagnostics(predicted, outlier))
    leverage = np.full(200, 0.01)
    leverage[7] = 0.9
    outlier[7] -= 38
    names = [f"network {i}" for i in range(200)]
    told = diagnostics.diagnostics(predicted, outlier, leverage, names)
    assert any("hangs on network 7 (Cook" in text for text in told)
    leverage[7] = 1.0
    told = diagnostics.diagnostics(predicted, outlier, leverage, names)
    assert any("hangs on network 7 (no other row says what it says)" in text for text in told)
    assert "too few" in diagnostics.diagnostics(predicted[:5], predicted[:5])[0]


def test_spread_and_influence_agree_with_statsmodels():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import statsmodels.api as sm
        from statsmodels.stats.diagnostic import het_breuschpagan
        from statsmodels.stats.outliers_influence import OLSInfluence
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x = rng.uniform(10, 20, 60)
        y = x + rng.normal(0, 0.1, 60) * (1 + (x - 10) * 0.12)
        x = np.append(x, 45.0)
        y = np.append(y, 45.0 + rng.normal(0, 1.5))
        results = sm.OLS(y, sm.add_constant(x)).fit()
        influence = OLSInfluence(results)
        told = diagnostics.diagnostics(results.fittedvalues, y, influence.hat_matrix_diag)
        tests = het_breuschpagan(results.resid, sm.add_constant(results.fittedvalues))
        assert any("Errors are larger" in text for text in told) == (tests[1] < 0.01)
        distance = influence.cooks_distance[0]
        expected = f"hangs on row {np.argmax(distance) + 1} (Cook's distance {distance.max():.1f})"
        assert any(expected in text for text in told) == (distance.max() > 1)


def test_rows_outside_what_was_measured_are_noticed():
    model = fitted()
    inside, far = model.outside(np.array([[2.0, 2.0, 2.0, 2.0], [9.0, 2.0, 2.0, 2.0]]))
    assert inside < 0.2
    assert far >= 1
