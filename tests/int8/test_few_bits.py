"""Fewer than 8 bits: what is stored, what files compute, and QONNX against the ONNX file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from edgenas.core import plugins
from edgenas.core.errors import ExportError
from edgenas.core.records import ImageInput, Layer
from edgenas.int8.exporters import c, qonnx
from edgenas.int8.graph import graph_file, integer_reference
from edgenas.int8.graph.ir import Graph, WeightedNode
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.quantize import DATAFLOW, find_scheme, quantize
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import Ranges, calibrate
from edgenas.spaces import mbv3_tiny
from edgenas.spaces.bits import elastic_bits

IMAGES = np.random.default_rng(1).standard_normal((16, 3, 16, 16), np.float32)


def network(weights: int, activations: int, seed: int = 0) -> tuple[Layer, ...]:
    space = elastic_bits(mbv3_tiny.create(10, 3, 16), [weights], [activations])
    drawn = space.sample(np.random.default_rng(seed)).resized(16)
    return space.layers(drawn)


def lowered(layers: tuple[Layer, ...]) -> tuple[Graph, Ranges]:
    graph = lower(layers, random_state(layers, 3))
    return graph, calibrate(graph, IMAGES)


def logits(content: bytes) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    rows = [session.run(None, {"input": image[None]})[0] for image in IMAGES]
    return np.concatenate(rows)


def with_quant_defined(content: bytes) -> bytes:
    """Return a QONNX file that any engine runs: Quant spelt out as its specification says.

    round(clip(x / scale + zero point, least, greatest)), the zero point off, times scale; of k
    bits the greatest is 2^(k - signed) - 1, the least -2^(k - 1) + narrow where signed, else 0.
    """
    model = onnx.load_model_from_string(content)
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Quant":
            nodes.append(node)
            continue
        source, scale, zero, width = node.input
        about = {one.name: one.i for one in node.attribute}
        bits, signed, narrow = int(constants[width]), about["signed"], about["narrow"]
        ends = (-(2 ** (bits - 1)) + narrow if signed else 0, 2 ** (bits - signed) - 1)
        name = node.output[0]
        for end, value in zip(("least", "greatest"), ends, strict=True):
            array = np.array(value, np.float32)
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, f"{name}_{end}"))
        steps = [
            ("Div", [source, scale], f"{name}_1"),
            ("Add", [f"{name}_1", zero], f"{name}_2"),
            ("Clip", [f"{name}_2", f"{name}_least", f"{name}_greatest"], f"{name}_3"),
            ("Round", [f"{name}_3"], f"{name}_4"),
            ("Sub", [f"{name}_4", zero], f"{name}_5"),
            ("Mul", [f"{name}_5", scale], name),
        ]
        nodes += [helper.make_node(kind, inputs, [output]) for kind, inputs, output in steps]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.opset_import[1:]
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_qonnx_computes_what_the_onnx_file_does_bit_by_bit(bits: int) -> None:
    graph, ranges = lowered(network(bits, bits, seed=bits))
    host = logits(plugins.load("exporters", "onnx").emit(graph, ranges, scheme=DATAFLOW))
    np.testing.assert_array_equal(logits(with_quant_defined(qonnx.emit(graph, ranges))), host)
    assert len(np.unique(host)) > 5


@pytest.mark.parametrize(("weights", "activations"), [(2, 4), (3, 2), (8, 3), (4, 8)])
def test_a_file_computes_the_reference(weights: int, activations: int) -> None:
    graph, ranges = lowered(network(weights, activations))
    quantization = quantize(graph, ranges, find_scheme(DATAFLOW))
    expected = integer_reference.run(graph, quantization, IMAGES)
    for scheme in (DATAFLOW, "u8s8"):
        quantization = quantize(graph, ranges, find_scheme(scheme))
        expected = integer_reference.run(graph, quantization, IMAGES)
        found = logits(plugins.load("exporters", "onnx").emit(graph, ranges, scheme=scheme))
        steps = np.abs(found - expected) / float(quantization.tensors["logits"].scale)
        assert steps.mean() < 0.05


@pytest.mark.parametrize(("weights", "activations"), [(2, 3), (4, 2)])
def test_no_more_integers_are_stored_than_the_bits_have(weights: int, activations: int) -> None:
    layers = network(weights, activations)
    graph, ranges = lowered(layers)
    for scheme in (DATAFLOW, "u8s8", "s8s8"):
        quantization = quantize(graph, ranges, find_scheme(scheme))
        stored: dict[str, set[float]] = {}

        def observe(name: str, values: np.ndarray, into: dict[str, set[float]] = stored) -> None:
            into.setdefault(name, set()).update(np.unique(values).tolist())

        integer_reference.run(graph, quantization, IMAGES, observe=observe)
        inside = [layer.name for layer in layers if layer.output_bits < 8]
        assert inside and all(len(stored[name]) <= 2**activations for name in inside)
        for node in graph.nodes:
            if isinstance(node, WeightedNode) and node.weight_bits < 8:
                integers = quantization.weights[node.output].weight
                assert np.abs(integers).max() <= 2 ** (weights - 1) - 1


def test_the_steps_err_less_than_those_of_the_whole_range() -> None:
    """Weights of 3 bits against steps that hold every weight; normal ones, and some outliers."""
    layers = network(3, 8)
    graph, ranges = lowered(layers)
    quantization = quantize(graph, ranges, find_scheme(DATAFLOW))
    for node in graph.nodes:
        if not isinstance(node, WeightedNode) or node.weight_bits == 8:
            continue
        flat = node.weight.reshape(len(node.weight), -1)
        kept = quantization.weights[node.output]
        read = kept.weight.reshape(flat.shape) * kept.scale[:, None]
        whole = np.maximum(np.abs(flat).max(1, keepdims=True), 1e-12) / 3
        wide = np.rint(flat / whole).clip(-3, 3) * whole
        assert ((read - flat) ** 2).sum() <= ((wide - flat) ** 2).sum() * 1.001


def test_a_graph_file_keeps_the_bits() -> None:
    graph, ranges = lowered(network(2, 3))
    read, _ = graph_file.read(graph_file.write(graph, ranges), "a file")
    assert read.bits == graph.bits
    assert [getattr(one, "weight_bits", 8) for one in read.nodes] == [
        getattr(one, "weight_bits", 8) for one in graph.nodes
    ]


def test_exporters_that_know_8_bits_alone_refuse_others() -> None:
    graph, ranges = lowered(network(4, 4))
    half = (0.5, 0.5, 0.5)
    made = ImageInput("crop", 16, 16, "rgb", half, half, "nhwc", "uint8")
    with pytest.raises(ExportError, match="8 bits alone"):
        plugins.load("exporters", "tflite").emit(graph, ranges)
    with pytest.raises(ExportError, match="8 bits alone"):
        c.emit(graph, ranges, made, ())


def test_qonnx_refuses_what_a_pipeline_cannot_be() -> None:
    space = mbv3_tiny.create(10, 3, 16)
    stages = tuple(replace(stage, squeeze_excite=True) for stage in space.stages)
    gated = replace(space, stages=stages)
    graph, ranges = lowered(gated.layers(gated.smallest().resized(16)))
    with pytest.raises(ExportError, match=r"no unit for .*mul"):
        qonnx.emit(graph, ranges)
    plain, of_plain = lowered(network(8, 8))
    first = replace(plain.nodes[0], bits=9)
    with pytest.raises(ExportError, match="numbers of 9 bits"):
        qonnx.emit(replace(plain, nodes=(first, *plain.nodes[1:])), of_plain)
