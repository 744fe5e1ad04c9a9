"""Networks that grow or are pruned towards a limit, on digits and a made-up board."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from edgenas.core.metrics import REGISTRY
from edgenas.core.progress import Silent
from edgenas.core.records import Limit
from edgenas.core.records.networks import HIDDEN_WIDTH
from edgenas.data import base
from edgenas.optimize.layout import Predictors
from edgenas.optimize.limits import keeps
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors import regression
from edgenas.predictors.base import TrainingData
from edgenas.runs.growing.rounds import Growing, epochs_of_rounds, grow, prune, random_subnet
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.resizing import hidden_widths
from edgenas.supernet.growing import GainSettings
from edgenas.supernet.recalibrate import calibration_images, recalibrate
from edgenas.supernet.settings import default_settings

SPACE = MobileSpace(
    *("grows", 4, 2),
    tuple(
        StageSpec(width, 1, (1, 2), (3,), (), others=((HIDDEN_WIDTH, (8, 16, 24, 32)),))
        for width in (6, 8)
    ),
    *(16, (16,), 10, 1),
)


@pytest.fixture(scope="module")
def growing() -> Growing:
    """From the smallest network, which takes half of the limit."""
    digits = base.load("digits", seed=0, progress=Silent())
    digits = replace(digits, train=digits.train.take(np.arange(256)))
    rng = np.random.default_rng(0)
    networks = [one for one, _ in zip(SPACE.distinct(rng), range(60), strict=False)]
    macs = np.array([sum(layer.macs for layer in SPACE.layers(one)) for one in networks])
    fitted = {}
    for name, unit in (("latency_ms", "ms"), ("accuracy", ""), ("energy_mj", "mJ")):
        rows = TermRows(SPACE, REGISTRY[name].source)
        values = 0.1 + 0.8 * macs / macs.max() * (1 + 0.01 * rng.standard_normal(len(macs)))
        names = rows.terms.names
        fitted[name] = regression.fit(
            TrainingData(name, unit, names, rows.matrix(networks), values), 0
        )
    energy = {"energy_mj": fitted.pop("energy_mj")}
    known = Predictors(SPACE, *fitted.values(), confidence=0.95, others=energy)
    (least,) = known.candidates([SPACE.smallest()])
    limits = {"latency_ms": Limit("latency_ms", at_most=2 * least["latency_ms"].upper)}
    gains = GainSettings(searched=6, measured=4, batch_size=64)
    settings = default_settings(digits, epochs=3, batch_size=32)
    return Growing(known, limits, digits, settings, Silent(), gains)


def test_a_network_grows_within_its_limit_and_loses_nothing_by_it(growing: Growing) -> None:
    start = SPACE.smallest()
    subnet = random_subnet(start, growing)
    recalibrate(subnet, calibration_images(subnet, growing.data), growing.data)
    grown, network, rounds = grow(subnet, start, growing)
    assert sum(one.epochs for one in rounds) == growing.settings.epochs
    assert network == rounds[-1].network
    assert grown.layers == SPACE.layers(network)
    widths = [hidden_widths(SPACE, one.network) for one in rounds]
    assert sum(widths[-1].values()) > sum(hidden_widths(SPACE, start).values())
    for before, after in itertools.pairwise(widths):
        assert all(after[place] >= width for place, width in before.items())
    at_most = growing.limits["latency_ms"].at_most
    assert at_most is not None
    for one in rounds:
        assert one.latency_ms.upper <= at_most
        assert one.real_drop > -1e-3  # a split never makes the loss much worse
    assert any(one.predicted_drop > 0 for one in rounds)


def test_a_network_grows_within_its_millijoules(growing: Growing) -> None:
    start = SPACE.smallest()
    (least,) = growing.predictors.candidates([start])
    limit = Limit("energy_mj", at_most=1.5 * least["energy_mj"].upper)
    short = replace(growing.settings, epochs=1)
    by_energy = replace(growing, limits={"energy_mj": limit}, settings=short)
    subnet = random_subnet(start, growing)
    recalibrate(subnet, calibration_images(subnet, growing.data), growing.data)
    _, network, _ = grow(subnet, start, by_energy)
    (candidate,) = growing.predictors.candidates([network])
    assert network != start
    assert limit.at_most is not None and candidate["energy_mj"].upper <= limit.at_most


def test_rounds_are_in_the_limit_of_each(growing: Growing) -> None:
    start = SPACE.smallest()
    (candidate,) = growing.predictors.candidates([start])
    first = candidate["latency_ms"].upper
    limits = [growing.limits_of_round(start, number, 3)["latency_ms"].at_most for number in (1, 3)]
    assert limits == pytest.approx([first * 2 ** (1 / 3), 2 * first])


def test_what_is_pruned_keeps_the_limit_and_the_channels_of_weight(growing: Growing) -> None:
    largest = SPACE.largest()
    (candidate,) = growing.predictors.candidates([largest])
    limit = Limit("latency_ms", at_most=0.7 * candidate["latency_ms"].upper)
    growing = replace(growing, limits={"latency_ms": limit})
    found = prune(random_subnet(largest, growing), largest, growing)
    assert found is not None
    subnet, network = found
    assert keeps(growing.predictors.candidates([network])[0].predicted, growing.limits.values())
    assert all(width >= 0.4 * 32 for width in hidden_widths(SPACE, network).values())
    assert network.depths == largest.depths
    assert subnet.layers == SPACE.layers(network)


def test_nothing_is_pruned_to_a_limit_that_the_floor_does_not_reach(growing: Growing) -> None:
    tight = replace(growing, limits={"latency_ms": Limit("latency_ms", at_most=1e-3)})
    largest = SPACE.largest()
    assert prune(random_subnet(largest, tight), largest, tight) is None


@pytest.mark.parametrize(("epochs", "rounds"), [(1, [1]), (2, [1, 1]), (12, [2, 2, 8])])
def test_most_epochs_are_in_the_last_round(epochs: int, rounds: list[int]) -> None:
    assert epochs_of_rounds(epochs) == rounds
