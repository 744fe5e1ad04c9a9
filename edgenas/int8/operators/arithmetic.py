"""Sums and products of two tensors, and functions of one: sigmoid, leaky ReLU, GELU."""

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


def _leaky(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    from torch.nn import functional

    return functional.leaky_relu(inputs[0], node.alpha)


def _gelu(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    from torch.nn import functional

    return functional.gelu(inputs[0])


def _onnx_add(w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes) -> None:
    w.operator("Add", inputs, output)


def _onnx_mul(w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes) -> None:
    w.operator("Mul", inputs, output)


def _onnx_sigmoid(
    w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes
) -> None:
    w.operator("Sigmoid", inputs, output)


def _onnx_leaky(w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes) -> None:
    w.operator("LeakyRelu", inputs, output, alpha=node.alpha)


def _onnx_gelu(w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes) -> None:
    w.operator("Gelu", inputs, output)


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


def _tflite_leaky(
    w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes
) -> None:
    w.operator("LEAKY_RELU", inputs, output, "LeakyReluOptions", (1, 2), alpha=node.alpha)


def _tflite_gelu(
    w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes
) -> None:
    w.operator("GELU", inputs, output, "GeluOptions", (1, 2), approximate=False)


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
    Operator("leaky_relu", _leaky, _onnx_leaky, _tflite_leaky, ("LeakyRelu",), ("LEAKY_RELU",)),
    Operator("gelu", _gelu, _onnx_gelu, _tflite_gelu, ("Gelu",), ("GELU",)),
)
