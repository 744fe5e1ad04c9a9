"""A tensor stored anew: "quantize", behind a layer kept in float, or for another scale.

What it computes is its input; that its output is stored is what rounds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.int8.operators.base import OnnxWriter, Operator, TfliteWriter

if TYPE_CHECKING:
    import torch

    from edgenas.int8.graph.ir import Node

Shapes = list[tuple[int, ...]]


def _quantize(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    return inputs[0]


def _onnx(w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes) -> None:
    """The writer stores every tensor behind its operator, so that none is left to do here."""
    w.operator("Identity", inputs, output)


def _tflite(w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes) -> None:
    w.operator("QUANTIZE", inputs, output, "QuantizeOptions", (1, 1))


OPERATORS = (Operator("quantize", _quantize, _onnx, _tflite, (), ()),)
