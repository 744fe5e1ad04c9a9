"""The lowered graph in the making, and what each tensor of a file is in it.

A tensor of the file may be a tensor of the graph times a factor, or some of its channels in some
order, or the same numbers in another shape. None of these costs an operator: a factor goes into the
next weights, an order of channels waits until somebody reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from edgenas.core.records import Activation
from edgenas.int8.graph.ir import INPUT, OUTPUT, FileEnds, Graph, Node, NodeKind, WeightedNode
from edgenas.int8.importer.entry import Entry, image_shape
from edgenas.int8.importer.source import Operation, readers


class NotCoveredError(Exception):
    """What the importer has no node for; its text says why, in a few words."""


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the file.

    name : of the tensor of the graph, [1, channels, height, width]. shape : in the file, where a
        series has no height and a vector no axis but its channels.
    factor : the graph's tensor is so many times the file's; above 0.
    channels : those of the graph's tensor that it holds, in order, in the shape of the axes that
        they are in; None for all as they are.
    pads : zeros around it, above, on the left, below, on the right, that no operator made yet.
    """

    name: str
    shape: tuple[int, ...]
    factor: float = 1.0
    channels: np.ndarray | None = None
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def n_spatial(self) -> int:
        """The axes of the file's tensor that are no channels: 2 of an image, 0 of a vector."""
        return len(self.shape) - 1 - (1 if self.channels is None else self.channels.ndim)


