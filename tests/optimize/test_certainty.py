"""How sure the winner is, against draws of every network of a small space."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.records import Architecture
from edgenas.optimize import certainty
from edgenas.optimize.layout import Grid, Predictors
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors import regression
from edgenas.predictors.base import TrainingData
from edgenas.predictors.regression import Regression
from edgenas.spaces.base import MobileSpace

LIMIT_MS, DRAWS = 1.0, 400


@pytest.fixture(scope="module")
def space() -> MobileSpace:
    tiny: MobileSpace = plugins.load("spaces", "mbv3-tiny").create(10, 1, 16)
    stages = [
        replace(stage, depths=(1, 2), kernel_sizes=(3, 5), expand_ratios=(1, 4))
        for stage in tiny.stages[:2]
    ]
    return replace(tiny, resolutions=(12, 16), stages=tuple(stages))


@pytest.fixture(scope="module")
def predictors(space: MobileSpace) -> Predictors:
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(24)]
    macs = np.array([sum(x.macs for x in space.layers(one)) for one in drawn]) / 1e6
    scale = macs.mean()
    fitted = []
    for name, terms, response, noise in (
        ("latency_ms", "physical", macs / scale, 0.05),
        ("accuracy", "choices", 0.7 + 0.1 * np.log(macs / scale), 0.01),
    ):
        rows = TermRows(space, terms)
        measured = response + noise * rng.standard_normal(len(drawn))
        data = TrainingData(name, "", rows.terms.names, rows.matrix(drawn), measured)
        fitted.append(regression.fit(data, 0))
    return Predictors(space, fitted[0], fitted[1], 0.9)


@pytest.fixture(scope="module")
def networks(space: MobileSpace) -> list[Architecture]:
    grid = Grid.of(space)
    sizes = (len(space.resolutions), *map(len, grid.choices))
    return [grid.architecture(tuple(map(int, point))) for point in np.ndindex(*sizes)]


def _drawn(
    fitted: Regression, rows: TermRows, networks: list[Architecture], rng: np.random.Generator
) -> np.ndarray:
    """Return means of every network, of the coefficients and of DRAWS of them, [1 + d, n]."""
    covariance = fitted.scale * fitted.covariance
    params = rng.multivariate_normal(fitted.params, covariance, DRAWS, check_valid="ignore")
    matrix = np.column_stack([np.ones(len(networks)), rows.matrix(networks)])
    return np.vstack([fitted.params, params]) @ matrix.T


def test_shares_and_gains_are_those_of_all_networks_drawn(
    predictors: Predictors, networks: list[Architecture]
) -> None:
    latency, accuracy = predictors.latency, predictors.accuracy
    assert isinstance(latency, Regression) and isinstance(accuracy, Regression)
    rng = np.random.default_rng(1)
    costs = _drawn(latency, predictors.rows("physical"), networks, rng)
    costs += latency.least_margin(predictors.confidence)
    values = _drawn(accuracy, predictors.rows("choices"), networks, rng)

    def best(cost: np.ndarray, value: np.ndarray) -> int:
        return int(np.argmax(np.where(cost <= LIMIT_MS, value, -np.inf)))

    winner = best(costs[0], values[0])
    won = [best(cost, value) for cost, value in zip(costs[1:], values[1:], strict=True)]
    gains = {
        "latency_ms": np.mean([values[0, best(x, values[0])] for x in costs[1:]])
        - values[0, winner],
        "accuracy": np.mean([x[best(costs[0], x)] - x[winner] for x in values[1:]]),
    }
    found = certainty.find(predictors, LIMIT_MS, networks[winner], draws=DRAWS)
    assert found is not None
    for stage, shares in enumerate(found.stages):
        expected = Counter(str(networks[index].stages[stage]) for index in won)
        for text, share in shares[:3]:
            assert share == pytest.approx(expected[text] / DRAWS, abs=0.1)
    sizes = Counter(f"{networks[index].resolution}px" for index in won)
    assert found.sizes[0][1] == pytest.approx(sizes[found.sizes[0][0]] / DRAWS, abs=0.1)
    assert found.gains["accuracy"] == pytest.approx(gains["accuracy"], rel=0.5)
    assert found.gains["latency_ms"] == pytest.approx(gains["latency_ms"], rel=0.5, abs=5e-4)
    assert found.entropy_bits > 1


def test_what_is_known_exactly_is_certain(
    predictors: Predictors, networks: list[Architecture]
) -> None:
    exact = {
        name: replace(fitted, covariance=np.zeros_like(fitted.covariance))
        for name, fitted in (("latency", predictors.latency), ("accuracy", predictors.accuracy))
        if isinstance(fitted, Regression)
    }
    known = replace(predictors, **exact)
    first = certainty.find(known, LIMIT_MS, networks[0], draws=20)
    assert first is not None
    assert first.entropy_bits == 0
    assert first.sentence().startswith("The winner is certain in 2 of 2 stages (20 draws")
    assert first.gains["latency_ms"] == pytest.approx(first.gains["accuracy"])
    assert first.gains["accuracy"] > 0.01  # the first network is the smallest, not the best


def test_a_choice_that_draws_split_on_is_called_a_toss_up() -> None:
    two = (("k3e4", 0.52), ("k5e3", 0.45), ("k3e3", 0.03))
    gains = {"latency_ms": 0.001, "accuracy": 0.004}
    found = certainty.Certainty(200, (("16px", 1.0),), ((("k3e1", 1.0),), two), 1.2, gains)
    assert found.sentence() == (
        "The winner is certain in 1 of 2 stages; stage 2 is a toss-up between k3e4 and k5e3 "
        "(200 draws of what is not known yet). Knowing all latencies would gain 0.1 points, "
        "knowing what every network scores 0.4."
    )


def test_a_limit_that_no_draw_keeps_leaves_nothing_to_say(
    predictors: Predictors, networks: list[Architecture]
) -> None:
    assert certainty.find(predictors, -100.0, networks[0], draws=5) is None
