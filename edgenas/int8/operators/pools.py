"""Pools. Numbers of "max_pool" and "average_pool": height and width of the window, the stride, and
the pixels above and on the left of the image, which "average_pool" has none of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.int8.graph.ir import pads
from edgenas.int8.operators.base import OnnxWriter, Operator, TfliteWriter

if TYPE_CHECKING:
    import torch

    from edgenas.int8.graph.ir import Node

Shapes = list[tuple[int, ...]]


def _around(node: Node, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    return pads(shape, node.shape, node.numbers[:2], node.numbers[2], node.numbers[3:])


def _global(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    return inputs[0].mean((2, 3), keepdim=True)


def _max(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    from torch.nn import functional

    top, left, below, right = _around(node, tuple(inputs[0].shape))
    padded = functional.pad(inputs[0], (left, right, top, below), value=float("-inf"))
    return functional.max_pool2d(padded, node.numbers[:2], node.numbers[2])


def _average(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    from torch.nn import functional

    return functional.avg_pool2d(inputs[0], node.numbers[:2], node.numbers[2])


def _onnx_global(w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes) -> None:
    w.operator("GlobalAveragePool", inputs, output)


def _onnx_max(w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes) -> None:
    _onnx_pool("MaxPool", w, node, (inputs[0], output), shapes[0])


def _onnx_average(
    w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes
) -> None:
    _onnx_pool("AveragePool", w, node, (inputs[0], output), shapes[0])


def _onnx_pool(
    kind: str, w: OnnxWriter, node: Node, ends: tuple[str, str], shape: tuple[int, ...]
) -> None:
    height, width, stride = node.numbers[:3]
    how = {"kernel_shape": [height, width], "strides": [stride] * 2, "pads": _around(node, shape)}
    w.operator(kind, ends[:1], ends[1], **how)


def _tflite_global(
    w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes
) -> None:
    axes = w.constant("axes", [1, 2])
    w.operator("MEAN", [*inputs, axes], output, "ReducerOptions", (1, 2), keepDims=True)


def _tflite_max(
    w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes
) -> None:
    around = _around(node, shapes[0])
    if any(around):
        inputs = [w.padded(node, inputs[0], around, lowest=True)]
    _tflite_pool("MAX_POOL_2D", w, node, inputs, output)


def _tflite_average(
    w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes
) -> None:
    _tflite_pool("AVERAGE_POOL_2D", w, node, inputs, output)


def _tflite_pool(kind: str, w: TfliteWriter, node: Node, inputs: list[int], output: int) -> None:
    height, width, stride = node.numbers[:3]
    w.operator(
        kind,
        inputs,
        output,
        "Pool2DOptions",
        (1, 2),
        padding=w.enum("Padding", "VALID"),
        strideW=stride,
        strideH=stride,
        filterHeight=height,
        filterWidth=width,
        fusedActivationFunction=w.enum("ActivationFunctionType", node.activation.upper()),
    )


OPERATORS = (
    Operator(
        "global_pool", _global, _onnx_global, _tflite_global, ("GlobalAveragePool",), ("MEAN",)
    ),
    Operator(
        "max_pool",
        _max,
        _onnx_max,
        _tflite_max,
        ("MaxPool",),
        ("MAX_POOL_2D",),
        same_scale=True,
    ),
    Operator(
        "average_pool",
        _average,
        _onnx_average,
        _tflite_average,
        ("AveragePool",),
        ("AVERAGE_POOL_2D",),
        same_scale=True,
    ),
)
