"""Calibration: least and greatest values, against what torch's own layers return."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.core.errors import ExportError
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate, random_ranges
from edgenas.spaces import foxnas_cpu, mbv3_tiny
from edgenas.supernet.blocks import Subnet

SPACE = mbv3_tiny.create(10, 3, 16)
LAYERS = SPACE.layers(SPACE.sample(np.random.default_rng(2)))
STATE = random_state(LAYERS, 2)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return lower(LAYERS, STATE)


@pytest.fixture(scope="module")
def images(graph: Graph) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((9, *graph.input_shape[1:]), np.float32)


def test_ranges_are_those_of_the_torch_modules(graph: Graph, images: np.ndarray) -> None:
    subnet = Subnet(LAYERS).eval()
    subnet.load_state_dict({name: torch.from_numpy(value) for name, value in STATE.items()})
    expected = {"input": (images.min(), images.max())}

    def hook(name: str):
        def record(_module: object, _inputs: object, output: torch.Tensor) -> None:
            expected[name] = (output.min().item(), output.max().item())

        return record

    for name, module in subnet.named_children():
        module.register_forward_hook(hook("logits" if name == "classifier" else name))
    with torch.inference_mode():
        subnet(torch.from_numpy(images))

    ranges = calibrate(graph, images)
    assert set(ranges) == set(graph.shapes)
    assert len(expected) > 10
    for name, bounds in expected.items():
        np.testing.assert_allclose(ranges[name], bounds, rtol=1e-4, atol=1e-5, err_msg=name)


def test_batches_do_not_change_the_ranges(graph: Graph, images: np.ndarray) -> None:
    whole, split = calibrate(graph, images, batch_size=9), calibrate(graph, images, batch_size=2)
    for name in whole:
        np.testing.assert_allclose(split[name], whole[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_values_that_are_not_finite_name_the_tensor(graph: Graph, images: np.ndarray) -> None:
    broken = images.copy()
    broken[3, 0, 0, 0] = np.inf
    with pytest.raises(ExportError, match="tensor 'input' has values that are not finite"):
        calibrate(graph, broken)


def test_random_weights_give_plausible_ranges_in_a_deep_network() -> None:
    space = foxnas_cpu.create(10, 3, 48)
    layers = space.layers(space.largest())
    graph = lower(layers, random_state(layers, 0))
    ranges = random_ranges(graph, 0)

    assert ranges == random_ranges(graph, 0)
    widths = {name: high - low for name, (low, high) in ranges.items()}
    assert min(widths.values()) > 1e-3, min(widths, key=widths.get)
    assert max(widths.values()) < 1e3, max(widths, key=widths.get)
