"""The supernet against the subnets cut out of it, and a subnet against plain torch modules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edgenas.core.records import Layer
from edgenas.spaces import mbv3_tiny
from edgenas.spaces.base import MobileSpace
from edgenas.supernet.blocks import Subnet
from edgenas.supernet.network import Supernet


def tiny(*, squeeze_excite: bool = False, in_channels: int = 1) -> MobileSpace:
    space = mbv3_tiny.create(num_classes=10, in_channels=in_channels, image_size=16)
    stages = tuple(replace(stage, squeeze_excite=squeeze_excite) for stage in space.stages)
    return replace(space, stages=stages)


def scrambled(space: MobileSpace) -> Supernet:
    """A supernet none of whose tensors has its starting value, so that every copy is checked."""
    supernet = Supernet(space, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, tensor in supernet.state_dict().items():
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(0.5 + noise if name.endswith("running_var") else tensor + 0.3 * noise)
    return supernet


@pytest.mark.parametrize("squeeze_excite", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_a_subnet_gives_the_supernets_logits(training: bool, squeeze_excite: bool) -> None:
    space = tiny(squeeze_excite=squeeze_excite, in_channels=3)
    supernet = scrambled(space).train(training)
    rng = np.random.default_rng(3)
    chosen = [space.largest(), space.smallest(), *(space.sample(rng) for _ in range(6))]
    for architecture in chosen:
        size = architecture.resolution
        images = torch.from_numpy(rng.normal(size=(8, 3, size, size)).astype(np.float32))
        with torch.no_grad():
            expected = supernet(images, architecture)
            got = supernet.subnet(architecture)(images)
        assert expected.shape == (8, 10)
        assert expected.std() > 1e-3
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


def test_a_subnet_owns_its_weights() -> None:
    space = tiny()
    supernet = scrambled(space)
    subnet = supernet.subnet(space.largest())
    before = supernet.state_dict()["head.conv.weight"].clone()
    with torch.no_grad():
        subnet.get_parameter("head.conv.weight").zero_()
    assert torch.equal(supernet.state_dict()["head.conv.weight"], before)


def test_a_smaller_kernel_is_the_centre_and_fewer_channels_are_the_first() -> None:
    space = tiny()
    supernet = scrambled(space)
    state = supernet.subnet(space.smallest()).numpy_state()
    shared = {name: tensor.numpy() for name, tensor in supernet.state_dict().items()}
    name = "stage0_block0_depthwise.conv.weight"
    assert shared[name].shape == (48, 1, 5, 5)
    np.testing.assert_array_equal(state[name], shared[name][:8, :, 1:4, 1:4])
    name = "stage1_block0_project.conv.weight"
    np.testing.assert_array_equal(state[name], shared[name][:, :8])
    assert not any(key.startswith("stage0_block1") for key in state)


def test_layers_without_norm_match_plain_torch() -> None:
    gate = Layer("gate", "squeeze_excite", ("stem",), 6, 6, 8, 8, squeeze_channels=4)
    stem = Layer("stem", "conv", ("input",), 3, 6, 9, 5, 3, 2, "relu6")
    mix = Layer("mix", "depthwise", ("gate",), 6, 6, 5, 5, 5, 1, "relu")
    add = Layer("sum", "add", ("mix", "stem"), 6, 6, 5, 5)
    pool = Layer("pool", "global_pool", ("sum",), 6, 6, 5, 1)
    subnet = Subnet((stem, gate, mix, add, pool, Layer("out", "linear", ("pool",), 6, 4, 1, 1)))
    subnet.eval()
    state = subnet.state_dict()

    def norm(name: str) -> nn.BatchNorm2d:
        layer = nn.BatchNorm2d(6).eval()
        for part in ("weight", "bias", "running_mean", "running_var"):
            tensor = getattr(layer, part)
            tensor.data.copy_(torch.rand(6) + 0.5)
            state[f"{name}.bn.{part}"].copy_(tensor.data)
        return layer

    images = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        convolved = nn.functional.conv2d(images, state["stem.conv.weight"], stride=2, padding=1)
        first = nn.functional.relu6(norm("stem")(convolved))
        mean = first.mean((2, 3))[:, :, None, None]
        squeezed = nn.functional.conv2d(
            mean, state["gate.squeeze.weight"], state["gate.squeeze.bias"]
        )
        excited = nn.functional.conv2d(
            squeezed.relu(), state["gate.excite.weight"], state["gate.excite.bias"]
        )
        gated = first * nn.functional.hardsigmoid(excited)
        mixed = nn.functional.conv2d(gated, state["mix.conv.weight"], padding=2, groups=6)
        total = norm("mix")(mixed).relu() + first
        expected = total.mean((2, 3)) @ state["out.weight"].T + state["out.bias"]
        torch.testing.assert_close(subnet(images), expected, rtol=0, atol=1e-5)


def test_initial_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(0)
    one = Supernet(tiny(), seed=5).state_dict()
    torch.manual_seed(1)
    same = Supernet(tiny(), seed=5).state_dict()
    other = Supernet(tiny(), seed=6).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["stem.conv.weight"], other["stem.conv.weight"])
