"""The contract of the spaces, for every member; what a stage's size is, against counting."""

from __future__ import annotations

import itertools

import pytest

from edgenas.core import plugins
from edgenas.core.records import Architecture, StageChoice
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.testing import SpaceContract

CASES = [(name, size) for name in plugins.names("spaces") for size in (16, 28, 32, 64, 224)]


class TestSpaces(SpaceContract):
    @pytest.fixture(params=plugins.names("spaces"))
    def member(self, request: pytest.FixtureRequest) -> object:
        return plugins.load("spaces", request.param)

    @pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}px")
    def space(self, request: pytest.FixtureRequest) -> MobileSpace:
        name, image_size = request.param
        created: MobileSpace = plugins.load("spaces", name).create(7, 3, image_size)
        assert created.name == name
        return created


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
