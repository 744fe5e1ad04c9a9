"""TensorFlow's SAME padding in every form of a network: torch, graph, reference, both files."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from edgenas.core.records import Layer
from edgenas.int8.engines.host import logits
from edgenas.int8.exporters import onnx, tflite
from edgenas.int8.graph import float_reference, graph_file
from edgenas.int8.graph.ir import WeightedNode
from edgenas.int8.graph.lower import State, lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate
from edgenas.spaces import lite, mbv3_tiny
from edgenas.spaces.base import space_document
from edgenas.supernet.blocks import Subnet
from tests.helpers.same_padding import same

SPACE = lite.create(5, 3, 64)
SMALLEST = SPACE.smallest()


@pytest.fixture(scope="module")
def network() -> tuple[tuple[Layer, ...], State, np.ndarray, np.ndarray]:
    layers = SPACE.layers(SMALLEST)
    state = random_state(layers, 0)
    images = np.random.default_rng(1).standard_normal((4, 3, 64, 64), np.float32)
    return layers, state, images, same(layers, state, torch.from_numpy(images)).numpy()


def test_torch_network_pads_as_tensorflow_does(network) -> None:
    layers, state, images, expected = network
    subnet = Subnet(layers)
    subnet.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    subnet.eval()
    with torch.no_grad():
        got = subnet(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_graph_and_both_files_pad_as_tensorflow_does(network) -> None:
    layers, state, images, expected = network
    graph = lower(layers, state)
    np.testing.assert_allclose(float_reference.run(graph, images), expected, atol=1e-4)
    np.testing.assert_allclose(
        logits(onnx.emit(graph, None, batch=None), images), expected, atol=1e-4
    )
    pytest.importorskip("ai_edge_litert")
    for engine in ("litert", "litert_builtin"):
        np.testing.assert_allclose(
            logits(tflite.emit(graph, None), images, engine), expected, atol=1e-4
        )


def test_int8_files_of_both_formats_agree(network) -> None:
    pytest.importorskip("ai_edge_litert")
    layers, state, images, expected = network
    graph = lower(layers, state)
    ranges = calibrate(graph, images)
    of_onnx = logits(onnx.emit(graph, ranges, scheme="u8s8", batch=None), images)
    of_tflite = logits(tflite.emit(graph, ranges), images, "litert_builtin")
    assert np.abs(of_onnx - of_tflite).mean() < 0.1 * expected.std()
    assert np.abs(of_onnx - expected).mean() < 0.1 * expected.std()


def test_tflite_needs_no_operator_to_pad() -> None:
    layers = SPACE.layers(SMALLEST)
    graph = lower(layers, random_state(layers, 0))
    assert b"_padded" not in tflite.emit(graph, None)
    centred = dataclasses.replace(SPACE, padding="centred")
    graph = lower(centred.layers(SMALLEST), random_state(layers, 0))
    assert b"_padded" in tflite.emit(graph, None)


def test_graph_file_keeps_the_padding(network) -> None:
    layers, state, images, expected = network
    graph = lower(layers, state)
    content = graph_file.write(graph, calibrate(graph, images))
    read, _ = graph_file.read(content, "the graph")
    np.testing.assert_allclose(float_reference.run(read, images), expected, atol=1e-4)


def test_centred_padding_is_as_it_always_was() -> None:
    space = mbv3_tiny.create(5, 3, 32)
    assert "padding" not in space_document(space)
    assert space_document(SPACE)["padding"] == "same"
    layers = space.layers(space.largest())
    for node in lower(layers, random_state(layers, 0)).nodes:
        if isinstance(node, WeightedNode) and node.kind != "linear":
            assert node.padding == node.weight.shape[-1] // 2
