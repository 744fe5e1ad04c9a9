"""Read back what an int8 ONNX file stores, by its operators alone: names mean nothing here."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from edgenas.core.errors import ExportError
from edgenas.int8.checks.stored import Stored, StoredFile, StoredLayer
from edgenas.int8.operators import onnx_kinds

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_KINDS = {
    "Conv": "conv",
    "Gemm": "conv",
    **onnx_kinds(),
}
_BETWEEN = ("QuantizeLinear", "DequantizeLinear")
_ACTIVATIONS = ("Relu", "Clip")
_FLOAT = Stored(np.dtype(np.float32))


def read(content: bytes) -> StoredFile:
    """Return the layers of an int8 file, QuantizeLinear and DequantizeLinear around each.

    Raises
    ------
    ExportError : it is no such file.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return _Reader(onnx.load_model_from_string(content)).file()
    except (DecodeError, KeyError, IndexError, ValueError, TypeError) as problem:
        raise ExportError(f"This is no int8 ONNX file of this kind: {problem}.") from problem


class _Reader:
    def __init__(self, model: ModelProto) -> None:
        from onnx import numpy_helper

        graph = self.graph = model.graph
        self.constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self.maker = {node.output[0]: node for node in graph.node}
        self.readers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self.readers[name].append(node)

    def file(self) -> StoredFile:
        layers = [self._layer(node) for node in self.graph.node if node.op_type in _KINDS]
        first = self._first()
        return StoredFile(first, tuple(layers), self._read(self.graph.output[0].name))

    def _first(self) -> Stored:
        """Return how the image's integers are stored or read, behind what brings it in order."""
        node = self.readers[self.graph.input[0].name][0]
        while node.op_type in ("Transpose", "Cast", "Reshape"):
            node = self.readers[node.output[0]][0]
        after = self.readers[node.output[0]][0]
        if node.op_type not in _BETWEEN:
            return _FLOAT
        return self._quantized(after if after.op_type == "QuantizeLinear" else node)

    def _layer(self, node: NodeProto) -> StoredLayer:
        output = self._written(node)
        if node.op_type not in ("Conv", "Gemm"):
            read = [name for name in node.input if name and name not in self.constants]
            return StoredLayer(_KINDS[node.op_type], tuple(map(self._read, read)), output)
        group = next((one.i for one in node.attribute if one.name == "group"), 1)
        weight, bias = (self._constant(name) for name in node.input[1:3])
        assert weight.values is not None
        kind = "depthwise" if 1 < group == len(weight.values) else "conv"
        return StoredLayer(kind, (self._read(node.input[0]),), output, weight, bias)

    def _read(self, name: str) -> Stored:
        """Return how a tensor was stored before it is read."""
        maker = self.maker.get(name)
        while maker is not None and maker.op_type in ("Flatten", "Reshape"):
            maker = self.maker.get(maker.input[0])
        if maker is None or maker.op_type not in _BETWEEN:
            return _FLOAT
        return self._quantized(maker)

    def _written(self, node: NodeProto) -> Stored:
        """Return how what a layer makes is stored, behind its activation."""
        after = self._after(node)
        while len(after) == 1 and after[0].op_type in _ACTIVATIONS:
            after = self._after(after[0])
        after += [two for one in after if one.op_type == "Identity" for two in self._after(one)]
        stored = [one for one in after if one.op_type == "QuantizeLinear"]
        return self._quantized(stored[0]) if stored else _FLOAT

    def _after(self, node: NodeProto) -> list[NodeProto]:
        return list(self.readers[node.output[0]])

    def _quantized(self, node: NodeProto) -> Stored:
        """Return how the integers of a QuantizeLinear or a DequantizeLinear are stored."""
        if node.op_type not in _BETWEEN:
            raise ValueError(f"{node.op_type} where integers are stored or read")
        scale, zero_point = (np.atleast_1d(self.constants[name]) for name in node.input[1:3])
        return Stored(zero_point.dtype, scale, zero_point.astype(np.int64))

    def _constant(self, name: str) -> Stored:
        if name in self.constants:
            return Stored(self.constants[name].dtype, values=self.constants[name])
        node = self.maker[name]
        about, values = self._quantized(node), self.constants[node.input[0]]
        return Stored(values.dtype, about.scale, about.zero_point, values)
