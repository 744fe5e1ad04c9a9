"""Operators that are not covered, put into the graph as they are: they stay in float."""

from __future__ import annotations

import numpy as np

from edgenas.int8.graph.ir import ForeignNode
from edgenas.int8.importer.builder import Builder, NotCoveredError
from edgenas.int8.importer.source import Operation

_IMAGE_RANK = 4
_WITH_WEIGHTS = ("Conv", "Gemm", "MatMul")
_LEAST_OPSET = 17  # of files that are written


def add_foreign(build: Builder, one: Operation, reason: str) -> None:
    """Add an operator that takes and gives images, in float; reason : why it is not covered.

    Raises
    ------
    NotCoveredError : it takes or gives something else, or its opset is older than written files'.
    """
    shapes = build.source.shapes
    named = [name for name in one.inputs if name]
    tensors = [name for name in named if name in build.values]
    ends = [shapes[name] for name in (*tensors, *one.outputs)]
    if len(one.outputs) != 1 or not tensors or any(len(each) != _IMAGE_RANK for each in ends):
        raise NotCoveredError(f"{reason}, and it takes or gives other things than images")
    if one.kind in _WITH_WEIGHTS:
        raise NotCoveredError(reason)
    if build.source.opset < _LEAST_OPSET:
        raise NotCoveredError(f"{reason}; it can stay in float from opset {_LEAST_OPSET} on")
    inputs = tuple(build.plain(name).name for name in tensors)
    constants = {name: build.constant(name) for name in named if name not in tensors}
    node = ForeignNode(
        "foreign",
        inputs,
        "",
        shapes[one.outputs[0]],
        in_float=True,
        operator=_alone(build, one, constants),
        name=one.kind,
        opset=build.source.opset,
    )
    build.set(one.outputs[0], build.add(node, one.outputs[0]))


def _alone(build: Builder, one: Operation, constants: dict[str, np.ndarray]) -> bytes:
    """Return the operator as a file of its own; each tensor that it reads is an input."""
    from onnx import TensorProto, helper, numpy_helper

    names, inputs = [], []
    for at, name in enumerate(one.inputs):
        if not name or name in constants:
            names.append(name)
            continue
        names.append(f"input_{at}")
        shape = build.source.shapes[name]
        inputs.append(helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, shape))
    shape = build.source.shapes[one.outputs[0]]
    result = helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)
    node = helper.make_node(one.kind, names, ["output"], **one.attributes)
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph([node], "operator", inputs, [result], stored)
    opsets = [helper.make_opsetid("", build.source.opset)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
