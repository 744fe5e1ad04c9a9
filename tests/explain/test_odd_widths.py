"""Whether a multiple of 8 is advised follows from what the predictor learnt, not from the rule."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.records import Architecture
from edgenas.explain.odd_widths import odd_widths, sentences
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import Additive, TrainingData
from edgenas.spaces import mbv3_tiny, mbv3_tiny_free

SPACE = mbv3_tiny.create(10, 1, 16)  # its second stage is 12 wide: 36 channels at ratio 3
ROWS = TermRows(SPACE, "physical")
NETWORK = Architecture(SPACE.name, 16, ((3,), (3, 5), (3,)), ((4,), (1, 3), (2,)))


def fitted(rest_ms: float) -> Additive:
    """A predictor of networks that take a ms for each million MACs, and so much for rests of 8."""
    rng = np.random.default_rng(2)
    sampled = [SPACE.sample(rng) for _ in range(200)]
    matrix = ROWS.matrix(sampled)
    rest = [name.endswith("rest_of_eights_mmac") for name in ROWS.terms.names]
    macs = np.array([sum(one.macs for one in SPACE.layers(each)) / 1e6 for each in sampled])
    times = 0.2 + macs + rest_ms * matrix[:, rest].sum(axis=1) + rng.normal(0, 1e-3, 200)
    data = TrainingData("latency_ms", "ms", ROWS.terms.names, matrix, times)
    predictor = plugins.load("predictors", "regression").fit(data, 0)
    assert isinstance(predictor, Additive)
    return predictor


def test_the_blocks_with_a_rest_are_found_with_what_a_wider_one_changes() -> None:
    # stage 2: 8 -> 8 channels inside (ratio 1 of the 8 that come in), then 12 -> 36
    (one,) = odd_widths(ROWS, NETWORK)
    assert (one.stage, one.block, one.width, one.wider) == (2, 2, 36, 40)
    change = dict(zip(ROWS.terms.names, one.difference, strict=True))
    pixels = 8 * 8  # 16 px after a stride of 2
    assert change["stage1.conv1x1_mmac"] == pytest.approx(2 * 4 * 12 * pixels / 1e6)
    assert change["stage1.depthwise_mmac"] == pytest.approx(4 * 25 * pixels / 1e6)
    rest = change["stage1.depthwise_rest_of_eights_mmac"]
    assert rest == pytest.approx(-4 * 25 * pixels / 1e6)  # 36 % 8 channels, no longer alone
    assert not any(change[name] for name in change if name.startswith(("stage0", "stage2")))


def test_a_multiple_of_8_is_advised_where_the_rest_is_dear() -> None:
    (said,) = sentences(ROWS, fitted(rest_ms=20.0), NETWORK, 0.9)
    assert said.startswith("Block 2 of stage 2 has 36 channels inside")
    assert "make it a multiple of 8. With 40 it is predicted to take" in said


def test_nothing_is_advised_where_more_channels_cost_more() -> None:
    assert sentences(ROWS, fitted(rest_ms=0.0), NETWORK, 0.9) == ()


def test_a_space_of_eights_has_nothing_to_advise() -> None:
    space = mbv3_tiny_free.create(10, 1, 16)
    rows = TermRows(space, "physical")
    for seed in range(5):
        assert not list(odd_widths(rows, space.sample(np.random.default_rng(seed))))
