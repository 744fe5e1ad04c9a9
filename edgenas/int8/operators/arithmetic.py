"""Sums and products of two tensors, and the sigmoid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.int8.operators.base import OnnxWriter, Operator, TfliteWriter

if TYPE_CHECKING:
    import torch

    from edgenas.int8.graph.ir import Node

Shapes = list[tuple[int, ...]]


def _add(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    return inputs[0] + inputs[1]


def _mul(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    return inputs[0] * inputs[1]


def _sigmoid(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    return inputs[0].sigmoid()


def _onnx_add(w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes) -> None:
    w.operator("Add", inputs, output)


def _onnx_mul(w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes) -> None:
    w.operator("Mul", inputs, output)


def _onnx_sigmoid(
    w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes
) -> None:
    w.operator("Sigmoid", inputs, output)


def _tflite_add(
    w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes
) -> None:
    fused = w.enum("ActivationFunctionType", node.activation.upper())
    w.operator("ADD", inputs, output, "AddOptions", (1, 2), fusedActivationFunction=fused)


def _tflite_mul(
    w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes
) -> None:
    fused = w.enum("ActivationFunctionType", node.activation.upper())
    w.operator("MUL", inputs, output, "MulOptions", (1, 2), fusedActivationFunction=fused)


def _tflite_sigmoid(
    w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes
) -> None:
    w.operator("LOGISTIC", inputs, output, "", (1, 2))


OPERATORS = (
    Operator("add", _add, _onnx_add, _tflite_add, ("Add",), ("ADD",)),
    Operator("mul", _mul, _onnx_mul, _tflite_mul, ("Mul",), ("MUL",)),
    # TFLite's LOGISTIC takes no other scale for what it makes: steps of 1 / 256
    Operator(
        "sigmoid",
        _sigmoid,
        _onnx_sigmoid,
        _tflite_sigmoid,
        ("Sigmoid",),
        ("LOGISTIC",),
        bounds=(0.0, 255 / 256),
    ),
)
