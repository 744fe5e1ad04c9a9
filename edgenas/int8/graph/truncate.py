"""A graph cut after one of its tensors: what a layer computes can then be seen from outside."""

from __future__ import annotations

from dataclasses import replace

from edgenas.core.errors import ExportError
from edgenas.int8.graph.ir import OUTPUT, Graph
from edgenas.int8.graph.ranges import Ranges


def cut(graph: Graph, ranges: Ranges, name: str) -> tuple[Graph, Ranges]:
    """Return the graph that ends with the tensor `name`, which is called "logits" there.

    Only what the tensor is computed from is kept. Its values are those in `graph`; so is its scale,
    but for the thousandth by which an addition that is cut off would have raised it (`tie_free`).

    Raises
    ------
    ExportError : the graph has no such layer.
    """
    if name not in {node.output for node in graph.nodes}:
        raise ExportError(f"The graph has no layer '{name}'.")
    needed, kept = {name}, []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            kept.append(replace(node, output=OUTPUT) if node.output == name else node)
    ends = None if graph.ends is None else replace(graph.ends, gives=graph.shapes[name][1:])
    return replace(graph, nodes=tuple(reversed(kept)), ends=ends), {**ranges, OUTPUT: ranges[name]}
