"""The lowered graph: what a trained network computes, as few kinds of node as possible.

Batch norm is folded, activations belong to the node before them, every tensor has a name and a
shape. The reference, the calibration and each exporter read this and nothing else of a network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from edgenas.records import Activation

NodeKind = Literal["conv", "depthwise", "linear", "add", "mul", "global_pool"]

INPUT = "input"
OUTPUT = "logits"


@dataclass(frozen=True, eq=False)
class Node:
    """One operation: `add` and `mul` of two tensors ([1, c, 1, 1] broadcasts), or `global_pool`.

    output : name of the tensor that it makes, and of the node.
    shape : of that tensor, [1, channels, height, width], or [1, classes] after `linear`.
    """

    kind: NodeKind
    inputs: tuple[str, ...]
    output: str
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class WeightedNode(Node):
    """`conv`, `depthwise` or `linear`, then the activation.

    weight : float32 [out, in / groups, k, k]; `linear` [out, in] (it flattens its input).
    bias : float32 [out].
    padding : zeros on each side, pixels.
    """

    weight: np.ndarray
    bias: np.ndarray
    stride: int = 1
    padding: int = 0
    activation: Activation = "none"

    @property
    def groups(self) -> int:
        return self.weight.shape[0] if self.kind == "depthwise" else 1


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in the order of computation, from the tensor "input" to the tensor "logits".

    input_shape : [1, channels, height, width].
    """

    input_shape: tuple[int, int, int, int]
    nodes: tuple[Node, ...]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor by name, the input first."""
        return {INPUT: self.input_shape, **{node.output: node.shape for node in self.nodes}}

    @property
    def params(self) -> int:
        """Weights and biases."""
        weighted = [node for node in self.nodes if isinstance(node, WeightedNode)]
        return sum(node.weight.size + node.bias.size for node in weighted)
