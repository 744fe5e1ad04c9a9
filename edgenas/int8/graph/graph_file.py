"""A lowered graph with its calibrated ranges as one file: safetensors, the nodes as its metadata.

With it a model can be emitted again, in another format or cut short, without the supernet.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from device_runtime.json_text import read_json_text
from edgenas.core.errors import ExportError
from edgenas.core.records import Activation, from_json, to_json
from edgenas.int8.graph.ir import FileEnds, ForeignNode, Graph, Node, NodeKind, WeightedNode
from edgenas.int8.graph.ranges import Ranges


@dataclass(frozen=True)
class _NodeEntry:
    kind: NodeKind
    inputs: tuple[str, ...]
    output: str
    shape: tuple[int, ...]
    weighted: bool
    stride: int = 1
    padding: int = 0
    activation: Activation = "none"
    numbers: tuple[int, ...] = ()
    padding_left: int | None = None
    parts: int = 1
    dilation: int = 1
    alpha: float = 0.0
    in_float: bool = False
    bits: int = 8
    weight_bits: int = 8


@dataclass(frozen=True)
class _Document:
    input_shape: tuple[int, int, int, int]
    nodes: tuple[_NodeEntry, ...]
    ranges: dict[str, tuple[float, float]]
    ends: FileEnds | None = None


def write(graph: Graph, ranges: Ranges) -> bytes:
    """Return the file of `graph`; weights and biases are float32, as in the graph.

    Raises
    ------
    ExportError : an operator is of the ONNX file that it was imported from.
    """
    from safetensors.numpy import save

    arrays, entries = {}, []
    foreign = [node.output for node in graph.nodes if isinstance(node, ForeignNode)]
    if foreign:
        raise ExportError(f"A graph file has no place for '{foreign[0]}', which is ONNX's.")
    for node in graph.nodes:
        about = (node.kind, node.inputs, node.output, node.shape)
        if isinstance(node, WeightedNode):
            arrays[f"{node.output}.weight"] = np.ascontiguousarray(node.weight, np.float32)
            arrays[f"{node.output}.bias"] = np.ascontiguousarray(node.bias, np.float32)
            if node.bias_correction is not None:
                correction = np.ascontiguousarray(node.bias_correction, np.float32)
                arrays[f"{node.output}.bias_correction"] = correction
            entries.append(
                _NodeEntry(
                    *about,
                    True,
                    node.stride,
                    node.padding,
                    node.activation,
                    padding_left=node.padding_left,
                    parts=node.parts,
                    dilation=node.dilation,
                    in_float=node.in_float,
                    bits=node.bits,
                    weight_bits=node.weight_bits,
                )
            )
        else:
            entries.append(
                _NodeEntry(
                    *about,
                    False,
                    activation=node.activation,
                    numbers=node.numbers,
                    alpha=node.alpha,
                    in_float=node.in_float,
                    bits=node.bits,
                )
            )
    document = _Document(graph.input_shape, tuple(entries), ranges, graph.ends)
    return bytes(save(arrays, {"edgenas_graph": json.dumps(to_json(document))}))


def read(content: bytes, what: str) -> tuple[Graph, Ranges]:
    """Return the graph and the ranges in a file.

    what : how messages call it.

    Raises
    ------
    ExportError : it is no such file, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        header = read_json_text(content[8 : 8 + int.from_bytes(content[:8], "little")])
        text = read_json_text(header["__metadata__"]["edgenas_graph"])
        document = from_json(text, _Document, what, ExportError)
        nodes = tuple(_node(entry, arrays) for entry in document.nodes)
    except (SafetensorError, ValueError, KeyError, TypeError) as problem:
        raise ExportError(
            f"{what} is no graph file: {problem}.", "Run: edgenas export"
        ) from problem
    return Graph(document.input_shape, nodes, document.ends), document.ranges


def _node(entry: _NodeEntry, arrays: dict[str, np.ndarray]) -> Node:
    about = (entry.kind, entry.inputs, entry.output, entry.shape)
    if not entry.weighted:
        return Node(
            *about,
            activation=entry.activation,
            numbers=entry.numbers,
            alpha=entry.alpha,
            in_float=entry.in_float,
            bits=entry.bits,
        )
    weight, bias = arrays[f"{entry.output}.weight"], arrays[f"{entry.output}.bias"]
    return WeightedNode(
        *about,
        weight,
        bias,
        entry.stride,
        entry.padding,
        entry.padding_left,
        entry.parts,
        entry.dilation,
        activation=entry.activation,
        in_float=entry.in_float,
        bits=entry.bits,
        weight_bits=entry.weight_bits,
        bias_correction=arrays.get(f"{entry.output}.bias_correction"),
    )