class Builder:
    """The nodes so far, and the values by their names in the file."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.source = source = entry.source
        self.nodes: dict[str, Node] = {}
        self.shapes: dict[str, tuple[int, ...]] = {INPUT: entry.shape}
        self.values = {source.input: Value(INPUT, source.shapes[source.input])}
        self.constants = dict(source.constants)
        self._readers = readers(source)
        self._used: dict[str, int] = {}

    def value(self, name: str) -> Value:
        """Return what the file's tensor `name` is; it must not be a constant."""
        if name not in self.values:
            raise NotCoveredError("a constant where a tensor is wanted")
        return self.values[name]

    def constant(self, name: str) -> np.ndarray:
        if name not in self.constants:
            raise NotCoveredError("a tensor where a constant is wanted")
        return self.constants[name]

    def image(self, name: str) -> Value:
        """Return the tensor as it stands in the graph: its channels in order, without pads."""
        value = self.value(name)
        if any(value.pads):
            raise NotCoveredError("a padded image where no convolution reads it")
        return self.in_order(value)

    def image_shape(self, tensor: str) -> tuple[int, int, int, int]:
        """Return the shape in the graph of the file's `tensor`."""
        return image_shape(self.source.shapes[tensor])

    def in_order(self, value: Value) -> Value:
        if value.channels is None:
            return value
        numbers = tuple(int(one) for one in value.channels.ravel())
        if numbers == tuple(range(self.shapes[value.name][1])):
            return replace(value, channels=None)
        shape = (1, len(numbers), *self.shapes[value.name][2:])
        name = self.add(Node("channels", (value.name,), "", shape, numbers=numbers))
        return replace(value, name=name, channels=None)

    def add(self, node: Node, wanted: str = "") -> str:
        """Add a node, under the name `wanted` or one of its own; return the name."""
        stem = wanted or f"{node.inputs[0]}.{node.kind}"
        if stem in (INPUT, OUTPUT):
            stem = f"{stem}_of_file"
        count = self._used.get(stem, 0)
        self._used[stem] = count + 1
        name = f"{stem}.{count}" if count else stem
        if name in self.shapes:
            return self.add(node, f"{name}_")
        self.nodes[name] = replace(node, output=name)
        self.shapes[name] = node.shape
        return name

    def set(
        self, tensor: str, name: str, *, shape: tuple[int, ...] | None = None, factor: float = 1.0
    ) -> None:
        """Say that the file's `tensor` is the graph's tensor `name`."""
        self.values[tensor] = Value(name, shape or self.source.shapes[tensor], factor)

    def alone(self, value: Value) -> Node | None:
        """Return the node that made the value, if nothing else reads it or has changed it."""
        node = self.nodes.get(value.name)
        aliases = [name for name, one in self.values.items() if one.name == value.name]
        if node is None or any(self._readers.get(name, 0) > 1 for name in aliases):
            return None
        if value.channels is not None or node.activation != "none":
            return None
        return node

    def maker(self, value: Value) -> Node | None:
        """As `alone`; of pixels that a convolution makes as channels, that convolution."""
        node = self.alone(value)
        if node is None or node.kind != "depth_to_space":
            return node
        inner = self.nodes[node.inputs[0]]
        return inner if inner.activation == "none" else node

    def share(self, tensor: str) -> None:
        """Say that an operator reads `tensor` once more than the file says."""
        self._readers[tensor] = self._readers.get(tensor, 0) + 1

    def change(self, name: str, node: Node) -> None:
        """Put another node in the place of one that `alone` returned."""
        self.nodes[name] = node

    def scaled(self, tensor: str, gain: np.ndarray, shift: np.ndarray, to: str) -> None:
        """Say that the file's tensor `to` is `tensor` * gain + shift, a channel.

        It goes into the factor, or into the weights before it, or becomes a node of its own.
        """
        value = self.value(tensor)
        if not shift.any() and np.all(gain == gain[0]) and gain[0] > 0:
            self.values[to] = replace(
                value, factor=value.factor / float(gain[0]), shape=self.source.shapes[to]
            )
            return
        node = self.maker(value)
        if isinstance(node, WeightedNode) and not any(value.pads):
            times = len(node.weight) // self.shapes[value.name][1]  # pixels that are its channels
            own = np.tile(np.broadcast_to(gain / value.factor, len(node.weight) // times), times)
            weight = node.weight * own.reshape((-1,) + (1,) * (node.weight.ndim - 1))
            more = np.tile(np.broadcast_to(shift, len(node.weight) // times), times)
            bias = (node.bias * own + more).astype(np.float32)
            self.change(node.output, replace(node, weight=weight.astype(np.float32), bias=bias))
            self.set(to, value.name)
            return
        image = self.image(tensor)
        name = self._channelwise(image.name, gain / value.factor, shift, to)
        self.set(to, name)

    def _channelwise(self, name: str, gain: np.ndarray, shift: np.ndarray, wanted: str) -> str:
        shape = self.shapes[name]
        kind: NodeKind = "depthwise" if shape[1] > 1 else "conv"
        weight = np.broadcast_to(gain, shape[1]).astype(np.float32).reshape(-1, 1, 1, 1)
        bias = np.broadcast_to(shift, shape[1]).astype(np.float32)
        node = WeightedNode(kind, (name,), "", shape, weight, np.array(bias))
        return self.add(node, wanted)

    def plain(self, name: str) -> Value:
        """Return an image whose factor is 1, for operators that have no weights to take it."""
        value = self.image(name)
        if value.factor == 1.0:
            return value
        ones = np.ones(self.shapes[value.name][1])
        made = self._channelwise(value.name, ones / value.factor, 0 * ones, "")
        return replace(value, name=made, factor=1.0)

    def activated(self, tensor: str, activation: Activation, to: str) -> None:
        """Say that `to` is what the activation makes of `tensor`."""
        value = self.value(tensor)
        node = self.maker(value)
        homogeneous = activation == "relu" or value.factor == 1.0
        fused = isinstance(node, WeightedNode) or (node is not None and node.kind == "add")
        if isinstance(node, WeightedNode) and not homogeneous and not any(value.pads):
            weight, bias = (
                (values / value.factor).astype(np.float32) for values in (node.weight, node.bias)
            )
            node = replace(node, weight=weight, bias=bias)
            value, homogeneous = replace(value, factor=1.0), True
        if node is not None and fused and homogeneous and not any(value.pads):
            self.change(node.output, replace(node, activation=activation))
            self.set(to, value.name, factor=value.factor)
            return
        image = self.image(tensor)
        ones = np.ones(self.shapes[image.name][1])
        gain = ones if homogeneous else ones / image.factor
        name = self._channelwise(image.name, gain, 0 * ones, to)
        self.change(name, replace(self.nodes[name], activation=activation))
        self.set(to, name, factor=image.factor if homogeneous else 1.0)

    def graph(self) -> Graph:
        """Return the graph, which ends with the file's output as "logits"."""
        value = self.plain(self.source.output)
        name, node = value.name, self.nodes.get(value.name)
        if node is None:
            raise NotCoveredError("an output that is the input")
        if len(value.shape) == 2:
            name = self._classifier(name, node)
        kept = _needed(list(self.nodes.values()), name)
        final = [replace(one, output=OUTPUT) if one.output == name else one for one in kept]
        if any(name in one.inputs for one in final):
            raise NotCoveredError("an output that is read again")
        takes, order = self.entry.takes, self.entry.order
        ends = None if takes is None else FileEnds(takes, order, value.shape[1:])
        return Graph(self.entry.shape, tuple(final), ends)

    def _classifier(self, name: str, node: Node) -> str:
        """Return the node that makes scores [1, classes]: the last one, or one that copies it."""
        source = self.shapes[node.inputs[0]]
        if (
            isinstance(node, WeightedNode)
            and node.kind == "conv"
            and node.weight.shape[1:] == source[1:]
            and node.shape[2:] == (1, 1)
            and node.activation == "none"
        ):
            weight = node.weight.reshape(len(node.weight), -1)
            self.nodes[name] = WeightedNode(
                "linear", node.inputs, name, node.shape[:2], weight, node.bias
            )
            self.shapes[name] = node.shape[:2]
            return name
        shape = self.shapes[name]
        length = int(np.prod(shape))
        if length > 4096:
            raise NotCoveredError("an image that is flattened at the end")
        copy = WeightedNode(
            "linear",
            (name,),
            "",
            (1, length),
            np.eye(length, dtype=np.float32),
            np.zeros(length, np.float32),
        )
        return self.add(copy)


def _needed(nodes: list[Node], last: str) -> list[Node]:
    needed, kept = {last}, []
    for node in reversed(nodes):
        if node.output in needed:
            needed.update(node.inputs)
            kept.append(node)
    return kept[::-1]


Import = Callable[[Builder, Operation], None]  # adds what an operator of the file becomes
