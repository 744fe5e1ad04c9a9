"""Splitting hidden channels and adding blocks keep what a network computes; narrowing does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.core.records import Layer
from edgenas.core.records.networks import HIDDEN_WIDTH
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.hidden_blocks import hidden_blocks
from edgenas.supernet.blocks import Convolution, Subnet
from edgenas.supernet.network import initialise
from edgenas.supernet.splitting import AddedBlock, Split, grown, importance, narrowed, unit


def space(**flags: bool) -> MobileSpace:
    """Two stages with strided and residual blocks, of 8 to 48 hidden channels."""
    widths = ((HIDDEN_WIDTH, (8, 16, 32, 48)),)
    stages = tuple(
        StageSpec(width, 2, (1, 2, 3), (3, 5), (), others=widths, **flags) for width in (8, 12)
    )
    return MobileSpace("grows", 8, 1, stages, 16, (16,), 10, 1)


def layers_of(of: MobileSpace, *hidden: tuple[int, ...]) -> tuple[Layer, ...]:
    """The layers of a network with these hidden channels, stage by stage and block by block."""
    network = of.smallest()
    stages = tuple(
        spec.__class__.of({"kernel_size": (5,) * len(one), HIDDEN_WIDTH: one})
        for spec, one in zip(network.stages, hidden, strict=True)
    )
    return of.layers(network.of(of.name, 16, stages))


def trained(layers: tuple[Layer, ...], seed: int = 0) -> Subnet:
    """A network with weights and statistics as a trained one has them: none is 0 or 1."""
    subnet = Subnet(layers)
    initialise(subnet, layers, seed)
    generator = torch.Generator().manual_seed(seed)
    for module in subnet.modules():
        if isinstance(module, Convolution):
            for values, low in ((module.bn.weight, 0.5), (module.bn.running_var, 0.5)):
                values.data.copy_(low + torch.rand(values.shape, generator=generator))
            for values in (module.bn.bias.data, module.bn.running_mean):
                values.copy_(0.3 * torch.randn(values.shape, generator=generator))
    return subnet.eval()


def random_split(subnet: Subnet, place: tuple[int, int], channels: list[int]) -> Split:
    generator = torch.Generator().manual_seed(1)
    block = hidden_blocks(subnet.layers)[place]
    weights = [subnet.get_parameter(f"{one.name}.conv.weight") for one in block.widening]
    direction = unit(tuple(torch.randn(one.shape, generator=generator) for one in weights))
    return Split(np.array(channels), direction)


IMAGES = torch.randn(32, 1, 16, 16, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("flags", [{}, {"squeeze_excite": True}, {"fused": True}], ids=str)
def test_splits_and_new_blocks_keep_the_function(flags: dict[str, bool]) -> None:
    of = space(**flags)
    before = trained(layers_of(of, (32, 32), (32,)))
    splits = {
        (0, 0): random_split(before, (0, 0), list(range(16))),
        (0, 1): random_split(before, (0, 1), list(range(0, 32, 2))),
        (1, 0): random_split(before, (1, 0), [31, *range(15)]),
    }
    after = grown(before, layers_of(of, (48, 48, 16), (48, 8)), splits)
    with torch.no_grad():
        wanted, found = before(IMAGES), after(IMAGES)
        assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()
        departed = grown(before, after.layers, splits, 0.5)
        assert (departed(IMAGES) - wanted).abs().max() > 1e-3 * wanted.abs().max()
    # momentum and masks of training see the copies as any other channel: both halves get gradients
    after.train()
    after(IMAGES).square().sum().backward()
    new = after.get_parameter("stage0_block2_project.bn.weight")
    assert new.grad is not None
    assert new.grad.abs().max() > 0
    assert not new.detach().any()


def test_a_new_block_has_the_last_norm_that_it_is_given() -> None:
    of = space()
    before = trained(layers_of(of, (8,), (8,)))
    direction = torch.linspace(-1, 1, 12)
    name = "stage1_block1_depthwise.bn.running_mean"
    block = AddedBlock({name: torch.full((16,), 3.0)}, direction)
    after = grown(before, layers_of(of, (8,), (8, 16)), {}, 0.5, blocks={1: block})
    found = after.get_parameter("stage1_block1_project.bn.weight")
    assert torch.equal(found, 0.5 * direction)
    assert torch.equal(after.state_dict()[name], block.state[name])


@pytest.mark.parametrize("flags", [{}, {"squeeze_excite": True}, {"fused": True}], ids=str)
def test_narrowing_to_all_channels_in_another_order_changes_nothing(flags: dict[str, bool]) -> None:
    before = trained(layers_of(space(**flags), (32, 16), (32,)))
    rng = np.random.default_rng(0)
    kept = {
        place: rng.permutation(one.hidden) for place, one in hidden_blocks(before.layers).items()
    }
    after = narrowed(before, before.layers, kept)
    with torch.no_grad():
        assert (after(IMAGES) - before(IMAGES)).abs().max() < 1e-5


def test_channels_that_reach_nothing_can_go() -> None:
    of = space()
    before = trained(layers_of(of, (32,), (16,)))
    dead = [1, 5, *range(16, 30)]
    with torch.no_grad():
        before.get_parameter("stage0_block0_depthwise.bn.weight")[dead] = 0
        before.get_parameter("stage0_block0_depthwise.bn.bias")[dead] = 0
    order = np.argsort(-importance(before)[0, 0], kind="stable")
    assert set(dead) == set(order[16:].tolist())
    kept = {(0, 0): np.sort(order[:16]), (1, 0): np.arange(16)}
    after = narrowed(before, layers_of(of, (16,), (16,)), kept)
    with torch.no_grad():
        assert (after(IMAGES) - before(IMAGES)).abs().max() < 1e-5


def test_a_block_without_an_expanding_convolution_has_no_channels_to_split() -> None:
    stage = StageSpec(8, 1, (1,), (3,), (1,), hidden_width=8)
    of = MobileSpace("plain", 8, 1, (stage,), 16, (16,), 10, 1)
    assert not hidden_blocks(of.layers(of.largest()))
