"""The TFLite files: integers throughout, padded as the reference pads, run by every engine."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgenas.core.errors import ExportError
from edgenas.int8.engines.host import logits as onnx_logits
from edgenas.int8.exporters import onnx, tflite
from edgenas.int8.graph.float_reference import run
from edgenas.int8.graph.ir import Graph, Node, WeightedNode
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import Ranges, calibrate, random_ranges
from edgenas.spaces import foxnas_cpu, mbv3_tiny
from helpers.tflite_logits import (
    REASON,
    RESOLVERS,
    infer,
    litert,
    output_scale,
    quantized,
    real_logits,
)

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason=REASON)


@pytest.fixture(scope="module")
def graph() -> Graph:
    space = mbv3_tiny.create(10, 3, 16)
    space = replace(space, stages=tuple(replace(s, squeeze_excite=True) for s in space.stages))
    layers = space.layers(space.sample(np.random.default_rng(0)))
    return lower(layers, random_state(layers, 0))


@pytest.fixture(scope="module")
def images(graph: Graph) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((24, *graph.input_shape[1:]), np.float32)


def parsed(model: bytes) -> Any:
    return schema.ModelT.InitFromPackedBuf(model)


def operators(model: bytes) -> Counter:
    file = parsed(model)
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    return Counter(
        names[file.operatorCodes[operator.opcodeIndex].builtinCode]
        for operator in file.subgraphs[0].operators
    )


@pytest.fixture(scope="module")
def ranges(graph: Graph, images: np.ndarray) -> Ranges:
    return calibrate(graph, images)


@pytest.mark.parametrize("scheme", ["s8s8", "u8s8", "s8s8-symmetric"])
def test_nothing_is_float_and_every_scale_is_where_engines_look_for_it(
    graph: Graph, ranges: Ranges, scheme: str
) -> None:
    model = tflite.emit(graph, ranges, scheme=scheme)
    (subgraph,) = parsed(model).subgraphs
    types = Counter(tensor.type for tensor in subgraph.tensors)
    allowed = {schema.TensorType.INT8, schema.TensorType.INT32}
    if scheme == "u8s8":
        assert types.pop(schema.TensorType.UINT8) == 2  # the input and the logits
    assert set(types) == allowed
    for tensor in subgraph.tensors:
        name = tensor.name.decode()
        if name.endswith(("_weight", "_bias")):
            assert (
                len(tensor.quantization.scale)
                == tensor.shape[tensor.quantization.quantizedDimension]
            )
            assert not np.any(tensor.quantization.zeroPoint)
        elif tensor.type != schema.TensorType.INT32:
            assert len(tensor.quantization.scale) == 1
            if scheme == "s8s8-symmetric":
                assert tensor.quantization.zeroPoint[0] == 0

    found, kinds = operators(model), Counter(node.kind for node in graph.nodes)
    assert found["CONV_2D"] == kinds["conv"] + kinds["linear"]
    assert found["DEPTHWISE_CONV_2D"] == kinds["depthwise"]
    assert (found["ADD"], found["MUL"], found["MEAN"]) == (
        kinds["add"],
        kinds["mul"],
        kinds["global_pool"],
    )
    assert found["QUANTIZE"] == (2 if scheme == "u8s8" else 0)
    assert not {"DEQUANTIZE", "CAST", "FULLY_CONNECTED"} & set(found)


def test_constants_are_aligned_to_16_bytes(graph: Graph, ranges: Ranges) -> None:
    model = tflite.emit(graph, ranges)
    root = schema.Model.GetRootAs(model)
    vectors = [root.Buffers(index) for index in range(root.BuffersLength())]
    starts = [v._tab.Vector(v._tab.Offset(4)) for v in vectors if v.DataLength()]
    assert len(starts) > 20
    assert not [start for start in starts if start % 16]


def test_signature_names_the_ends(graph: Graph, ranges: Ranges, images: np.ndarray) -> None:
    model = tflite.emit(graph, ranges, scheme="u8s8")
    interpreter = litert.Interpreter(model_content=model)
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["input"], "outputs": ["logits"]}
    }
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    channels, height, width = graph.input_shape[1:]
    assert entry["shape"].tolist() == [1, height, width, channels]
    assert result["shape"].tolist() == [1, 10]
    assert entry["dtype"] == result["dtype"] == np.uint8


def test_unsigned_ends_hold_the_same_numbers(
    graph: Graph, ranges: Ranges, images: np.ndarray
) -> None:
    signed, unsigned = (tflite.emit(graph, ranges, scheme=name) for name in ("s8s8", "u8s8"))
    expected = infer(signed, images).astype(int) + 128
    np.testing.assert_array_equal(infer(unsigned, images).astype(int), expected)


@pytest.mark.parametrize("kind", ["conv", "depthwise"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("k", [1, 3, 5, 7])
def test_padding_is_that_of_the_reference(kind: str, stride: int, k: int) -> None:
    rng = np.random.default_rng(0)
    for size in (7, 8, 9, 12):
        out = (size + 2 * (k // 2) - k) // stride + 1
        weight = rng.standard_normal((4, 1 if kind == "depthwise" else 4, k, k), np.float32)
        dense = rng.standard_normal((5, 4 * out * out), np.float32)
        nodes = (
            WeightedNode(
                kind,  # type: ignore[arg-type]
                ("input",),
                "first",
                (1, 4, out, out),
                weight,
                rng.standard_normal(4, np.float32),
                stride,
                k // 2,
            ),
            WeightedNode("linear", ("first",), "logits", (1, 5), dense, np.zeros(5, np.float32)),
        )
        graph = Graph((1, 4, size, size), nodes)
        images = rng.standard_normal((3, 4, size, size), np.float32)
        model = tflite.emit(graph, None)
        np.testing.assert_allclose(infer(model, images), run(graph, images), rtol=1e-3, atol=1e-3)
        needs_pad = k > 1 and stride == 2 and size % 2 == 0
        assert operators(model)["PAD"] == needs_pad, size


def test_int8_padding_adds_the_zero_point() -> None:
    # The range begins far above zero, so a pad of stored zeros would show.
    weight = np.ones((1, 1, 3, 3), np.float32)
    conv = WeightedNode(
        "conv", ("input",), "first", (1, 1, 4, 4), weight, np.zeros(1, np.float32), 2, 1
    )
    dense = WeightedNode(
        "linear",
        ("first",),
        "logits",
        (1, 16),
        np.eye(16, dtype=np.float32),
        np.zeros(16, np.float32),
    )
    graph = Graph((1, 1, 8, 8), (conv, dense))
    images = np.full((1, 1, 8, 8), 2.0, np.float32)
    model = tflite.emit(
        graph, {"input": (-3.0, 1.0 + 2.0), "first": (0.0, 18.0), "logits": (0.0, 18.0)}
    )
    np.testing.assert_allclose(real_logits(model, images), run(graph, images), atol=0.2)


@pytest.mark.parametrize("kernels", RESOLVERS)
@pytest.mark.parametrize("scheme", [None, "s8s8"])
def test_all_kernels_of_the_engine_agree(
    graph: Graph, ranges: Ranges, images: np.ndarray, kernels: str, scheme: str | None
) -> None:
    model = tflite.emit(graph, ranges if scheme else None, scheme=scheme or "s8s8")
    reference = run(graph, images)
    noise = np.square(real_logits(model, images, kernels=kernels) - reference).sum()
    assert 10 * np.log10(np.square(reference).sum() / noise) > (25 if scheme else 100)


def test_int8_logits_are_those_of_onnx_within_a_few_steps(
    graph: Graph, ranges: Ranges, images: np.ndarray
) -> None:
    model = tflite.emit(graph, ranges)
    ours = real_logits(model, images)
    other = onnx_logits(onnx.emit(graph, ranges, batch=None), images)
    steps = np.abs(ours - other) / output_scale(model)[0]
    assert steps.max() < 8
    assert steps.mean() < 1.5


def test_runs_in_tflite_runtime(graph: Graph, ranges: Ranges, images: np.ndarray) -> None:
    engine = pytest.importorskip(
        "tflite_runtime.interpreter", reason="tflite-runtime needs numpy < 2: install it apart"
    )
    for scheme in ("s8s8", "u8s8"):
        model = tflite.emit(graph, ranges, scheme=scheme)
        difference = infer(model, images, engine).astype(int) - infer(model, images)
        assert np.abs(difference).max() <= 8


@pytest.mark.parametrize("scheme", [None, "s8s8", "u8s8"])
def test_open_batch_can_be_resized(
    graph: Graph, ranges: Ranges, images: np.ndarray, scheme: str | None
) -> None:
    bounds = ranges if scheme else None
    model = tflite.emit(graph, bounds, scheme=scheme or "s8s8", batch=None)
    expected = infer(tflite.emit(graph, bounds, scheme=scheme or "s8s8"), images[:4])
    interpreter = litert.Interpreter(model_content=model, num_threads=1)
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert entry["shape_signature"][0] == -1
    interpreter.resize_tensor_input(entry["index"], [4, *entry["shape"][1:]], strict=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], quantized(images[:4].transpose(0, 2, 3, 1), entry))
    interpreter.invoke()
    np.testing.assert_allclose(interpreter.get_tensor(result["index"]), expected, atol=1e-4)


def test_int8_file_is_less_than_a_third_of_the_float_one() -> None:
    space = foxnas_cpu.create(10, 3, 32)
    layers = space.layers(space.smallest())
    graph = lower(layers, random_state(layers, 0))
    assert len(tflite.emit(graph, random_ranges(graph, 0))) < 0.34 * len(tflite.emit(graph, None))


def test_absent_package_is_one_clear_line(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(ExportError, match=r"pip install 'edgenas\[tflite\]'"):
        tflite.emit(graph, None)


# ---------------------------------------------------------------- hard cases


def pointwise(weight: list, bias: list, activation: str) -> WeightedNode:
    values = np.array(weight, np.float32)[:, :, None, None]
    node = WeightedNode(
        "conv", ("input",), "first", (1, len(bias), 4, 4), values, np.array(bias, np.float32)
    )
    return replace(node, activation=activation)


def pooled(first: WeightedNode, weight: np.ndarray) -> Graph:
    channels = weight.shape[1]
    zeros = np.zeros(len(weight), np.float32)
    return Graph(
        (1, first.weight.shape[1], 4, 4),
        (
            first,
            Node("global_pool", ("first",), "pool", (1, channels, 1, 1)),
            WeightedNode("linear", ("pool",), "logits", (1, len(weight)), weight, zeros),
        ),
    )


@pytest.mark.parametrize("scheme", ["s8s8", "u8s8", "s8s8-symmetric"])
def test_dead_channels_and_biases_beside_tiny_weights_survive(scheme: str) -> None:
    weight = [[1.0, -0.5], [0.0, 0.0], [1e-9, 1e-9], [0.0, 0.0]]
    graph = pooled(pointwise(weight, [0.1, 4.0, 2.0, 0.0], "relu6"), np.eye(4, dtype=np.float32))
    images = np.random.default_rng(0).standard_normal((8, 2, 4, 4), np.float32)
    model = tflite.emit(graph, calibrate(graph, images), scheme=scheme)
    np.testing.assert_allclose(real_logits(model, images), run(graph, images), atol=0.06)


@pytest.mark.parametrize("scheme", ["s8s8", "u8s8", "s8s8-symmetric"])
@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_activations_hold_outside_the_calibrated_range(scheme: str, activation: str) -> None:
    graph = pooled(pointwise([[1.0]], [0.0], activation), np.array([[1.0], [-1.0]], np.float32))
    ranges = {"input": (-9.0, 9.0), "first": (0.0, 2.0), "pool": (0.0, 2.0), "logits": (-2.0, 2.0)}
    levels = np.array([-8.0, -0.3, 0.0, 1.0, 8.0], np.float32)[:, None, None, None]
    images = np.broadcast_to(levels, (5, 1, 4, 4)).copy()
    logits = real_logits(tflite.emit(graph, ranges, scheme=scheme), images)
    np.testing.assert_allclose(logits[:, 0], [0.0, 0.0, 0.0, 1.0, 2.0], atol=0.08)


def test_a_tensor_of_zeros_gives_zeros() -> None:
    graph = pooled(pointwise([[1.0]], [-50.0], "relu"), np.array([[1.0], [2.0]], np.float32))
    images = np.random.default_rng(0).standard_normal((3, 1, 4, 4), np.float32)
    for scheme in ("s8s8", "u8s8", "s8s8-symmetric"):
        model = tflite.emit(graph, calibrate(graph, images), scheme=scheme)
        np.testing.assert_array_equal(real_logits(model, images), np.zeros((3, 2)))
