"""Operators of an ONNX file that have no int8 form here: kept in float, as the file says them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.core.errors import ExportError
from edgenas.int8.graph.ir import ForeignNode, Node
from edgenas.int8.operators.base import OnnxWriter, Operator, TfliteWriter

if TYPE_CHECKING:
    import torch

Shapes = list[tuple[int, ...]]


def _compute(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    """Run the operator alone, by ONNX Runtime, image by image: its constants are for one."""
    import torch

    assert isinstance(node, ForeignNode)
    session = _session(node.operator)
    names = [one.name for one in session.get_inputs()]
    arrays = [np.ascontiguousarray(one.numpy()) for one in inputs]
    images = [
        {name: rows[at : at + 1] for name, rows in zip(names, arrays, strict=True)}
        for at in range(len(arrays[0]))
    ]
    made = [session.run(None, image) for image in images]
    return torch.from_numpy(np.concatenate([outputs[0] for outputs in made]))


@lru_cache(maxsize=64)
def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _onnx(w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes) -> None:
    import onnx
    from onnx import helper, numpy_helper

    assert isinstance(node, ForeignNode)
    model = onnx.load_model_from_string(node.operator)
    (one,) = model.graph.node
    given = iter(inputs)
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    names = [
        w.constant(f"{node.output}_{name}", stored[name])
        if name in stored
        else name and next(given)
        for name in one.input
    ]
    attributes = {each.name: helper.get_attribute_value(each) for each in one.attribute}
    w.operator(one.op_type, names, output, **attributes)


def _tflite(w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes) -> None:
    raise ExportError(
        f"A .tflite file has no place for '{node.output}', which is ONNX's.", "Write an .onnx file."
    )


OPERATORS = (Operator("foreign", _compute, _onnx, _tflite, (), ()),)
