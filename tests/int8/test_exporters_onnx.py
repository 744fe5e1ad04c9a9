"""The ONNX files: valid, fully integer in the engine, and with the arithmetic that they state."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from edgenas.int8.exporters.onnx import emit
from edgenas.int8.graph.float_reference import run
from edgenas.int8.graph.ir import Graph, Node, WeightedNode
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import Ranges, calibrate, random_ranges
from edgenas.spaces import foxnas_cpu, mbv3_tiny

INTEGER_OPERATORS = {
    "QLinearConv",
    "QLinearAdd",
    "QLinearMul",
    "QLinearGlobalAveragePool",
    "QGemm",
    "Flatten",
    "Transpose",  # of the first and the last tensor: channels last inside
}


def session(model: bytes, optimized: Path | None = None) -> onnxruntime.InferenceSession:
    """Load `model` exactly on any CPU; with `optimized`, as a board does, and write that down."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if zero_point_type(model) == onnx.TensorProto.INT8:
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    elif optimized is None:
        options.add_session_config_entry("session.x64quantprecision", "1")
    if optimized:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])


def zero_point_type(model: bytes) -> int:
    constants = onnx.load_from_string(model).graph.initializer
    types = [c.data_type for c in constants if c.name == "input_zero_point"]
    return types[0] if types else onnx.TensorProto.UINT8


def gated_graph(seed: int = 0) -> Graph:
    space = mbv3_tiny.create(10, 3, 16)
    space = replace(space, stages=tuple(replace(s, squeeze_excite=True) for s in space.stages))
    layers = space.layers(space.sample(np.random.default_rng(seed)))
    return lower(layers, random_state(layers, seed))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return gated_graph()


@pytest.fixture(scope="module")
def images(graph: Graph) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((12, *graph.input_shape[1:]), np.float32)


@pytest.fixture(scope="module")
def ranges(graph: Graph, images: np.ndarray) -> Ranges:
    return calibrate(graph, images)


@pytest.mark.parametrize("scheme", [None, "u8s8", "s8s8", "s8s8-symmetric"])
@pytest.mark.parametrize("batch", [1, 4, None])
def test_file_is_valid(graph: Graph, ranges: Ranges, scheme: str | None, batch: int | None) -> None:
    bounds = ranges if scheme else None
    model = onnx.load_from_string(emit(graph, bounds, scheme=scheme or "u8s8", batch=batch))
    onnx.checker.check_model(model, full_check=True)

    assert model.ir_version == 8
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    (entry,), (result,) = model.graph.input, model.graph.output
    assert (entry.name, result.name) == ("input", "logits")
    first = entry.type.tensor_type.shape.dim[0]
    assert first.dim_param == "batch" if batch is None else first.dim_value == batch
    for constant in model.graph.initializer:
        if constant.name in ("input_scale", "stem_scale", "logits_scale"):
            assert list(constant.dims) == []


@pytest.mark.parametrize("scheme", ["u8s8", "s8s8"])
@pytest.mark.parametrize("batch", [1, None])
def test_engine_computes_nothing_in_float_between_input_and_logits(
    graph: Graph, ranges: Ranges, tmp_path: Path, scheme: str, batch: int | None
) -> None:
    optimized = tmp_path / "optimized.onnx"
    session(emit(graph, ranges, scheme=scheme, batch=batch), optimized)
    found = Counter(node.op_type for node in onnx.load(optimized).graph.node)
    expected = Counter(node.kind for node in graph.nodes)

    assert found.pop("QuantizeLinear") == 1  # the input
    assert found.pop("DequantizeLinear") == 1  # the logits
    assert set(found) <= INTEGER_OPERATORS, f"computed in float: {set(found) - INTEGER_OPERATORS}"
    assert found["QLinearConv"] == expected["conv"] + expected["depthwise"]
    assert found["QLinearAdd"] == expected["add"]
    assert found["QLinearMul"] == expected["mul"]
    assert found["QLinearGlobalAveragePool"] == expected["global_pool"]
    assert found["QGemm"] == expected["linear"]


def test_tensorrt_file_has_zero_points_of_zero_and_float_biases(
    graph: Graph, ranges: Ranges
) -> None:
    model = onnx.load_from_string(emit(graph, ranges, scheme="s8s8-symmetric"))
    constants = {c.name: numpy_helper.to_array(c) for c in model.graph.initializer}
    zero_points = [value for name, value in constants.items() if name.endswith("_zero_point")]
    biases = [value for name, value in constants.items() if name.endswith("_bias")]

    assert len(zero_points) > 20
    assert not any(value.any() for value in zero_points)
    assert {value.dtype for value in zero_points} == {np.dtype(np.int8)}
    assert len(biases) == sum(isinstance(node, WeightedNode) for node in graph.nodes)
    assert {value.dtype for value in biases} == {np.dtype(np.float32)}
    operators = Counter(node.op_type for node in model.graph.node)
    activations = Counter(n.activation for n in graph.nodes if isinstance(n, WeightedNode))
    assert operators["Clip"] == activations["relu6"]
    assert operators["Relu"] == activations["relu"]


