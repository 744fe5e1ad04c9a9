"""What a subnet is as an int8 file, against the same subnet in float."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.int8.engines.facts import find_engine
from edgenas.int8.engines.host import logits
from edgenas.int8.graph import integer_reference
from edgenas.int8.graph.ir import Graph, WeightedNode
from edgenas.int8.graph.quantize import SCHEMES, quantize
from edgenas.spaces import mbv3_tiny
from edgenas.supernet.deploy import Deployable, deployable
from edgenas.supernet.network import Supernet
from edgenas.supernet.recalibrate import calibrated_subnet, to_input

SPACE = mbv3_tiny.create(10, 1, 16)


@pytest.fixture(scope="module")
def digits() -> base.Dataset:
    return base.load("digits", seed=0, progress=Silent())


@pytest.fixture(scope="module")
def network(digits: base.Dataset) -> Deployable:
    torch.manual_seed(4)
    supernet, architecture = Supernet(SPACE, 4), SPACE.largest()
    layers = SPACE.layers(architecture)
    return deployable(supernet, architecture, layers, digits, find_engine("onnxruntime"))


def uncorrected(graph: Graph) -> Graph:
    nodes = (
        replace(node, bias_correction=None) if isinstance(node, WeightedNode) else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def test_the_float_file_is_the_subnet(network: Deployable, digits: base.Dataset) -> None:
    """Biases of int8 files are corrected; those of float files are as they were trained."""
    images = digits.test.images
    subnet = calibrated_subnet(Supernet(SPACE, 4), SPACE.largest(), digits)
    with torch.no_grad():
        expected = subnet(to_input(images, digits)).numpy()
    found = logits(network.emit(None, None), digits.normalize(images), "onnxruntime")
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("scheme", ["u8s8", "s8s8"])
def test_int8_is_nearer_to_float_than_plain_rounding(
    network: Deployable, digits: base.Dataset, scheme: str
) -> None:
    """On images that calibrated nothing, in each way to store activations."""
    images = digits.normalize(digits.test.images)
    exact = logits(network.emit(None, None), images, "onnxruntime")

    def off(graph: Graph) -> float:
        quantization = quantize(graph, network.ranges, SCHEMES[scheme])
        return float(((integer_reference.run(graph, quantization, images) - exact) ** 2).mean())

    assert off(network.graph) < 0.9 * off(uncorrected(network.graph))
