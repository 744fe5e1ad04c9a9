"""The regression against statsmodels, scikit-learn and brute force."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from edgenas.errors import PredictorError
from edgenas.predictors import regression
from edgenas.predictors.base import TrainingData

with warnings.catch_warnings():  # statsmodels 0.14 imports what pandas 3 deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    import statsmodels.api as sm
    from statsmodels.stats.outliers_influence import variance_inflation_factor


def rows(n: int, p: int, noise: float, seed: int = 0) -> TrainingData:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(2, 1, (n, p)) * np.arange(1, p + 1)
    response = 7 + matrix @ (1 / np.arange(1, p + 1)) + rng.normal(0, noise, n)
    return TrainingData("latency_ms", "ms", tuple(f"t{i}" for i in range(p)), matrix, response)


def test_least_squares_equals_statsmodels():
    data = rows(80, 6, 0.05)
    ours = regression.fit(data, seed=0)
    theirs = sm.OLS(data.response, sm.add_constant(data.matrix)).fit()
    assert ours.penalty == 0
    table = ours.coefficients(0.95)
    np.testing.assert_allclose([x.coef for x in table], theirs.params, rtol=1e-8)
    np.testing.assert_allclose([x.bse for x in table], theirs.bse, rtol=1e-8)
    np.testing.assert_allclose([x.pvalue for x in table], theirs.pvalues, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose([x.conf_int for x in table], theirs.conf_int(0.05), rtol=1e-8)
    exog = sm.add_constant(data.matrix)
    vif = [variance_inflation_factor(exog, i) for i in range(1, 7)]
    np.testing.assert_allclose([x.vif for x in table[1:]], vif, rtol=1e-8)
    effect = ours.contrast(np.eye(6)[:1] * 2, 0.9)
    test = theirs.t_test(np.eye(7)[1:2] * 2).conf_int(0.1)
    np.testing.assert_allclose([effect.lower[0], effect.upper[0]], test[0], rtol=1e-8)


def test_ridge_equals_scikit_learn():
    data = rows(25, 20, 2.0)
    ours = regression.fit(data, seed=0)
    assert ours.penalty > 0
    spread = data.matrix.std(axis=0)
    theirs = Ridge(alpha=ours.penalty).fit(data.matrix / spread, data.response)
    np.testing.assert_allclose(ours.params[1:], theirs.coef_ / spread, rtol=1e-6)
    np.testing.assert_allclose(ours.intercept, theirs.intercept_, rtol=1e-6)


def test_the_penalty_has_the_least_error_on_rows_left_out():
    data = rows(25, 20, 2.0)
    chosen = regression.fit(data, seed=0).penalty

    def left_out(penalty: float) -> float:
        squares = []
        spread = data.matrix.std(axis=0)
        scaled = data.matrix / spread
        for i in range(25):
            keep = np.arange(25) != i
            # the penalty is per standardised term, so the scale of all rows is kept
            model = Ridge(alpha=penalty).fit(scaled[keep], data.response[keep])
            squares.append((model.predict(scaled[i : i + 1])[0] - data.response[i]) ** 2)
        return float(np.mean(squares))

    errors = {penalty: left_out(penalty) for penalty in regression.PENALTIES[1:]}
    assert errors[chosen] == min(errors.values())


def test_collinear_and_constant_terms_have_infinite_and_unit_inflation():
    data = rows(60, 4, 0.1)
    matrix = np.column_stack([data.matrix, data.matrix[:, 0] + data.matrix[:, 1], np.ones(60)])
    data = replace(data, matrix=matrix, terms=("a", "b", "c", "d", "a+b", "one"))
    vif = dict(zip(data.terms, regression.fit(data, seed=0).vif, strict=True))
    assert np.isinf([vif["a"], vif["b"], vif["a+b"]]).all()
    assert vif["c"] < 2
    assert vif["one"] == 1


def test_a_wrong_confidence_is_refused():
    fitted = regression.fit(rows(30, 2, 0.1), seed=0)
    with pytest.raises(PredictorError, match="between 0 and 1"):
        fitted.least_margin(95)
