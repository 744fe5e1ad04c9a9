"""The regression against statsmodels, scikit-learn and brute force."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import lsq_linear
from sklearn.linear_model import Ridge

from edgenas.core.errors import PredictorError
from edgenas.predictors import regression
from edgenas.predictors.base import TrainingData
from edgenas.predictors.linear import estimator, shrinkage
from edgenas.predictors.linear.posterior import plain, risen, shrunken
from edgenas.predictors.linear.shrinkage import Level

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
    ours = regression.fit(replace(data, plain=True), seed=0)
    theirs = sm.OLS(data.response, sm.add_constant(data.matrix)).fit()
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


def test_plain_least_squares_on_too_few_rows_is_refused():
    with pytest.raises(PredictorError, match="takes 23 rows"):
        regression.fit(replace(rows(20, 20, 1.0), plain=True), seed=0)


def test_one_level_equals_scikit_learn_ridge():
    data = rows(25, 20, 2.0)
    level = Level("alike", np.diag(1 / data.matrix.std(axis=0)))
    ours = regression.fit(replace(data, levels=(level,)), seed=0)
    scaled = data.matrix / data.matrix.std(axis=0)
    theirs = Ridge(alpha=1 / ours.levels["alike"]).fit(scaled, data.response)
    np.testing.assert_allclose(ours.params[1:], theirs.coef_ / data.matrix.std(axis=0), rtol=1e-6)
    np.testing.assert_allclose(ours.params[0], theirs.intercept_, rtol=1e-6)


def test_left_out_errors_equal_refitting_without_each_row():
    data = rows(25, 20, 2.0)
    levels = (Level("alike", np.eye(20)), Level("first", np.eye(20)[:, :5]))
    chosen = shrinkage.choose(data.matrix, data.response, levels)
    left_out = []
    for i in range(25):
        keep = np.arange(25) != i
        again = shrunken(data.matrix[keep], data.response[keep], levels, chosen.variances)
        left_out.append(data.response[i] - again.predict(data.matrix[i : i + 1])[0])
    np.testing.assert_allclose(chosen.projection.left_out(), left_out, rtol=1e-6)


def test_left_out_errors_equal_refitting_where_terms_are_few_and_noise_differs():
    data, rng = rows(40, 6, 2.0), np.random.default_rng(3)
    levels = (Level("alike", np.eye(6)), Level("first", np.eye(6)[:, :2]))
    spread = rng.uniform(0.5, 2.0, 40)
    chosen = shrinkage.choose(data.matrix, data.response, levels, noise=spread**2)
    left_out = []
    for i in range(40):
        keep = np.arange(40) != i
        here = data.matrix[keep], data.response[keep], levels, chosen.variances
        again = shrunken(*here, noise=spread[keep])
        left_out.append(data.response[i] - again.predict(data.matrix[i : i + 1])[0])
    np.testing.assert_allclose(chosen.projection.left_out(), left_out, rtol=1e-6)


def test_variances_are_the_same_in_the_directions_of_terms_and_of_rows():
    data, rng = rows(40, 6, 2.0), np.random.default_rng(4)
    levels = (Level("alike", np.eye(6)), Level("first", np.eye(6)[:, :2]))
    more = [Level(x.name, np.vstack([x.root, np.zeros((40, x.root.shape[1]))])) for x in levels]
    noise = rng.uniform(0.5, 2.0, 40)
    few = shrinkage.choose(data.matrix, data.response, levels, noise=noise)
    idle = np.hstack([data.matrix, rng.normal(size=(40, 40))])
    many = shrinkage.choose(idle, data.response, more, noise=noise)
    np.testing.assert_allclose(few.variances, many.variances, rtol=1e-4)
    assert few.deviance == pytest.approx(many.deviance, rel=1e-9)
    np.testing.assert_allclose(
        few.projection.apply(np.eye(40)), many.projection.apply(np.eye(40)), atol=1e-6
    )


def test_statsmodels_and_the_normal_equations_agree():
    data = rows(30, 8, 1.0)
    levels, variances = (Level("alike", np.eye(8)),), np.array([0.3])
    fast = shrunken(data.matrix, data.response, levels, variances)
    final = shrunken(data.matrix, data.response, levels, variances, final=True)
    np.testing.assert_allclose(fast.params, final.params, rtol=1e-8)
    np.testing.assert_allclose(fast.covariance, final.covariance, rtol=1e-8, atol=1e-10)
    assert fast.effective == pytest.approx(final.effective)


def test_variances_maximise_the_restricted_likelihood_of_statsmodels():
    """A random intercept by group is one level of indicators."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(30), 6)
    response = 10 + rng.normal(0, 2.0, 30)[group] + rng.normal(0, 1.0, 180)
    theirs = sm.MixedLM(response, np.ones((180, 1)), groups=group).fit(reml=True)
    marks = np.eye(30)[group]
    ours = shrinkage.choose(marks, response, (Level("groups", np.eye(30)),))
    # ours has a weak prior on the logarithm of the ratio
    ratio = theirs.cov_re[0, 0] / theirs.scale
    assert ours.variances[0] == pytest.approx(ratio, rel=0.03)


def test_residual_deviations_are_those_of_statsmodels():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(12), 3)
    response = 10 + rng.normal(0, 2.0, 12)[group] + rng.normal(0, 0.7, 36)
    theirs = sm.MixedLM(response, np.ones((36, 1)), groups=group).fit(reml=True)
    marks, levels = np.eye(12)[group], (Level("groups", np.eye(12)),)
    names = tuple(f"g{i}" for i in range(12))
    recipe = estimator.of(TrainingData("ms", "ms", names, marks, response, levels))
    recipe = replace(recipe, variances=np.array([theirs.cov_re[0, 0] / theirs.scale]))
    assert recipe.deviation(recipe.fit()) == pytest.approx(np.sqrt(theirs.scale), rel=1e-4)
    data = rows(30, 4, 2.0)
    least = estimator.of(replace(data, plain=True))
    known = sm.OLS(data.response, sm.add_constant(data.matrix)).fit()
    assert least.deviation(least.fit()) == pytest.approx(np.sqrt(known.mse_resid))


def test_costs_that_cannot_fall_match_a_bounded_least_squares():
    data = rows(60, 5, 3.0, seed=4)
    data.response[:] -= 2 * data.matrix[:, 1]
    fitted = plain(data.matrix, data.response)
    ours = risen(fitted, np.eye(5))
    exog = sm.add_constant(data.matrix)
    bounds = ([-np.inf, 0, 0, 0, 0, 0], np.inf)
    theirs = lsq_linear(exog, data.response, bounds, tol=1e-12).x
    assert fitted.params[2] < 0
    np.testing.assert_allclose(ours.params, theirs, rtol=1e-5, atol=1e-6)


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


def test_terms_that_never_vary_leave_the_mean():
    data = rows(30, 2, 1.0)
    fitted = regression.fit(replace(data, matrix=np.ones((30, 2))), seed=0)
    np.testing.assert_allclose(fitted.predict(np.ones((1, 2))), data.response.mean())
