"""Noise that grows with the response: weights, intervals, and searches that rest on them."""

from __future__ import annotations

import hashlib
import json
import warnings

import numpy as np
import pytest

from edgenas.core.records import Architecture
from edgenas.explain.slow_kernels import kernel_networks
from edgenas.optimize.layout import Predictors, half_way, lay_out
from edgenas.optimize.optimizers import exact
from edgenas.optimize.plan import plan, with_usual_kernels
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors import regression
from edgenas.predictors.base import TrainingData
from edgenas.predictors.linear import noise as spread
from edgenas.predictors.linear.noise import Spread
from edgenas.predictors.linear.posterior import plain
from edgenas.predictors.linear.shrinkage import Level
from edgenas.spaces import mbv3_cpu

with warnings.catch_warnings():  # statsmodels 0.14 imports what pandas 3 deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    import statsmodels.api as sm

SPACE = mbv3_cpu.create(10, 1, 16)


def rows(n: int, power: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows [n, 4], means and responses, with noise that is a power of the mean."""
    rng = np.random.default_rng(seed)
    matrix = rng.gamma(0.7, 1.0, (n, 4))
    mean = 0.5 + matrix @ np.array([4.0, 2.0, 1.0, 0.5])
    return matrix, mean, mean + 0.1 * mean**power * rng.normal(size=n)


def fit(n: int, power: float, seed: int = 0) -> regression.Regression:
    matrix, _, response = rows(n, power, seed)
    return regression.fit(TrainingData("latency_ms", "ms", tuple("abcd"), matrix, response), 0)


def test_the_power_of_the_noise_is_found() -> None:
    assert fit(200, 1.0).spread.power == pytest.approx(1.0, abs=0.2)
    assert fit(200, 0.0).spread.power == 0.0


def test_intervals_cover_small_and_large_responses_alike() -> None:
    inside = []
    for seed in range(5):
        matrix, mean, response = rows(600, 1.0, seed)
        data = TrainingData("latency_ms", "ms", tuple("abcd"), matrix[:100], response[:100])
        found = regression.fit(data, 0).get_prediction(matrix[100:], 0.9)
        covered = (found.lower <= response[100:]) & (response[100:] <= found.upper)
        inside.append([part.mean() for part in np.array_split(covered[np.argsort(mean[100:])], 3)])
    assert np.abs(np.mean(inside, axis=0) - 0.9).max() < 0.05


def test_weighted_least_squares_equals_statsmodels() -> None:
    matrix, mean, response = rows(60, 1.0)
    ours = plain(matrix, response, mean)
    theirs = sm.WLS(response, sm.add_constant(matrix), weights=mean**-2.0).fit()
    np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-8)
    np.testing.assert_allclose(ours.covariance, theirs.normalized_cov_params, rtol=1e-8)
    assert ours.effective == 5


def test_no_mean_above_the_ceiling_keeps_the_limit() -> None:
    grown = Spread(0.8, floor=0.3, typical=10.0)
    for limit in (0.1, 0.5, 4.0, 300.0):
        ceiling = grown.ceiling(limit, quantile=0.7)
        upper = [m + 0.7 * grown.of(np.array([m]))[0] for m in (ceiling, ceiling + 1e-6)]
        assert upper[0] <= limit + 1e-9 < upper[1]


def test_a_response_that_is_not_positive_scatters_evenly() -> None:
    matrix, _, response = rows(50, 1.0)
    found, _ = spread.find(matrix, response - 5, (Level("own", np.eye(4)),))
    assert found.power == 0.0


def test_a_file_without_a_spread_still_loads() -> None:
    fitted = fit(40, 0.0)
    old = {k: v for k, v in fitted.to_json().items() if k not in ("spread", "sha256")}
    old["format"] = 1
    text = json.dumps(old, sort_keys=True, separators=(",", ":"))
    old["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    matrix = rows(5, 0.0, seed=1)[0]
    loaded = regression.load(old)
    np.testing.assert_array_equal(loaded.margin(matrix, 0.9), fitted.margin(matrix, 0.9))


def latency_ms(network: Architecture) -> float:
    """A made-up engine, 250 ms a million MACs of 7x7 depthwise and 0.02 of all else."""
    layers = SPACE.layers(network)
    slow = [x for x in layers if x.kind == "depthwise" and x.kernel_size == 7]
    usual = sum(0.004 * x.launches + 0.02 * x.macs / 1e6 for x in layers)
    return 0.1 + usual + 250 * sum(x.macs for x in slow) / 1e6


@pytest.fixture(scope="module")
def slow_at_seven() -> Predictors:
    """Predictors from 24 networks timed with 5 % noise; larger kernels are always more accurate."""
    rng = np.random.default_rng(0)
    drawn = [SPACE.sample(rng) for _ in range(150)]
    smallest, largest = SPACE.smallest(), SPACE.largest()
    first = [smallest, largest, with_usual_kernels(SPACE, largest)]
    first = list(dict.fromkeys([*first, *kernel_networks(SPACE).values()]))
    usual = [with_usual_kernels(SPACE, one) for one in drawn]
    pool = list(dict.fromkeys([*first, *drawn, *usual]))
    chosen = plan(SPACE, pool, len(first), set(), 24)
    noise = np.exp(0.05 * rng.standard_normal(len(chosen)))
    work, choices = TermRows(SPACE, "physical"), TermRows(SPACE, "choices")
    timed = np.array([latency_ms(one) for one in chosen]) * noise
    latency = TrainingData(
        "latency_ms", "ms", work.terms.names, work.matrix(chosen), timed, cost=True
    )
    kernels = np.array([sum(map(sum, one.kernel_sizes)) for one in chosen])
    accuracy = TrainingData(
        "accuracy", "fraction", choices.terms.names, choices.matrix(chosen), 0.5 + 0.002 * kernels
    )
    return Predictors(SPACE, regression.fit(latency, 0), regression.fit(accuracy, 0), 0.95)


def test_slow_networks_do_not_widen_the_bounds_of_fast_ones(slow_at_seven: Predictors) -> None:
    rng = np.random.default_rng(1)
    unseen = [with_usual_kernels(SPACE, SPACE.sample(rng)) for _ in range(40)]
    found = slow_at_seven.candidates(unseen)
    true_ms = np.array([latency_ms(one) for one in unseen])
    upper = np.array([one.latency_ms.upper for one in found])
    assert np.mean(true_ms <= upper) >= 0.9
    assert np.median(upper / true_ms) < 1.5


@pytest.mark.parametrize(
    "limit_ms", [4.0, pytest.param(None, marks=pytest.mark.slow)], ids=["4ms", "default"]
)
def test_the_search_avoids_the_slow_kernel(
    slow_at_seven: Predictors, limit_ms: float | None
) -> None:
    layout = lay_out(slow_at_seven)
    limit = half_way(layout, {7}) if limit_ms is None else limit_ms
    assert limit < 5
    found = exact.best_under(layout.problem, limit, seed=0, budget=exact.BUDGET, count=2)
    winners = [layout.architecture(point) for point in found.points]
    assert all(7 not in sum(winner.kernel_sizes, ()) for winner in winners)
    assert all(latency_ms(winner) <= limit for winner in winners)
    assert any(5 in sizes for sizes in winners[0].kernel_sizes)
