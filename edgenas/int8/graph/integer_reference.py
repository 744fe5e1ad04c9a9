"""The int8 reference: what a quantized graph should compute, whichever engine runs it.

Every tensor is rounded to its stored integers and read back, as the QDQ form of ONNX defines it;
between two roundings the arithmetic is real (float32, by torch).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgenas.int8.graph import float_reference
from edgenas.int8.graph.ir import Graph, Node, WeightedNode
from edgenas.int8.graph.quantize import Quantization

if TYPE_CHECKING:
    import torch


def run(
    graph: Graph,
    quantization: Quantization,
    images: np.ndarray,
    *,
    observe: float_reference.Observer | None = None,
    batch_size: int = 32,
) -> np.ndarray:
    """Return the logits, float32 [n, classes], of images, float32 [n, *graph.takes].

    quantization : of `graph`, from `quantize`. observe : see `reference.run`; it is given what the
        stored integers stand for.

    Raises
    ------
    ExportError : the images do not fit the graph.
    """

    def store(name: str, value: torch.Tensor) -> torch.Tensor:
        return stored(name, value, quantization)

    kept = stored_graph(graph, quantization)
    return float_reference.run(kept, images, observe=observe, batch_size=batch_size, store=store)


def stored(name: str, value: torch.Tensor, quantization: Quantization) -> torch.Tensor:
    """Return what the stored integers of the tensor `name` stand for, float32 [n, …].

    What stays in float is returned as it is.
    """
    if name not in quantization.tensors:
        return value
    quant = quantization.tensors[name]
    scale, zero_point = float(quant.scale), int(quant.zero_point)
    steps = (value / scale).round_().clamp_(quant.least - zero_point, quant.greatest - zero_point)
    return steps.mul_(scale)


def stored_graph(graph: Graph, quantization: Quantization) -> Graph:
    """Return the graph with the weights and biases that its integers stand for."""
    return replace(graph, nodes=tuple(_as_stored(n, quantization) for n in graph.nodes))


def _as_stored(node: Node, quantization: Quantization) -> Node:
    """Return the node with the weights and bias that its integers stand for."""
    if not isinstance(node, WeightedNode) or node.in_float:
        return node
    kept = quantization.weights[node.output]
    scale = kept.scale.reshape((-1,) + (1,) * (kept.weight.ndim - 1))
    bias = kept.bias * kept.bias_scale if quantization.scheme.integer_bias else kept.bias
    weight = kept.weight.astype(np.float32) * scale
    return replace(node, weight=weight, bias=bias.astype(np.float32))
