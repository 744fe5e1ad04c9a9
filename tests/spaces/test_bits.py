"""Bits as choices of stages: which there are, and the layers that they mean."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core.records import Architecture, from_json, to_json
from edgenas.spaces import mbv3_tiny
from edgenas.spaces.base import space_document
from edgenas.spaces.bits import elastic_bits, of_uniform_bits, uniform_bits

PLAIN = mbv3_tiny.create(10, 1, 16)
SPACE = elastic_bits(PLAIN, (8, 2, 4), (4, 8))


def test_every_stage_has_each_pair_of_bits_for_every_choice_of_its_blocks() -> None:
    for stage in range(len(PLAIN.stages)):
        plain, choices = PLAIN.stage_choices(stage), SPACE.stage_choices(stage)
        assert len(set(choices)) == len(choices) == 6 * len(plain) == SPACE.stages[stage].size()
        pairs = {(one.choices["weight_bits"][0], one.choices["activation_bits"][0])
                 for one in choices}  # fmt: skip
        assert pairs == {(w, a) for w in (2, 4, 8) for a in (4, 8)}
    assert SPACE.size == 6**3 * PLAIN.size


def test_a_stage_has_one_number_of_bits() -> None:
    rng = np.random.default_rng(0)
    for drawn in (SPACE.sample(rng) for _ in range(40)):
        assert SPACE.contains(drawn)
        for name, stages in drawn.others:
            assert all(len(set(of)) == 1 for of in stages), name
        for near in SPACE.neighbors(drawn):
            assert SPACE.contains(near) and near != drawn
    stage = SPACE.largest().stages[0]
    mixed = {**stage.choices, "weight_bits": (8, 2, 8)}
    network = Architecture.of(SPACE.name, 16, (type(stage).of(mixed), *SPACE.largest().stages[1:]))
    assert not SPACE.contains(network)


def test_activations_have_the_bits_inside_blocks_and_weights_everywhere_in_them() -> None:
    for layer in SPACE.layers(SPACE.smallest()):
        inside = layer.name.endswith(("expand", "depthwise"))
        in_block = layer.stage >= 0 and layer.kind != "add"
        assert layer.output_bits == (4 if inside else 8), layer
        assert layer.weight_bits == (2 if in_block else 8), layer
        reads = layer.name.endswith(("depthwise", "project"))
        assert layer.input_bits == (4 if reads else 8), layer


def test_the_largest_has_8_bits_and_is_the_plain_network() -> None:
    plain = PLAIN.layers(PLAIN.largest())
    assert SPACE.layers(SPACE.largest()) == plain


def test_networks_are_named_and_stored_with_their_bits() -> None:
    drawn = SPACE.sample(np.random.default_rng(1))
    assert from_json(to_json(drawn), Architecture, "one") == drawn
    assert "W" in str(drawn) and "A" in str(drawn)
    assert "bits" not in PLAIN.largest().key


def test_documents_of_spaces_without_bits_are_as_they_were() -> None:
    assert all("stage_wide" not in stage for stage in space_document(PLAIN)["stages"])
    assert all("stage_wide" in stage for stage in space_document(SPACE)["stages"])


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7])
def test_training_rounds_with_the_steps_of_least_error(bits: int) -> None:
    """Against every step, on normal values: within 2 % of the least squared error."""
    import torch

    from edgenas.supernet.fake_quant import fake_quantized, fake_quantized_weight

    values = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 50_000), np.float32))
    for found, of, levels in (
        (fake_quantized_weight(values, bits), values, 2 ** (bits - 1) - 1),
        (fake_quantized(values.relu(), bits), values.relu(), 2**bits - 1),
    ):
        low = -levels if of is values else 0
        least = min(
            float((torch.clamp((of / step).round(), low, levels) * step - of).square().mean())
            for step in np.linspace(0.01, 2.0, 400)
        )
        assert float((found - of).square().mean()) < 1.06 * least
        assert len(found.unique()) <= levels - low + 1


def test_bits_that_weights_and_activations_may_have_alike() -> None:
    assert uniform_bits(SPACE) == (8, 4)
    assert uniform_bits(elastic_bits(PLAIN, (2, 3, 8), (3, 2, 4))) == (3, 2)
    assert uniform_bits(elastic_bits(PLAIN, (2,), (4, 8))) == ()
    assert uniform_bits(PLAIN) == uniform_bits(elastic_bits(PLAIN, (4,), (4,))) == ()


def test_a_network_of_uniform_bits_is_the_same_but_for_its_bits() -> None:
    rng = np.random.default_rng(2)
    for drawn in (SPACE.sample(rng) for _ in range(5)):
        uniform = of_uniform_bits(drawn, 4)
        assert SPACE.contains(uniform)
        assert (uniform.kernel_sizes, uniform.expand_ratios) == (
            drawn.kernel_sizes,
            drawn.expand_ratios,
        )
        inside = [one for one in SPACE.layers(uniform) if one.stage >= 0 and one.kind != "add"]
        assert {one.weight_bits for one in inside} == {4}
