"""Where LUTs go in words, against the estimates of the whole networks."""

from __future__ import annotations

import re

import pytest

from edgenas.core.records import Architecture
from edgenas.explain.hardware import sentences
from edgenas.hardware.devices import DEVICES
from edgenas.hardware.pipeline import Pipeline
from edgenas.spaces import mbv3_tiny
from edgenas.spaces.bits import elastic_bits

PIPELINE = Pipeline(DEVICES["pynq-z2"], 100.0, 2000)
PLAIN = mbv3_tiny.create(10, 1, 16)
SPACE = elastic_bits(PLAIN, (2, 4, 8), (4, 8))


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_the_parts_add_up_to_the_whole() -> None:
    said = sentences(PIPELINE, PLAIN, PLAIN.largest())
    assert len(said) == 2 and all("stimated" in text for text in said)
    luts = [number(one) for one in re.findall(r"([\d,]+) LUTs", said[0])]
    blocks = [int(one) for one in re.findall(r"(\d+) block RAMs", said[0])]
    assert len(luts) == 1 + 1 + len(PLAIN.stages)
    assert luts[0] == pytest.approx(sum(luts[1:]), abs=3)
    assert blocks[0] == sum(blocks[1:])


def test_bits_are_compared_at_the_throughput_of_the_network_that_is_as_fast_as_it_goes() -> None:
    network = SPACE.smallest()
    filled = PIPELINE.filling({"luts": 20_000, "dsps": 220, "bram18": 280})
    rate = filled.estimate(SPACE.layers(network)).images_per_s
    assert rate > 2 * PIPELINE.images_per_s
    assert sentences(filled, SPACE, network) == sentences(PIPELINE.at(rate), SPACE, network)
    assert f"{rate:,.0f} images/s" in sentences(filled, SPACE, network)[1]


def test_other_bits_cost_what_the_changed_network_takes() -> None:
    network = SPACE.largest()
    said = sentences(PIPELINE, SPACE, network)[2:]
    assert len(said) == 2 * len(SPACE.stages)  # each could have fewer
    first = next(text for text in said if "4 instead of 8 bits for the weights of stage 1" in text)
    stage = network.stages[0]
    fewer = type(stage).of({**stage.choices, "weight_bits": (4,) * stage.depth})
    changed = Architecture.of(SPACE.name, network.resolution, (fewer, *network.stages[1:]))
    less = [PIPELINE.estimate(SPACE.layers(one)).luts for one in (changed, network)]
    found = re.search(r"([+-][\d,]+) LUTs", first)
    assert found is not None and number(found[1]) == pytest.approx(less[0] - less[1], abs=1)
