"""Concatenations of tensors with and without a sign, which engines want in one scale.

A ReLU is done by saturation where 0 is the least integer of its tensor; a scale that is shared with
negative numbers would leave it to be computed, and ONNX Runtime then keeps the convolution before
it in float. A "quantize" between them lets the convolution have a scale of its own.
"""

from __future__ import annotations

from dataclasses import replace

from edgenas.int8.graph.ir import Graph, Node, WeightedNode
from edgenas.int8.operators import find_operator


def with_signs_apart(graph: Graph) -> Graph:
    """Return the graph with what has no sign stored anew where it is joined to what may have one.

    What the graph computes in float does not change.
    """
    positive: set[str] = set()
    nodes: list[Node] = []
    names = set(graph.shapes)
    for node in graph.nodes:
        if _is_positive(node, positive):
            positive.add(node.output)
        apart = [name for name in dict.fromkeys(node.inputs) if name in positive]
        if node.kind != "concat" or node.output in positive or not apart:
            nodes.append(node)
            continue
        stored = {name: _free(f"{name}_joined", names) for name in apart}
        names.update(stored.values())
        nodes += [Node("quantize", (name,), to, graph.shapes[name]) for name, to in stored.items()]
        inputs = tuple(stored.get(name, name) for name in node.inputs)
        nodes.append(replace(node, inputs=inputs))
    return replace(graph, nodes=tuple(nodes))


def _is_positive(node: Node, positive: set[str]) -> bool:
    """Return whether what a node makes is never below 0."""
    if node.activation != "none" or node.kind == "sigmoid":
        return True
    copies = not isinstance(node, WeightedNode) and find_operator(node.kind).same_scale
    return copies and all(name in positive for name in node.inputs)


def _free(wanted: str, names: set[str]) -> str:
    while wanted in names:
        wanted += "_"
    return wanted
