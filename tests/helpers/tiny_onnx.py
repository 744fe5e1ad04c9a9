"""Small ONNX files for tests: a convolution, and a loop that never ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgenas.targets.base import ModelFile
from helpers.scripted_runtime import model_file

IMAGE_SHAPE = (3, 8, 8)
N_CLASSES = 4


def write_convolution(path: Path, seed: int = 0) -> ModelFile:
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((N_CLASSES, IMAGE_SHAPE[0], 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["input", "weights"], ["features"], pads=[1] * 4),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    return _save(path, nodes, [numpy_helper.from_array(weights, "weights")])


def write_endless(path: Path) -> ModelFile:
    """Write a valid model whose loop runs 2^62 times."""
    number = [helper.make_tensor_value_info("i", TensorProto.INT64, [])]
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, 3, 8, 8])
    goes_on = helper.make_tensor_value_info("goes_on", TensorProto.BOOL, [])
    doubled = helper.make_tensor_value_info("doubled", TensorProto.FLOAT, [1, 3, 8, 8])
    still = helper.make_tensor_value_info("still", TensorProto.BOOL, [])
    body = helper.make_graph(
        [
            helper.make_node("Add", ["state", "state"], ["doubled"]),
            helper.make_node("Identity", ["goes_on"], ["still"]),
        ],
        "body",
        [*number, goes_on, state],
        [still, doubled],
    )
    nodes = [
        helper.make_node("Loop", ["trips", "", "input"], ["last"], body=body),
        helper.make_node("GlobalAveragePool", ["last"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    return _save(path, nodes, [numpy_helper.from_array(np.int64(2**62), "trips")])


def _save(path: Path, nodes: list, initializers: list) -> ModelFile:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, *IMAGE_SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return model_file(path)
