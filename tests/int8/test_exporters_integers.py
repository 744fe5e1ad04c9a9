"""The integers of an int8 ONNX file: onnxruntime's, against plain numpy integer arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from edgenas.int8.exporters.onnx import emit
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate
from edgenas.spaces import mbv3_tiny

Arrays = dict[str, np.ndarray]


def integer_inference(proto: onnx.GraphProto, constants: Arrays, images: np.ndarray) -> Arrays:
    """Run a QDQ file with int64 numpy arithmetic; return every stored tensor.

    Each node reads integers; its accumulator is rescaled once, rounded to even and saturated.
    """
    stored: Arrays = {}
    meaning: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    results: dict[str, Callable[[], np.ndarray]] = {"input": lambda: images}
    for node in proto.node:
        source, output = list(node.input), node.output[0]
        if node.op_type == "DequantizeLinear":
            values = stored[source[0]] if source[0] in stored else constants[source[0]]
            meaning[output] = (values, constants[source[1]], constants[source[2]])
        elif node.op_type == "QuantizeLinear":
            real = results[source[0]]()
            scale, zero_point = constants[source[1]], constants[source[2]]
            limits = np.iinfo(zero_point.dtype)
            steps = np.rint(real / scale.astype(np.float64)) + zero_point
            stored[output] = steps.clip(limits.min, limits.max).astype(np.int64)
        else:
            operands = [meaning[name] for name in source]
            results[output] = lambda node=node, operands=operands: integer_node(node, operands)
    return stored


def integer_node(node: onnx.NodeProto, operands: list) -> np.ndarray:
    """Return the exact real value of one node: integer accumulator times its scale, float64."""
    integers = [values.astype(np.int64) - centred(values, zp) for values, _, zp in operands]
    scales = [scale.astype(np.float64) for _, scale, _ in operands]
    if node.op_type == "Conv":
        accumulator = integer_convolution(node, *integers)
        return accumulator * (scales[0] * scales[1])[:, None, None]
    if node.op_type == "Gemm":
        return (integers[0] @ integers[1].T + integers[2]) * (scales[0] * scales[1])
    if node.op_type == "Flatten":
        return integers[0].reshape(len(integers[0]), -1) * scales[0]
    if node.op_type == "GlobalAveragePool":
        height, width = integers[0].shape[2:]
        return integers[0].sum((2, 3), keepdims=True) * (scales[0] / (height * width))
    if node.op_type == "Mul":
        return integers[0] * integers[1] * (scales[0] * scales[1])
    assert node.op_type == "Add", node.op_type
    return integers[0] * scales[0] + integers[1] * scales[1]


def centred(values: np.ndarray, zero_point: np.ndarray) -> np.ndarray:
    shape = (-1,) + (1,) * (values.ndim - 1) if zero_point.ndim else ()
    return zero_point.astype(np.int64).reshape(shape)


def integer_convolution(
    node: onnx.NodeProto, values: np.ndarray, weight: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    stride, padding = attributes["strides"][0], attributes["pads"][0]
    pads = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    padded = np.pad(values, pads)  # zero after the zero point is taken off
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], (2, 3))
    windows = windows[:, :, ::stride, ::stride]
    if attributes["group"] == 1:
        accumulator = np.einsum("nchwij,ocij->nohw", windows, weight)
    else:
        accumulator = np.einsum("nchwij,cij->nchw", windows, weight[:, 0])
    return accumulator + bias[:, None, None]


@pytest.mark.parametrize(
    ("scheme", "option"),
    [("u8s8", "session.x64quantprecision"), ("s8s8", "session.qdqisint8allowed")],
)
def test_engine_gives_the_integers_that_the_file_states(scheme: str, option: str) -> None:
    space = mbv3_tiny.create(10, 3, 16)
    space = replace(space, stages=tuple(replace(s, squeeze_excite=True) for s in space.stages))
    layers = space.layers(space.sample(np.random.default_rng(7)))
    graph = lower(layers, random_state(layers, 7))
    images = np.random.default_rng(2).standard_normal((6, *graph.input_shape[1:]), np.float32)
    model = emit(graph, calibrate(graph, images[:3]), scheme=scheme, batch=None)
    proto = onnx.load_from_string(model).graph
    constants = {c.name: numpy_helper.to_array(c) for c in proto.initializer}
    expected = integer_inference(proto, constants, images)["logits_stored"]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry(option, "1")
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    (logits,) = session.run(None, {"input": images})
    found = np.rint(logits / constants["logits_scale"]) + int(constants["logits_zero_point"])

    assert len(np.unique(expected)) > 20
    assert np.abs(found - expected).max() <= 1
    assert (found == expected).mean() > 0.9
