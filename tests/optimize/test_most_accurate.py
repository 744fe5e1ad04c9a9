"""The most accurate networks within the limits of an FPGA, of all bits and of one number of bits:
against every network of the space."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.metrics import REGISTRY
from edgenas.core.records import Architecture, Limit
from edgenas.hardware.devices import DEVICES
from edgenas.hardware.pipeline import Pipeline
from edgenas.optimize.layout import Predictors
from edgenas.optimize.most_accurate import most_accurate, of_each_uniform_bits
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import TrainingData
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.bits import elastic_bits, of_uniform_bits

STAGES = tuple(StageSpec(width, 2, (1, 2), (3,), (1, 3)) for width in (8, 16))
PLAIN = MobileSpace("small", 4, 1, STAGES, 16, (12,), 10, 1)
SPACE = elastic_bits(PLAIN, (2, 4, 8), (2, 4, 8))
PIPELINE = Pipeline(DEVICES["pynq-z2"], 100.0, 5_000)


@pytest.fixture(scope="module")
def predictors() -> Predictors:
    rng = np.random.default_rng(0)
    sampled = list(dict.fromkeys(SPACE.sample(rng) for _ in range(60)))
    macs = np.array([sum(x.macs for x in SPACE.layers(one)) for one in sampled]) / 1e6
    bits = np.array([[min(x.weight_bits, x.input_bits) for x in SPACE.layers(one)]
                     for one in sampled], object)  # fmt: skip
    lost = np.array([0.3 * np.mean(4.0 ** -np.array(of, float)) for of in bits])
    truth = {"latency_ms": 0.1 + macs, "accuracy": 0.8 + 0.1 * np.log1p(macs) - lost}
    fitted = {}
    for name, values in truth.items():
        rows = TermRows(SPACE, REGISTRY[name].source)
        noisy = values + rng.normal(0, 0.004, len(sampled))
        data = TrainingData(name, "", rows.terms.names, rows.matrix(sampled), noisy)
        fitted[name] = plugins.load("predictors", "regression").fit(data, 0)
    counts = PIPELINE.counts()
    return Predictors(SPACE, fitted["latency_ms"], fitted["accuracy"], 0.9, of_hardware=counts)


@pytest.fixture(scope="module")
def every() -> list[Architecture]:
    choices = (SPACE.stage_choices(stage) for stage in range(len(SPACE.stages)))
    return [Architecture.of(SPACE.name, 12, of) for of in itertools.product(*choices)]


@pytest.mark.parametrize("luts", [4_000, 5_000, 6_500, 9_000])
def test_each_is_what_every_network_tried_gives(
    luts: float, predictors: Predictors, every: list[Architecture]
) -> None:
    counted = [PIPELINE.counts()["luts"](SPACE.layers(one)) for one in every]
    within = [one for one, luts_of in zip(every, counted, strict=True) if luts_of <= luts]
    predicted = dict(
        zip(
            every,
            predictors.accuracy.predict(predictors.rows("choices").matrix(every)),
            strict=True,
        )
    )
    limits = {"luts": Limit("luts", at_most=luts)}

    def greatest(of: list[Architecture]) -> float | None:
        return max((predicted[one] for one in of), default=None)

    def first(of: tuple[Architecture, ...]) -> float | None:
        return predicted[of[0]] if of else None

    chosen = most_accurate(predictors, limits, count=3)
    assert first(chosen) == pytest.approx(greatest(within))
    assert set(chosen) <= set(within) and len(set(chosen)) == len(chosen)
    assert sorted((predicted[one] for one in chosen), reverse=True) == [
        predicted[one] for one in chosen
    ]
    uniform = of_each_uniform_bits(predictors, limits)
    assert list(uniform) == [8, 4, 2]
    for bits, of in uniform.items():
        alike = [one for one in within if one == of_uniform_bits(one, bits)]
        assert first(of) == pytest.approx(greatest(alike))
        assert set(of) <= set(alike)


def test_where_nothing_keeps_the_limits_there_is_none(predictors: Predictors) -> None:
    limits = {"luts": Limit("luts", at_most=100.0)}
    assert most_accurate(predictors, limits) == ()
    assert of_each_uniform_bits(predictors, limits) == {8: (), 4: (), 2: ()}
