"""Tables whose names tell nothing: few of many columns, curves, interactions, and products."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LinearRegression

from edgenas.core.errors import PredictorError
from edgenas.predictors.linear import effect_widths, shrinkage
from edgenas.predictors.linear.posterior import shrunken
from edgenas.predictors.linear.shrinkage import Level
from edgenas.predictors.tables import regression
from edgenas.predictors.tables.effects import explanation
from edgenas.predictors.tables.regression import TableRegression

TEST = 600
Columns = dict[str, np.ndarray]


def powers(n: int, seed: int, noise: float = 0.04) -> tuple[Columns, np.ndarray]:
    """A response over three decades: a product of powers."""
    rng = np.random.default_rng(seed)
    columns = {
        "channels": 2.0 ** rng.integers(3, 10, n),
        "pixels": np.square(rng.choice([7.0, 14.0, 28.0, 56.0], n)),
        "batch": rng.choice([1.0, 2.0, 4.0], n),
    }
    mean = 1e-4 * columns["channels"] ** 0.9 * columns["pixels"] ** 0.7 * columns["batch"] ** 0.8
    return columns, mean * rng.lognormal(0, noise, n)


def split(columns: Columns, n: int) -> tuple[Columns, Columns]:
    return {k: v[:n] for k, v in columns.items()}, {k: v[n:] for k, v in columns.items()}


def rmse(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.sqrt(np.mean((first - second) ** 2)))


def test_effects_that_multiply_are_told_in_percent_with_intervals_in_the_unit():
    columns, response = powers(40 + TEST, 1)
    train, test = split(columns, 40)
    fitted = TableRegression().fit({**train, "latency_ms": response[:40]}, "latency_ms")
    report = fitted.report()
    assert report["logarithm"] and "multiply" in " ".join(report["notes"])
    x = np.log(np.column_stack(list(columns.values())))
    known = LinearRegression().fit(x[:40], np.log(response[:40]))
    found = fitted.get_prediction(test)
    off = np.log(found.mean) - np.log(response[40:])
    assert np.sqrt(np.mean(off**2)) < 1.25 * rmse(known.predict(x[40:]), np.log(response[40:]))
    assert (found.lower > 0).all() and (found.lower < found.mean).all()
    assert 0.82 < np.mean((found.lower <= response[40:]) & (response[40:] <= found.upper)) < 0.97
    share = np.mean(np.abs(found.mean / response[40:] - 1))
    assert report["heldout"]["mape"] == pytest.approx(share, rel=0.3)
    explained = explanation(fitted, 0.95)
    assert (explained["unit"], explained["effects_in"]) == ("ms", "%")
    effects = {x["change"]: x for x in explained["effects"]}
    effect = effects["batch: 4 instead of 1"]
    assert effect["lower"] < 100 * (4**0.8 - 1) < effect["upper"]
    assert effect["upper"] - effect["lower"] < 50


def test_a_predictor_of_logarithms_is_saved_and_looked_up():
    columns, response = powers(60, 2)
    fitted = TableRegression().fit({**columns, "ms": response}, "ms")
    again = regression.load(json.loads(json.dumps(fitted.to_json())))
    np.testing.assert_allclose(again.predict(columns), fitted.predict(columns), rtol=1e-12)
    np.testing.assert_allclose(
        again.predict(columns), again.get_prediction(columns).mean, rtol=1e-9
    )
    far = {name: np.full(1, 1e90) for name in columns}
    assert np.isfinite(fitted.predict(far)).all()


def test_sums_over_a_decade_stay_sums():
    rng = np.random.default_rng(3)
    columns = {f"ops_{chr(97 + i)}": rng.geometric(0.1, 80).astype(float) for i in range(4)}
    response = 2 + sum(columns.values()) + rng.normal(0, 1, 80)
    assert response.max() > 5 * response.min() > 0
    assert not TableRegression().fit({**columns, "ms": response}, "ms").fitted.logarithm
    forced = TableRegression().fit({**columns, "ms": response}, "ms", logarithm=True)
    assert forced.fitted.logarithm and "log(ms)" not in forced.regression.terms
    few = {"a": columns["ops_a"][:20], "ms": response[:20]}
    drawn = TableRegression().fit(few, "ms", logarithm=True, bootstrap=20).report()
    assert drawn["bootstrap"] == 20 and abs(drawn["terms"][0]["ci95"][1]) < 20
    with pytest.raises(PredictorError, match="not positive"):
        TableRegression().fit({**columns, "y": response - 50}, "y", logarithm=True)


def test_one_interaction_of_many_is_found_better_than_by_a_gaussian_process():
    rng = np.random.default_rng(0)
    counts = rng.poisson(2, (100 + TEST, 12)).astype(float)
    response = 5 + counts @ np.linspace(0.2, 2, 12) + 0.3 * counts[:, 0] * counts[:, 1]
    response += rng.normal(0, 0.5, 100 + TEST)
    columns = {f"count{chr(97 + i)}": values for i, values in enumerate(counts.T)}
    train, test = split(columns, 100)
    fitted = TableRegression().fit({**train, "top1": response[:100]}, "top1")
    found = fitted.get_prediction(test)
    kernel = ConstantKernel(1.0) * RBF(3.0) + WhiteKernel(0.1)
    standard = (counts - counts[:100].mean(axis=0)) / counts[:100].std(axis=0)
    peer = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    theirs = peer.fit(standard[:100], response[:100]).predict(standard[100:])
    assert rmse(found.mean, response[100:]) < 0.95 * rmse(theirs, response[100:])
    assert 0.84 < np.mean(np.abs(found.mean - response[100:]) < found.upper - found.mean) < 0.96
    terms = fitted.report()["terms"]
    products = {x["name"]: abs(x["coef"]) for x in terms if "*" in x["name"]}
    assert max(products, key=products.__getitem__) == "counta * countb"


def test_coefficients_are_those_of_least_squares_on_the_rows_stacked_with_the_prior():
    rng = np.random.default_rng(5)
    matrix = rng.normal(2, 1, (30, 4))
    response = matrix @ [1, 0.5, 0, 0] + rng.normal(0, 0.3, 30)
    levels = [Level("own", np.eye(4)), Level("shared", np.ones((4, 1)))]
    chosen = shrinkage.choose(matrix, response, levels)
    found, intercept = shrinkage.coefficients(matrix, response, levels, chosen)
    stacked = shrunken(matrix, response, levels, chosen.variances, final=True)
    np.testing.assert_allclose(np.append(intercept, found), stacked.params, atol=1e-8)


def test_widths_that_saw_a_row_flatter_its_error_and_rows_left_out_do_not():
    """30 columns of noise: nothing can be predicted, least of all by the largest effects."""
    rng = np.random.default_rng(6)
    matrix, response = rng.normal(size=(40, 30)), rng.normal(size=40)
    pairs = np.repeat(np.arange(30)[:, None], 2, axis=1)
    levels = (Level("own", np.eye(30)), Level("by effect", np.zeros((30, 0)), pairs))
    levels = effect_widths.inherit(matrix, response, levels, np.zeros(2))
    chosen = shrinkage.choose(matrix, response, levels)
    out = effect_widths.held_out(matrix, response, levels, chosen.variances)
    assert sorted(out.rows.tolist()) == list(range(40))
    honest = np.mean((response[out.rows] - out.mean) ** 2)
    assert honest > 0.9 * response.var()
    assert honest > chosen.projection.error()
