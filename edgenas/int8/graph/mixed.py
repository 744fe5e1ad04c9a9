"""A graph of which some layers stay in float in int8 files, with a "quantize" at each border."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from edgenas.core.errors import ExportError
from edgenas.int8.graph.ir import INPUT, Graph, Node, NodeKind
from edgenas.int8.graph.ranges import Ranges

_BORDER: NodeKind = "quantize"


def mixed(graph: Graph, ranges: Ranges, floats: Collection[str]) -> tuple[Graph, Ranges]:
    """Return `graph` with the layers `floats` in float beside those that are so already.

    floats : layers, by the tensors that they make; "input" for those that read the image.
    ranges : of every tensor of `graph`, or none; those returned know the borders, too.

    Raises
    ------
    ExportError : the graph has no such layer.
    """
    unknown = sorted(set(floats) - set(graph.shapes))
    if unknown:
        raise ExportError(f"The graph has no layer '{unknown[0]}'.")
    renamed: dict[str, str] = {}
    plain = []
    for node in graph.nodes:
        inputs = tuple(renamed.get(name, name) for name in node.inputs)
        if node.kind == _BORDER and node.inputs[0] not in graph.stored:
            renamed[node.output] = inputs[0]
            continue
        kept = node.in_float or node.output in floats or (INPUT in floats and INPUT in inputs)
        plain.append(replace(node, inputs=inputs, in_float=kept))
    return _with_borders(replace(graph, nodes=tuple(plain)), ranges)


def _with_borders(graph: Graph, ranges: Ranges) -> tuple[Graph, Ranges]:
    """Return the graph in which what int8 layers read of float ones is made integers first."""
    floats = {node.output for node in graph.nodes if node.in_float}
    known, nodes, borders = dict(ranges), list[Node](), dict[str, str]()
    for node in graph.nodes:
        if node.in_float:
            nodes.append(node)
            continue
        for name in node.inputs:
            if name in floats and name not in borders:
                border = borders[name] = _free_name(f"{name}_int8", graph)
                nodes.append(Node(_BORDER, (name,), border, graph.shapes[name]))
                if name in ranges:
                    known[border] = ranges[name]
        inputs = tuple(borders.get(name, name) for name in node.inputs)
        nodes.append(replace(node, inputs=inputs))
    return replace(graph, nodes=tuple(nodes)), known


def _free_name(wanted: str, graph: Graph) -> str:
    while wanted in graph.shapes:
        wanted += "_"
    return wanted
