"""What an int8 file stores, read back from it, against what was lowered: number by number.

Outputs that differ by less than a gate tolerates say nothing of, say, an input's zero point that is
off by one. Here nothing is run and nothing tolerated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from edgenas.int8.graph.ir import INPUT, OUTPUT, ForeignNode, Graph, Node, WeightedNode
from edgenas.int8.graph.quantize import Quantization, TensorQuant
from edgenas.int8.operators import onnx_kinds

_FLOAT = np.dtype(np.float32)


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor as it is in a file: real = scale * (stored - zero_point).

    scale, zero_point : [1], or one a channel; None where there are none. values : of a constant, in
    the graph's order of axes.
    """

    dtype: np.dtype
    scale: np.ndarray | None = None
    zero_point: np.ndarray | None = None
    values: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """A layer as it is in a file. kind : one of the graph's; "conv" for a "linear" that is one.

    Of a layer in float the inputs are as they were stored before it read them, and the output is as
    the next layer in int8 stores it; float32 where nothing is stored.
    """

    kind: str
    inputs: tuple[Stored, ...]
    output: Stored
    weight: Stored | None = None
    bias: Stored | None = None


@dataclass(frozen=True, eq=False)
class StoredFile:
    """The layers of a file in the order of computation, and the integers at its ends."""

    input: Stored
    layers: tuple[StoredLayer, ...]
    output: Stored


def lowered(graph: Graph, quantization: Quantization, ends: np.dtype | None) -> StoredFile:
    """Return what a file of `graph` is to store.

    ends : type of its input and output; None for that of each tensor.
    """
    tensors = dict.fromkeys(graph.shapes, Stored(_FLOAT))
    tensors |= {name: _activation(quant) for name, quant in quantization.tensors.items()}
    borders = {
        node.inputs[0]: tensors[node.output]
        for node in _borders(graph)
        if node.inputs[0] not in graph.stored
    }
    layers = []
    for node in _layers(graph):
        inputs = tuple(tensors[name] for name in node.inputs)
        parameters = _parameters(node, quantization) if isinstance(node, WeightedNode) else ()
        output = borders.get(node.output, tensors[node.output])
        layers.append(StoredLayer(_kind(node), inputs, output, *parameters))
    return StoredFile(
        _with_type(tensors[INPUT], ends), tuple(layers), _with_type(tensors[OUTPUT], ends)
    )


def differences(graph: Graph, expected: StoredFile, found: StoredFile) -> tuple[str, ...]:
    """Return, in words, each tensor of `found` that is not as `expected`; () if all are."""
    kinds = [_as_read(layer.kind) for layer in expected.layers]
    if kinds != [_as_read(layer.kind) for layer in found.layers]:
        return (f"It has other layers: {len(found.layers)} instead of {len(kinds)}.",)
    said = [*_unlike("the file's input", expected.input, found.input)]
    for node, right, read in zip(_layers(graph), expected.layers, found.layers, strict=True):
        said += _unlike_layer(node, right, read)
    said += _unlike("the file's output", expected.output, found.output)
    return tuple(said)


def _borders(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.kind == "quantize"]


def _layers(graph: Graph) -> list[Node]:
    """Return what is read back as a layer: no borders, nor foreign operators but familiar ones."""
    return [
        node
        for node in graph.nodes
        if node.kind != "quantize" and not (isinstance(node, ForeignNode) and not _kind(node))
    ]


def _kind(node: Node) -> str:
    return onnx_kinds().get(node.name, "") if isinstance(node, ForeignNode) else node.kind


def _unlike_layer(node: Node, right: StoredLayer, read: StoredLayer) -> Iterator[str]:
    if len(right.inputs) != len(read.inputs):
        yield f"{node.output} has {len(read.inputs)} inputs instead of {len(right.inputs)}."
        return
    for name, one, other in zip(node.inputs, right.inputs, read.inputs, strict=True):
        yield from _unlike(f"{node.output}: its input {name}", one, other)
    for what in ("weight", "bias"):
        one, other = getattr(right, what), getattr(read, what)
        if one is not None and other is not None:
            yield from _unlike(f"{node.output}: its {what}", one, other)
        elif one is not other:
            yield f"{node.output}: its {what} is {'missing' if other is None else 'there'}."
    yield from _unlike(f"{node.output}: its output", right.output, read.output)


def _unlike(what: str, right: Stored, read: Stored) -> Iterator[str]:
    if right.dtype != read.dtype:
        yield f"{what} is {read.dtype}, not {right.dtype}."
        return
    for name in ("scale", "zero_point", "values"):
        one, other = getattr(right, name), getattr(read, name)
        if one is None or other is None:
            if one is not other:
                yield f"{what} has {'no' if other is None else 'a'} {name.replace('_', ' ')}."
            continue
        of = "" if name == "values" else f" has the {name.replace('_', ' ')}"
        if one.size != other.size:
            yield f"{what}{of or ' has'} {other.size} numbers instead of {one.size}."
            continue
        apart = np.flatnonzero(one.reshape(-1) != other.reshape(-1))
        if len(apart):
            first = int(apart[0])
            pair = f"{other.flat[first]} instead of {one.flat[first]}"
            place = f" at {first}; {len(apart)} of {one.size} differ" if one.size > 1 else ""
            yield f"{what}{of or ' is'} {pair}{place}."


def _activation(quant: TensorQuant) -> Stored:
    zero_point = np.array([int(quant.zero_point)])
    return Stored(np.dtype(type(quant.zero_point)), np.array([quant.scale]), zero_point)


def _with_type(tensor: Stored, dtype: np.dtype | None) -> Stored:
    """Return a tensor stored as `dtype`, with the same reals at both ends of the type."""
    if dtype is None or tensor.zero_point is None:  # it stays in float
        return tensor
    shift = int(np.iinfo(dtype).min) - int(np.iinfo(tensor.dtype).min)
    return replace(tensor, dtype=dtype, zero_point=tensor.zero_point + shift)


def _parameters(node: WeightedNode, quantization: Quantization) -> tuple[Stored, Stored]:
    if node.in_float:
        return Stored(_FLOAT, values=node.weight), Stored(_FLOAT, values=node.bias)
    stored = quantization.weights[node.output]
    zeros = np.zeros(len(stored.bias), np.int64)
    weight = Stored(np.dtype(np.int8), stored.scale, zeros, stored.weight)
    if not quantization.scheme.integer_bias:
        return weight, Stored(np.dtype(np.float32), values=stored.bias)
    return weight, Stored(np.dtype(np.int32), stored.bias_scale, zeros, stored.bias)


def _as_read(kind: str) -> str:
    return "conv" if kind == "linear" else kind
