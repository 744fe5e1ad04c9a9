"""Subnets of fewer than 8 bits: trained, and given their statistics, with the values they have."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.spaces import mbv3_tiny
from edgenas.spaces.bits import elastic_bits
from edgenas.supernet.network import Supernet
from edgenas.supernet.recalibrate import calibrated_subnet, calibration_images, to_input


@pytest.fixture(scope="module")
def data() -> base.Dataset:
    return base.load("digits", seed=0, progress=Silent())


def test_statistics_are_those_of_the_rounded_network(data: base.Dataset) -> None:
    """Against the mean of the values that the rounded network's first projection makes."""
    space = elastic_bits(mbv3_tiny.create(10, 1, data.image_size), [2], [2])
    subnet = calibrated_subnet(Supernet(space, 0), space.smallest(), data)
    images = to_input(calibration_images(subnet, data), data)
    norm = subnet.get_submodule("stage0_block0_project.bn")
    seen: list[torch.Tensor] = []
    norm.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))
    subnet.train()
    with torch.no_grad():
        for rounds in (True, False):
            subnet.round_like_int8(rounds)
            subnet(images)
    rounded, plain = (one.mean((0, 2, 3)).numpy() for one in seen)
    kept = norm.running_mean.numpy()
    scale = np.abs(rounded).max()
    assert np.abs(kept - rounded).max() < 0.05 * scale < np.abs(plain - rounded).max()


def test_a_step_rounds_each_layer_to_its_own_bits(data: base.Dataset) -> None:
    space = elastic_bits(mbv3_tiny.create(10, 1, data.image_size), [2, 8], [2, 8])
    supernet = Supernet(space, 0)
    supernet.train()
    supernet.round_like_int8(True)
    seen: dict[str, int] = {}
    for name in ("stage0_block0_expand", "stage0_block0_project"):
        supernet.get_submodule(name).register_forward_hook(
            lambda module, given, made, name=name: seen.update({name: len(made.unique())})
        )
    images = to_input(data.train.images[:8], data)
    for architecture, levels in ((space.smallest(), 4), (space.largest(), 256)):
        size = architecture.resolution
        supernet(images[:, :, :size, :size], architecture)
        assert seen["stage0_block0_expand"] <= levels
        assert seen["stage0_block0_project"] > 4  # what stages hand on keeps 8 bits
