"""The work of model files, against the layers that they were made of, and against hand counts."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgenas.core.records import Layer
from edgenas.core.records.roofline import LayerWork
from edgenas.int8.exporters import onnx as onnx_exporter
from edgenas.int8.exporters import tflite
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import random_ranges
from edgenas.int8.work import onnx_file, tflite_file
from edgenas.int8.work.micro_models import FEW_CHANNELS, MICRO_MODELS, micro_models
from edgenas.spaces import mbv3_cpu, mbv3_tiny


def layers_of(space: Any) -> tuple[Layer, ...]:
    return space.layers(space.sample(np.random.default_rng(5)))


TINY = layers_of(mbv3_tiny.create(10, 3, 32))
GATED = layers_of(mbv3_cpu.create(7, 3, 32))


def int8_file(layers: tuple[Layer, ...], exporter: Any) -> bytes:
    graph = lower(layers, random_state(layers, 0))
    return exporter.emit(graph, random_ranges(graph, 0, 1))


@pytest.mark.parametrize("layers", [TINY, GATED], ids=["plain", "squeeze-excite"])
def test_both_formats_hold_the_multiplications_of_the_layers(layers: tuple[Layer, ...]) -> None:
    for work in (
        onnx_file.read_work(int8_file(layers, onnx_exporter), {}),
        tflite_file.read_work(int8_file(layers, tflite)),
    ):
        assert work.not_covered == ()
        assert sum(one.macs for one in work.layers) == sum(layer.macs for layer in layers)
        kinds = Counter(one.kind for one in work.layers)
        count = Counter(
            {"conv": "dense", "add": "elementwise"}.get(layer.kind, layer.kind)
            if layer.kernel_size > 1 or layer.kind != "conv"
            else "pointwise"
            for layer in layers
        )
        gates = count["squeeze_excite"]  # a pool, two convolutions and a product each
        assert kinds["depthwise"] == count["depthwise"] and kinds["dense"] == count["dense"]
        assert kinds["pointwise"] == count["pointwise"] + count["linear"] + 2 * gates
        assert kinds["elementwise"] == count["elementwise"] + gates
        assert kinds["pool"] == count["global_pool"] + gates


def test_bytes_are_those_of_the_layers_with_biases_of_four_and_float_ends() -> None:
    work = onnx_file.read_work(int8_file(TINY, onnx_exporter), {})
    biases = sum(3 * layer.out_channels for layer in TINY if layer.params)
    ends = 3 * 32 * 32 * (4 + 1) + 10 * (4 + 1)
    expected = sum(layer.moved_bytes for layer in TINY) + biases + ends
    assert sum(one.moved_bytes for one in work.layers) == expected
    assert {(one.weight_bits, one.activation_bits) for one in work.layers if one.macs} == {(8, 8)}


def test_the_layer_that_a_micro_model_repeats_is_the_same_in_each_format() -> None:
    layers = MICRO_MODELS[0].layers(2)
    works = [
        onnx_file.read_work(int8_file(layers, onnx_exporter), {}),
        tflite_file.read_work(int8_file(layers, tflite)),
    ]
    repeated = [next(one for one in work.layers if one.name == "layer0") for work in works]
    assert [one.macs for one in repeated] == [256 * 256 * 14 * 14] * 2
    moved = 2 * 256 * 14 * 14 + 256 * 256 + 4 * 256
    assert [one.moved_bytes for one in repeated] == [moved] * 2


def test_chains_have_as_many_bytes_of_weights_in_float_as_in_int8() -> None:
    for one, real in zip(micro_models("int8"), micro_models("float32"), strict=True):
        layer, wide = (model.layers(model.long)[1] for model in (one, real))
        if one.kind == "conv" and one.channels > FEW_CHANNELS:
            assert layer.in_channels * layer.out_channels == (
                4 * wide.in_channels * wide.out_channels
            )
        else:
            assert layer == wide


def model(
    nodes: list[Any], shape: list[Any], constants: dict[str, np.ndarray], **more: Any
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
        **more,
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("me", 1)]
    return helper.make_model(graph, opset_imports=opsets).SerializeToString()


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def test_a_float_file_of_another_make_is_counted_by_hand() -> None:
    content = model(
        [
            helper.make_node("Conv", ["x", "w"], ["a"], name="first", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Conv", ["b", "g"], ["c"], name="grouped", group=2),
            helper.make_node("HardSwish", ["c"], ["d"]),
            helper.make_node("Foo", ["d"], ["e"], domain="me"),
            helper.make_node("GlobalAveragePool", ["d"], ["p"], name="pool"),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("MatMul", ["f", "m"], ["y"], name="matrix"),
        ],
        ["batch", 3, 8, 8],
        {"w": zeros(16, 3, 3, 3), "g": zeros(4, 8, 1, 1), "m": zeros(4, 5)},
    )
    work = onnx_file.read_work(content, {})
    pixels = 8 * 8
    assert work.layers == (
        LayerWork(
            "first", "dense", 16 * 3 * 9 * pixels, 4 * (19 * pixels + 16 * 27), 27, 32, 32, 16, 9
        ),
        LayerWork("grouped", "pointwise", 4 * 8 * pixels, 4 * (20 * pixels + 32), 8, 32, 32, 4, 1),
        LayerWork("d", "elementwise", 0, 4 * 8 * pixels, 0, 0, 32),
        LayerWork("pool", "pool", 0, 4 * (4 * pixels + 4), 0, 0, 32),
        LayerWork("matrix", "pointwise", 20, 4 * (4 + 20 + 5), 4, 32, 32, 5, 1),
    )
    assert work.not_covered[0] == "Without a limit, because their work is not known: 1 Foo."
    assert work.not_covered[1].startswith("1 convolution in groups is held")


def test_a_size_that_is_asked_for_counts() -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="c")]
    content = model(nodes, [1, 3, "h", "w"], {"w": zeros(4, 3, 1, 1)})
    for asked in ({"x": (1, 3, 10, 6)}, {"": (1, 3, 10, 6)}):
        (layer,) = onnx_file.read_work(content, asked).layers
        assert layer.macs == 4 * 3 * 60


def test_four_bit_weights_have_the_published_bit_operations() -> None:
    scales, zero = np.ones(4, np.float32), helper.make_tensor("z", TensorProto.INT4, [4], [0] * 4)
    stored = helper.make_tensor("w4", TensorProto.INT4, [4, 16, 1, 1], [1] * 64)
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "s", "u"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "u"], ["r"]),
            helper.make_node("DequantizeLinear", ["w4", "ws", "z"], ["w"], axis=0),
            helper.make_node("Conv", ["r", "w"], ["c"], name="conv"),
            helper.make_node("QuantizeLinear", ["c", "s", "u"], ["d"]),
            helper.make_node("DequantizeLinear", ["d", "s", "u"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16, 3, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 3, 3])],
        [
            stored,
            zero,
            numpy_helper.from_array(scales, "ws"),
            numpy_helper.from_array(np.float32(1), "s"),
            numpy_helper.from_array(np.uint8(0), "u"),
        ],
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    ends_and_layer = onnx_file.read_work(file.SerializeToString(), {}).layers
    assert [one.kind for one in ends_and_layer] == ["move", "pointwise", "move"]
    layer = ends_and_layer[1]
    assert (layer.weight_bits, layer.activation_bits, layer.macs) == (4, 8, 4 * 16 * 9)
    assert layer.moved_bytes == 16 * 9 + 4 * 9 + 64 // 2
    # arXiv 1804.10969: m n k^2 (b_a b_w + b_a + b_w + log2(n k^2)) a pixel
    assert layer.bit_operations == 9 * 4 * 16 * (32 + 8 + 4 + math.log2(16))
    assert layer.bit_products == 4 * 16 * 9 * 32