@pytest.mark.parametrize("scheme", [None, "u8s8", "s8s8"])
def test_open_batch_gives_the_logits_of_single_images(
    graph: Graph, images: np.ndarray, ranges: Ranges, scheme: str | None
) -> None:
    bounds = ranges if scheme else None
    single, batched = (
        session(emit(graph, bounds, scheme=scheme or "u8s8", batch=batch)) for batch in (1, None)
    )
    expected = np.concatenate([single.run(None, {"input": image[None]})[0] for image in images])
    (logits,) = batched.run(None, {"input": images})
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


def test_int8_file_is_less_than_a_third_of_the_float_one() -> None:
    space = foxnas_cpu.create(10, 3, 32)
    layers = space.layers(space.smallest())
    graph = lower(layers, random_state(layers, 0))
    assert len(emit(graph, random_ranges(graph, 0))) < 0.33 * len(emit(graph, None))


# ---------------------------------------------------------------- hard cases


def chain(*weighted: WeightedNode, size: int = 4) -> Graph:
    return Graph((1, weighted[0].weight.shape[1], size, size), weighted)


def conv(source: str, output: str, weight: list, bias: list, activation: str) -> WeightedNode:
    values = np.array(weight, np.float32)[:, :, None, None]
    shape = (1, len(bias), 4, 4)
    node = WeightedNode("conv", (source,), output, shape, values, np.array(bias, np.float32))
    return replace(node, activation=activation)


def logits_node(source: str, weight: list) -> tuple[Node, WeightedNode]:
    values = np.array(weight, np.float32)
    shape = (1, values.shape[1], 1, 1)
    bias = np.zeros(len(values), np.float32)
    return (
        Node("global_pool", (source,), "pool", shape),
        WeightedNode("linear", ("pool",), "logits", (1, len(values)), values, bias),
    )


@pytest.mark.parametrize("scheme", ["u8s8", "s8s8", "s8s8-symmetric"])
def test_dead_channels_and_biases_beside_tiny_weights_survive(scheme: str) -> None:
    weight = [[1.0, -0.5], [0.0, 0.0], [1e-9, 1e-9], [0.0, 0.0]]
    first = conv("input", "first", weight, [0.1, 4.0, 2.0, 0.0], "relu6")
    graph = chain(first, *logits_node("first", np.eye(4)))
    images = np.random.default_rng(0).standard_normal((8, 2, 4, 4), np.float32)
    (logits,) = session(emit(graph, calibrate(graph, images), scheme=scheme, batch=None)).run(
        None, {"input": images}
    )
    reference = run(graph, images)

    assert reference[:, 1:] == pytest.approx(np.broadcast_to([4.0, 2.0, 0.0], (8, 3)), abs=1e-5)
    np.testing.assert_allclose(logits, reference, atol=0.06)


@pytest.mark.parametrize("scheme", ["u8s8", "s8s8", "s8s8-symmetric"])
@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_activations_hold_outside_the_calibrated_range(scheme: str, activation: str) -> None:
    # Calibration saw values up to 2 only: below 0 is still cut, above is cut at what was stored.
    first = conv("input", "first", [[1.0]], [0.0], activation)
    graph = chain(first, *logits_node("first", [[1.0], [-1.0]]))
    ranges = {"input": (-9.0, 9.0), "first": (0.0, 2.0), "pool": (0.0, 2.0), "logits": (-2.0, 2.0)}
    images = np.array([-8.0, -0.3, 0.0, 1.0, 8.0], np.float32)[:, None, None, None]
    model = session(emit(graph, ranges, scheme=scheme, batch=None))
    (logits,) = model.run(None, {"input": np.broadcast_to(images, (5, 1, 4, 4)).copy()})

    np.testing.assert_allclose(logits[:, 0], [0.0, 0.0, 0.0, 1.0, 2.0], atol=0.08)


def test_a_tensor_of_zeros_gives_zeros() -> None:
    first = conv("input", "first", [[1.0]], [-50.0], "relu")
    graph = chain(first, *logits_node("first", [[1.0], [2.0]]))
    images = np.random.default_rng(0).standard_normal((3, 1, 4, 4), np.float32)
    ranges = calibrate(graph, images)
    assert ranges["logits"] == (0.0, 0.0)
    for scheme in ("u8s8", "s8s8", "s8s8-symmetric"):
        model = session(emit(graph, ranges, scheme=scheme, batch=None))
        np.testing.assert_array_equal(model.run(None, {"input": images})[0], np.zeros((3, 2)))
