"""What every search space promises."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgenas.core.contracts import SpaceMember
from edgenas.core.errors import InputError
from edgenas.core.records import Architecture, Layer, StageChoice, from_json, to_json
from edgenas.explain.choices import changes
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.optimize.term_rows import TermRows
from edgenas.spaces.base import MobileSpace
from edgenas.spaces.files import find
from edgenas.testing.members import MemberContract

IMAGE_SIZES = (16, 28, 32, 64, 224)


def drawn(space: MobileSpace, count: int) -> list[Architecture]:
    """Return the smallest network, the largest, and `count` random ones."""
    rng = np.random.default_rng(0)
    return [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(count))]


class SpaceContract(MemberContract):
    """What a member of the family "spaces", or the file `name`, promises.

    image_sizes : of the images that the space is made for, in pixels.
    """

    family = "spaces"
    protocol = SpaceMember
    image_sizes: tuple[int, ...] = IMAGE_SIZES

    @pytest.fixture(params=IMAGE_SIZES, ids=lambda size: f"{size}px")
    def space(self, request: pytest.FixtureRequest) -> MobileSpace:
        """Return the space of 7 classes and 3 channels for images of each size."""
        if request.param not in self.image_sizes:
            pytest.skip("the space is not made for such images")
        return find(self.name).create(7, 3, request.param)

    def test_samples_are_of_the_space_and_survive_json(self, space: MobileSpace) -> None:
        architectures = drawn(space, 20)
        assert all(map(space.contains, architectures))
        assert len(set(architectures)) > 10
        for architecture in architectures:
            assert from_json(to_json(architecture), Architecture, "it") == architecture

    def test_neighbors_are_of_the_space_differ_and_know_each_other(
        self, space: MobileSpace
    ) -> None:
        for architecture in drawn(space, 4):
            neighbors = list(space.neighbors(architecture))
            assert neighbors
            assert len(set(neighbors)) == len(neighbors)
            assert architecture not in neighbors
            assert all(map(space.contains, neighbors))
            same_depth = [n for n in neighbors if n.depths == architecture.depths]
            assert all(architecture in set(space.neighbors(n)) for n in same_depth)

    def test_a_foreign_architecture_is_refused(self, space: MobileSpace) -> None:
        first, *rest = space.largest().stages
        name, options = next(iter(first.choices.items()))
        one = StageChoice.of({**first.choices, name: (99,) * len(options)})
        with pytest.raises(InputError, match="is not in the space"):
            space.layers(Architecture.of(space.name, space.resolutions[0], (one, *rest)))

    def test_layers_form_a_chain_from_image_to_logits(self, space: MobileSpace) -> None:
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

    def test_every_layer_is_part_of_the_largest_networks(self, space: MobileSpace) -> None:
        largest = {layer.name: layer for layer in space.layers(space.largest())}
        for architecture in drawn(space, 6):
            for layer in space.layers(architecture):
                whole = largest[layer.name]
                assert layer.kind == whole.kind
                assert (layer.stride, layer.activation) == (whole.stride, whole.activation)
                for size in ("in_channels", "out_channels", "kernel_size", "squeeze_channels"):
                    assert getattr(layer, size) <= getattr(whole, size)

    def test_stage_layers_are_those_of_the_whole(self, space: MobileSpace) -> None:
        for architecture in drawn(space, 6):
            layers = space.layers(architecture)
            resolution = architecture.resolution
            parts = list(space.stem_layers(resolution))
            for index, choice in enumerate(architecture.stages):
                parts += space.stage_layers(resolution, index, choice, parts[-1].name)
                assert choice in set(space.stage_choices(index))
            parts += space.head_layers(resolution, parts[-1].name)
            assert tuple(parts) == layers

    def test_the_size_is_that_of_its_stages(self, space: MobileSpace) -> None:
        product = len(space.resolutions)
        for index in range(len(space.stages)):
            product *= len(set(space.stage_choices(index)))
        assert space.size == product

    def test_a_step_is_told_in_words(self, space: MobileSpace) -> None:
        for architecture in drawn(space, 2):
            assert space.changes(architecture, architecture) == ()
            for neighbor in space.neighbors(architecture):
                assert space.changes(architecture, neighbor)

    def test_terms_are_sums_over_stages_and_every_choice_has_a_price(
        self, space: MobileSpace
    ) -> None:
        networks = drawn(space, 12)
        for source in ("physical", "choices"):
            rows = TermRows(space, source)
            matrix = rows.matrix(networks)
            assert matrix.shape == (len(networks), len(rows.terms.names))
            assert np.isfinite(matrix).all()
            told = changes(rows, networks)
            assert all(np.abs(change.difference).sum() > 0 for change in told)

    def test_the_smallest_network_can_be_lowered(self, space: MobileSpace) -> None:
        layers = space.layers(space.smallest())
        graph = lower(layers, random_state(layers, 0))
        assert graph.input_shape[1:] == (3, space.resolutions[0], space.resolutions[0])

    def test_it_can_be_written_as_json(self, space: MobileSpace) -> None:
        from edgenas.supernet.files import space_document

        document = space_document(space)
        assert json.loads(json.dumps(document)) == document


def same_tensor(reader: Layer, maker: Layer) -> bool:
    """Return whether a layer reads what the other one makes."""
    return (reader.in_channels, reader.in_size) == (maker.out_channels, maker.out_size)
