"""The lowered graph: what a trained network computes, as few kinds of node as possible.

Batch norm is folded, activations belong to the node before them, every tensor has a name and a
shape. The reference, the calibration and each exporter read this and nothing else of a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from edgenas.core.records import Activation
from edgenas.core.records.networks import OperatorKind, zeros_after

NodeKind = Literal[
    "conv",
    "depthwise",
    "linear",
    "add",
    "global_pool",
    OperatorKind,
    "leaky_relu",
    "quantize",
    "foreign",
]

Pads = tuple[int, int, int, int]  # pixels above, on the left, below, on the right

INPUT = "input"
OUTPUT = "logits"


@dataclass(frozen=True, eq=False)
class Node:
    """One operation, then the activation: `add` and `mul` ([1, c, 1, 1] broadcasts), pools, ….

    What each kind computes, and how files write it, is in `edgenas.int8.operators`.

    output : name of the tensor that it makes, and of the node.
    shape : of that tensor, [1, channels, height, width], or [1, classes] after `linear`.
    numbers : what else the kind needs to know, in the order that its operator says.
    alpha : slope below 0 of `leaky_relu`.
    in_float : int8 files compute it in float, and do not round what it makes (`mixed`).
    bits : of a stored number of its output.
    """

    kind: NodeKind
    inputs: tuple[str, ...]
    output: str
    shape: tuple[int, ...]
    activation: Activation = field(default="none", kw_only=True)
    numbers: tuple[int, ...] = field(default=(), kw_only=True)
    alpha: float = field(default=0.0, kw_only=True)
    in_float: bool = field(default=False, kw_only=True)
    bits: int = field(default=8, kw_only=True)


@dataclass(frozen=True, eq=False)
class WeightedNode(Node):
    """`conv`, `depthwise` or `linear`, then the activation.

    weight : float32 [out, in / groups, k, k]; `linear` [out, in] (it flattens its input).
    bias : float32 [out].
    padding : zeros above, pixels, and on the left, unless `padding_left` says otherwise; those
        below and on the right follow from the shape (`pads`).
    parts : groups of channels that a `conv` convolves each by itself.
    dilation : pixels from one tap of the window to the next.
    weight_bits : of a stored weight.
    bias_correction : float32 [out], what int8 files add to the bias for what rounding takes from
        the weights; None for nothing.
    """

    weight: np.ndarray
    bias: np.ndarray
    stride: int = 1
    padding: int = 0
    padding_left: int | None = None
    parts: int = 1
    dilation: int = 1
    weight_bits: int = field(default=8, kw_only=True)
    bias_correction: np.ndarray | None = field(default=None, kw_only=True)

    @property
    def int8_bias(self) -> np.ndarray:
        """The bias that int8 files round, float32 [out]."""
        if self.bias_correction is None:
            return self.bias
        return (self.bias + self.bias_correction).astype(np.float32)

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of what the window spans, gaps between its taps included."""
        height, width = ((size - 1) * self.dilation + 1 for size in self.weight.shape[2:])
        return height, width

    @property
    def groups(self) -> int:
        return self.weight.shape[0] if self.kind == "depthwise" else self.parts

    def pads(self, source: Sequence[int]) -> Pads:
        """Return the zeros around an input of shape `source`, [1, channels, height, width]."""
        left = self.padding if self.padding_left is None else self.padding_left
        return pads(source, self.shape, self.window, self.stride, (self.padding, left))


@dataclass(frozen=True, eq=False)
class ForeignNode(Node):
    """An operator of an ONNX file that has no kind of its own; it stays in float.

    operator : it alone, with its constants, as an ONNX file for one image. name : its type there.
    opset : of that file.
    """

    operator: bytes = b""
    name: str = ""
    opset: int = 0


def pads(
    source: Sequence[int],
    shape: Sequence[int],
    window: Sequence[int],
    stride: int,
    before: Sequence[int],
) -> Pads:
    """Return what a window that moves by `stride` needs around `source` to make `shape`.

    before : pixels above and on the left.
    """
    below, right = (
        zeros_after(source[axis], shape[axis], window[axis], stride, before[axis])
        for axis in (-2, -1)
    )
    return before[0], before[1], below, right


@dataclass(frozen=True)
class FileEnds:
    """What files of a graph take and give where their input is a vector or a series, no image.

    takes : shape of the input without the batch, [features] or [channels, length]. order : in which
    its axes are put before its numbers get the shape of the graph's image. gives : of the output.
    """

    takes: tuple[int, ...]
    order: tuple[int, ...]
    gives: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in the order of computation, from the tensor "input" to the tensor "logits".

    input_shape : [1, channels, height, width]; a series has the height 1, a vector one pixel.
    ends : of its files; None where they take an image.
    """

    input_shape: tuple[int, int, int, int]
    nodes: tuple[Node, ...]
    ends: FileEnds | None = None

    @property
    def takes(self) -> tuple[int, ...]:
        """The shape of an input without the batch, as files and references take it."""
        return self.input_shape[1:] if self.ends is None else self.ends.takes

    @property
    def gives(self) -> tuple[int, ...]:
        """The shape of an .onnx file's output without the batch."""
        return self.shapes[OUTPUT][1:] if self.ends is None else self.ends.gives

    def images(self, inputs: np.ndarray) -> np.ndarray:
        """Return inputs, [n, *takes], as the graph's images [n, channels, height, width]."""
        if self.ends is None:
            return inputs
        ordered = inputs.transpose(0, *(1 + axis for axis in self.ends.order))
        return ordered.reshape(len(inputs), *self.input_shape[1:])

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor by name, the input first."""
        return {INPUT: self.input_shape, **{node.output: node.shape for node in self.nodes}}

    @cached_property
    def stored(self) -> frozenset[str]:
        """The tensors that an int8 file rounds: what is made in int8, and the input if so read."""
        made = {node.output for node in self.nodes if not node.in_float}
        read = any(INPUT in node.inputs for node in self.nodes if not node.in_float)
        return frozenset(made | {INPUT} if read else made)

    @property
    def bits(self) -> dict[str, int]:
        """The bits of a stored number of every tensor; those of the input are 8."""
        return {INPUT: 8, **{node.output: node.bits for node in self.nodes}}

    @property
    def few_bits(self) -> bool:
        """Whether a stored number or weight has fewer than 8 bits."""
        weighted = (node for node in self.nodes if isinstance(node, WeightedNode))
        return any(bits < 8 for bits in self.bits.values()) or any(
            node.weight_bits < 8 for node in weighted
        )

    @property
    def params(self) -> int:
        """Weights and biases."""
        weighted = [node for node in self.nodes if isinstance(node, WeightedNode)]
        return sum(node.weight.size + node.bias.size for node in weighted)
