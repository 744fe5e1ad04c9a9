"""What every space promises; members are enrolled by being there."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgenas import plugins
from edgenas.errors import InputError
from edgenas.records import Architecture, Layer, StageChoice, from_json, to_json
from edgenas.spaces.base import MobileSpace, StageSpec

CASES = [(name, size) for name in plugins.names("spaces") for size in (16, 28, 32, 64, 224)]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}px")
def space(request: pytest.FixtureRequest) -> MobileSpace:
    name, image_size = request.param
    made: MobileSpace = plugins.load("spaces", name).create(7, 3, image_size)
    assert made.name == name
    return made


def drawn(space: MobileSpace, count: int) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(count))]


def test_samples_are_of_the_space_and_survive_json(space: MobileSpace) -> None:
    architectures = drawn(space, 20)
    assert all(map(space.contains, architectures))
    assert len(set(architectures)) > 10
    for architecture in architectures:
        assert from_json(to_json(architecture), Architecture, "it") == architecture


def test_neighbors_are_of_the_space_differ_and_know_each_other(space: MobileSpace) -> None:
    for architecture in drawn(space, 4):
        neighbors = list(space.neighbors(architecture))
        assert neighbors
        assert len(set(neighbors)) == len(neighbors)
        assert architecture not in neighbors
        assert all(map(space.contains, neighbors))
        same_depth = [n for n in neighbors if n.depths == architecture.depths]
        assert all(architecture in set(space.neighbors(n)) for n in same_depth)


def test_a_foreign_architecture_is_refused(space: MobileSpace) -> None:
    rest = space.largest().stages[1:]
    one = StageChoice((4,), (3,))
    with pytest.raises(InputError, match="is not in the space"):
        space.layers(Architecture.of(space.name, space.resolutions[0], (one, *rest)))


def same_tensor(reader: Layer, maker: Layer) -> bool:
    return (reader.in_channels, reader.in_size) == (maker.out_channels, maker.out_size)


def test_layers_form_a_chain_from_image_to_logits(space: MobileSpace) -> None:
    for architecture in drawn(space, 6):
        layers = space.layers(architecture)
        made: dict[str, Layer] = {}
        for layer in layers:
            assert layer.name not in made
            for name in layer.inputs:
                if name == "input":
                    assert (layer.in_channels, layer.in_size) == (3, architecture.resolution)
                else:
                    assert same_tensor(layer, made[name])
            made[layer.name] = layer
        assert layers[-1].out_channels == 7
        assert layers[-1].kind == "linear"
        assert {name for layer in layers for name in layer.inputs} | {layers[-1].name} == {
            "input",
            *made,
        }
        assert min(layer.out_size for layer in layers) >= 1


def test_every_layer_is_part_of_the_largest_networks(space: MobileSpace) -> None:
    largest = {layer.name: layer for layer in space.layers(space.largest())}
    for architecture in drawn(space, 6):
        for layer in space.layers(architecture):
            whole = largest[layer.name]
            assert layer.kind == whole.kind
            assert (layer.stride, layer.activation) == (whole.stride, whole.activation)
            for size in ("in_channels", "out_channels", "kernel_size", "squeeze_channels"):
                assert getattr(layer, size) <= getattr(whole, size)


def test_stage_layers_are_those_of_the_whole(space: MobileSpace) -> None:
    for architecture in drawn(space, 6):
        layers = space.layers(architecture)
        resolution = architecture.resolution
        parts = list(space.stem_layers(resolution))
        for index, choice in enumerate(architecture.stages):
            parts += space.stage_layers(resolution, index, choice, parts[-1].name)
            assert choice in set(space.stage_choices(index))
        parts += space.head_layers(resolution, parts[-1].name)
        assert tuple(parts) == layers


def brute_force(space: MobileSpace) -> set[Architecture]:
    """Every architecture of small stages, from nothing but `contains`."""
    stages = []
    for spec in space.stages:
        blocks = list(itertools.product(spec.kernel_sizes, spec.expand_ratios))
        combos = [
            combo for depth in spec.depths for combo in itertools.product(blocks, repeat=depth)
        ]
        stages.append([StageChoice(*map(tuple, zip(*combo, strict=True))) for combo in combos])
    everything = (
        Architecture.of(space.name, resolution, chosen)
        for resolution in space.resolutions
        for chosen in itertools.product(*stages)
    )
    return {architecture for architecture in everything if space.contains(architecture)}


@pytest.mark.parametrize("uniform_inner", [False, True])
def test_the_size_is_the_number_of_architectures(uniform_inner: bool) -> None:
    stages = (
        StageSpec(8, 1, (1, 3), (3, 5), (2, 4), uniform_inner=uniform_inner),
        StageSpec(12, 2, (2,), (3,), (1, 2, 3), uniform_inner=uniform_inner),
    )
    space = MobileSpace("small", 8, 1, stages, 16, (12, 16), 4, 1)
    architectures = brute_force(space)
    assert space.size == len(architectures)
    listed = [len(set(space.stage_choices(index))) for index in range(2)]
    assert space.size == 2 * listed[0] * listed[1]
    reached = {space.smallest()}
    waiting = [space.smallest()]
    while waiting:
        for neighbor in space.neighbors(waiting.pop()):
            if neighbor not in reached:
                reached.add(neighbor)
                waiting.append(neighbor)
    assert reached == architectures


@pytest.mark.parametrize("name", plugins.names("spaces"))
def test_the_size_is_that_of_its_stages(name: str) -> None:
    space: MobileSpace = plugins.load("spaces", name).create(10, 3, 64)
    product = len(space.resolutions)
    for index in range(len(space.stages)):
        product *= len(set(space.stage_choices(index)))
    assert space.size == product
