"""The blocks of an imported network, found by its structure alone: no name in a file counts.

A *cut* is a tensor that all that follows depends on alone; between two of them is a segment. A
block is a segment that ends in a sum (a residual block), or a dense convolution, a depthwise one
and a dense one again (an inverted bottleneck without a sum). Channels that a block has for itself
are *hidden*: they are made by dense convolutions, pass through what treats each channel by itself,
and are read by dense convolutions of the same block. Only those may be fewer: nobody else knows
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgenas.int8.graph.ir import INPUT, Graph, Node, WeightedNode
from edgenas.spaces.imported import LEAST_HIDDEN

_CHANNEL_BY_CHANNEL = (
    *("add", "mul", "global_pool", "max_pool", "average_pool", "resize", "sigmoid", "gelu"),
)


@dataclass(frozen=True, eq=False)
class Block:
    """Nodes that follow each other, of which the first ones may be before what is elastic.

    entry : the tensor that they read. hidden : the tensors whose channels are hidden.
    residual : its last node adds what the block reads, so that the block may go.
    """

    entry: str
    nodes: tuple[Node, ...]
    hidden: frozenset[str]
    residual: bool


@dataclass(frozen=True, eq=False)
class Blocks:
    """A network from image to scores: what is before its blocks, they, and what is behind them."""

    stem: tuple[Node, ...]
    blocks: tuple[Block, ...]
    head: tuple[Node, ...]


def find_blocks(graph: Graph) -> Blocks:
    """Return the blocks of a graph; what lies between two of them belongs to the later one."""
    segments = list(_segments(graph.nodes))
    groups = _Groups(graph)
    blocks: list[Block] = []
    at = begin = _after_first_weights(segments)
    while at < len(segments):
        end = at + max(1, _bottleneck(segments, at, groups))
        nodes, entry = _joined(segments[at:end]), segments[at - 1][-1].output
        hidden, residual = groups.hidden(nodes), _adds(graph, nodes, entry)
        if hidden or residual:
            if not blocks:
                begin = at  # what comes before the first block is of the stem
            entry = segments[begin - 1][-1].output
            whole = _joined(segments[begin:end])
            blocks.append(Block(entry, whole, hidden, residual and begin == at))
            begin = end
        at = end
    first = next((at for at, segment in enumerate(segments) if segment[0] is _start(blocks)), begin)
    return Blocks(_joined(segments[:first]), tuple(blocks), _joined(segments[begin:]))


def _start(blocks: Sequence[Block]) -> Node | None:
    return blocks[0].nodes[0] if blocks else None


def _joined(segments: Sequence[Sequence[Node]]) -> tuple[Node, ...]:
    return tuple(node for segment in segments for node in segment)


def _after_first_weights(segments: Sequence[Sequence[Node]]) -> int:
    weighted = (any(isinstance(node, WeightedNode) for node in segment) for segment in segments)
    return next((at + 1 for at, has in enumerate(weighted) if has), len(segments))


def _segments(nodes: Sequence[Node]) -> Iterator[list[Node]]:
    """Yield the nodes between cuts."""
    last_reader = {name: at for at, node in enumerate(nodes) for name in node.inputs}
    segment: list[Node] = []
    open_until = last_reader.get(INPUT, 0)  # the last reader of what was made before
    for at, node in enumerate(nodes):
        segment.append(node)
        if open_until <= at:
            yield segment
            segment = []
        open_until = max(open_until, last_reader.get(node.output, at))


def _is_dense(node: Node) -> bool:
    return isinstance(node, WeightedNode) and node.kind == "conv" and node.parts == 1


def _bottleneck(segments: Sequence[Sequence[Node]], at: int, groups: _Groups) -> int:
    """Return how many segments from `at` on are an inverted bottleneck without a sum; 0 if none."""
    first = segments[at]
    if len(first) != 1 or not _is_dense(first[0]):
        return 0
    group, deep = groups.of(first[0].output), False
    for count, segment in enumerate(segments[at + 1 :], 2):
        if groups.of(segment[-1].output) != group:
            return count if deep and len(segment) == 1 and _is_dense(segment[0]) else 0
        if any(_is_dense(node) and node.shape[2:] != (1, 1) for node in segment):
            return 0  # a residual block that follows
        deep |= any(
            node.kind == "depthwise" and node.weight.shape[-1] > 1
            for node in segment
            if isinstance(node, WeightedNode)
        )
    return 0


def _adds(graph: Graph, nodes: Sequence[Node], entry: str) -> bool:
    """Whether the nodes end in a sum with what they read."""
    last = nodes[-1]
    return last.kind == "add" and entry in last.inputs and last.shape == graph.shapes[entry]


class _Groups:
    """Which tensors have the same channels: those that something treats channel by channel."""

    def __init__(self, graph: Graph) -> None:
        self._parent = {name: name for name in graph.shapes}
        self._shapes = graph.shapes
        self._rigid = {INPUT, graph.nodes[-1].output}
        for node in graph.nodes:
            if node.kind == "depthwise" or node.kind in _CHANNEL_BY_CHANNEL:
                for name in node.inputs:
                    self._parent[self.of(name)] = self.of(node.output)
            elif not _is_dense(node):  # it counts channels
                self._rigid |= {node.output, *node.inputs}
        self._rigid = {self.of(name) for name in self._rigid}
        self._members: dict[str, set[str]] = {}
        for name in graph.shapes:
            self._members.setdefault(self.of(name), set()).add(name)

    def of(self, name: str) -> str:
        while self._parent[name] != name:
            name = self._parent[name]
        return name

    def hidden(self, nodes: Sequence[Node]) -> frozenset[str]:
        """Return the tensors whose channels nobody outside of these nodes knows."""
        inside = {node.output for node in nodes[:-1]}
        hidden: set[str] = set()
        for group in {self.of(name) for name in inside} - self._rigid:
            members = self._members[group]
            if members <= inside and min(self._shapes[name][1] for name in members) >= LEAST_HIDDEN:
                hidden |= members
        return frozenset(hidden)
