"""The int8 network in integers alone: what code without floating point computes.

A node's sum of products is an int32; it becomes the output's integer by one multiplication with a
32-bit fraction in 64 bits, rounded half upwards (Jacob et al. 2018, arXiv 1712.05877, section 2.2).
`run` is the reference of the C files: they give the same integers, bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgenas.core.errors import ExportError
from edgenas.int8.graph.float_reference import checked_images, weighted
from edgenas.int8.graph.ir import INPUT, OUTPUT, Graph, Node, WeightedNode
from edgenas.int8.graph.quantize import Quantization

_FRACTION_BITS = 31
_KINDS = ("add", "mul", "global_pool")  # besides those with weights
# An accumulator is an int32 and a fraction has 31 bits, so that products fit in 63.
_MOST_SHIFT = 62


@dataclass(frozen=True)
class Fraction:
    """A positive real as multiplier / 2^shift, multiplier within [2^30, 2^31)."""

    multiplier: int
    shift: int


def fraction(real: float) -> Fraction:
    """Return the fraction nearest to `real`; `ExportError` if it has none of these."""
    mantissa, exponent = np.frexp(real)
    multiplier = round(float(mantissa) * 2**_FRACTION_BITS)
    shift = _FRACTION_BITS - int(exponent)
    if multiplier == 2**_FRACTION_BITS:
        multiplier, shift = multiplier // 2, shift - 1
    while shift > _MOST_SHIFT and multiplier > 0:  # it moves nothing by a step
        multiplier, shift = multiplier // 2, shift - 1
    if not (0 < real < 2**30 and shift > 0):
        raise ExportError(f"A ratio of scales is {real:g}, which no integer arithmetic takes.")
    return Fraction(multiplier, shift)


@dataclass(frozen=True, eq=False)
class Rescaling:
    """How a node's sums become its output's integers.

    fractions : one a channel of a weighted node; one of `mul` and `global_pool`; one an input of
        `add`. zero_point, least, greatest : of the output; the activation is in the bounds.
    """

    fractions: tuple[Fraction, ...]
    zero_point: int
    least: int
    greatest: int


def rescalings(graph: Graph, quantization: Quantization) -> dict[str, Rescaling]:
    """Return the rescaling of every node, by its output.

    Raises
    ------
    ExportError : the scheme keeps biases in float, or a ratio of scales is out of range.
    """
    if not quantization.scheme.integer_bias:
        raise ExportError("Integer code needs a scheme with integer biases: u8s8 or s8s8.")
    for node in graph.nodes:
        weighted = isinstance(node, WeightedNode) and node.dilation == 1
        if node.in_float or not (weighted or node.kind in _KINDS):
            raise ExportError(
                f"Integer code has no kernel for '{node.output}' ({node.kind}).",
                "Export it as .onnx or .tflite.",
            )
    return {node.output: _rescaling(node, graph, quantization) for node in graph.nodes}


def _rescaling(node: Node, graph: Graph, quantization: Quantization) -> Rescaling:
    quant = quantization.tensors[node.output]
    out, zero_point = float(quant.scale), int(quant.zero_point)
    inputs = [float(quantization.tensors[name].scale) for name in node.inputs]
    if isinstance(node, WeightedNode):
        ratios = [
            inputs[0] * float(scale) / out for scale in quantization.weights[node.output].scale
        ]
    elif node.kind == "add":
        ratios = [scale / out for scale in inputs]
    elif node.kind == "mul":
        ratios = [inputs[0] * inputs[1] / out]
    else:
        height, width = graph.shapes[node.inputs[0]][2:]
        ratios = [inputs[0] / (out * height * width)]
    least, greatest = quant.least, quant.greatest
    if node.activation != "none":
        least = max(least, zero_point)
        if node.activation == "relu6":
            greatest = min(greatest, zero_point + int(np.floor(6.0 / out + 0.5)))
    return Rescaling(tuple(map(fraction, ratios)), zero_point, least, greatest)


def run(graph: Graph, quantization: Quantization, images: np.ndarray) -> np.ndarray:
    """Return the integers of the logits, int64 [n, classes], of images, float32 [n, *graph.takes].

    Raises
    ------
    ExportError : the images do not fit the graph; see `rescalings`.
    """
    images = checked_images(graph, images)
    how = rescalings(graph, quantization)
    tensors: dict[str, np.ndarray] = {INPUT: stored_input(images, quantization)}
    for node in graph.nodes:
        tensors[node.output] = _node(node, tensors, quantization, how[node.output])
    return tensors[OUTPUT]


def stored_input(images: np.ndarray, quantization: Quantization) -> np.ndarray:
    """Return the integers of the input, int64, as the int8 reference stores them."""
    quant = quantization.tensors[INPUT]
    steps = np.rint(images / np.float32(quant.scale)) + int(quant.zero_point)
    return steps.clip(quant.least, quant.greatest).astype(np.int64)


def _node(
    node: Node, tensors: Mapping[str, np.ndarray], quantization: Quantization, how: Rescaling
) -> np.ndarray:
    values = [tensors[name] - int(quantization.tensors[name].zero_point) for name in node.inputs]
    if isinstance(node, WeightedNode):
        sums = _weighted(node, values[0], quantization)
        shape = (1, -1) + (1,) * (sums.ndim - 2)
        multiplier = np.array([one.multiplier for one in how.fractions]).reshape(shape)
        shift = np.array([one.shift for one in how.fractions]).reshape(shape)
        steps = (sums * multiplier + (np.int64(1) << (shift - 1))) >> shift
    elif node.kind == "add":
        steps = _added(values, how)
    else:
        pooled = node.kind == "global_pool"
        sums = values[0].sum((2, 3), keepdims=True) if pooled else values[0] * values[1]
        (one,) = how.fractions
        steps = (sums * one.multiplier + (1 << (one.shift - 1))) >> one.shift
    return (steps + how.zero_point).clip(how.least, how.greatest)


def _added(values: list[np.ndarray], how: Rescaling) -> np.ndarray:
    """Return the rounded sum of two rescaled inputs, which are brought to one shift first."""
    first, second = common(how.fractions)
    total = values[0] * first.multiplier + values[1] * second.multiplier
    return (total + (1 << (first.shift - 1))) >> first.shift


def common(fractions: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    """Return the fractions at the least of their shifts: sums of products with 9 bits then fit."""
    shift = min(one.shift for one in fractions)
    return tuple(Fraction(one.multiplier >> (one.shift - shift), shift) for one in fractions)


def _weighted(node: WeightedNode, values: np.ndarray, quantization: Quantization) -> np.ndarray:
    """Return the accumulators, int64; float64 holds them exactly."""
    import torch

    kept = quantization.weights[node.output]
    weight = torch.from_numpy(kept.weight.astype(np.float64))
    bias = torch.from_numpy(kept.bias.astype(np.float64))
    given = torch.from_numpy(values.astype(np.float64))
    with torch.inference_mode():
        sums = weighted(node, given, weight, bias)
    return np.rint(sums.numpy()).astype(np.int64)
