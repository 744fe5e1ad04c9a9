"""Read back what an int8 .tflite file stores, by its operators alone: names mean nothing here."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from edgenas.core.errors import ExportError
from edgenas.int8.checks.stored import Stored, StoredFile, StoredLayer
from edgenas.int8.exporters.flatbuffer import load_schema
from edgenas.int8.operators import operators

_KINDS = {
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    **{name: kind for kind, one in operators().items() for name in one.tflite_names},
}


def read(content: bytes) -> StoredFile:
    """Return the layers of an int8 file, weights in the graph's order of axes.

    Raises
    ------
    ExportError : it is no such file, or ai-edge-litert is absent.
    """
    schema = load_schema()
    try:
        return _Reader(schema, content).file()
    except (struct.error, KeyError, IndexError, ValueError, TypeError, AttributeError) as problem:
        raise ExportError(f"This is no int8 .tflite file of this kind: {problem}.") from problem


class _Reader:
    def __init__(self, schema: Any, content: bytes) -> None:
        self.model = schema.Model.GetRootAs(content, 0)
        self.graph = self.model.Subgraphs(0)
        self.types = _names(schema.TensorType)
        operators = _names(schema.BuiltinOperator)
        codes = [self.model.OperatorCodes(i) for i in range(self.model.OperatorCodesLength())]
        self.codes = [operators[code.BuiltinCode()] for code in codes]
        self.maker: dict[int, Any] = {}
        self.stored_as: dict[int, int] = {}  # what QUANTIZE makes of a tensor
        for index in range(self.graph.OperatorsLength()):
            one = self.graph.Operators(index)
            self.maker[one.Outputs(0)] = one
            if self._name(one) == "QUANTIZE":
                self.stored_as[one.Inputs(0)] = one.Outputs(0)

    def file(self) -> StoredFile:
        every = [self.graph.Operators(index) for index in range(self.graph.OperatorsLength())]
        named = [(self._name(operator), operator) for operator in every]
        layers = [self._layer(_KINDS[name], one) for name, one in named if name in _KINDS]
        ends = self._tensor(self.graph.Inputs(0)), self._tensor(self.graph.Outputs(0))
        return StoredFile(ends[0], tuple(layers), ends[1])

    def _layer(self, kind: str, operator: Any) -> StoredLayer:
        inputs, output = operator.InputsAsNumpy().tolist(), self._written(operator.Outputs(0))
        if kind in ("conv", "depthwise"):
            order = (3, 0, 1, 2) if kind == "depthwise" else (0, 3, 1, 2)
            weight = self._constant(inputs[1], order)
            return StoredLayer(
                kind, (self._read(inputs[0]),), output, weight, self._constant(inputs[2])
            )
        data = [index for index in inputs if not self._is_constant(index)]
        return StoredLayer(kind, tuple(map(self._read, data)), output)

    def _name(self, operator: Any) -> str:
        return self.codes[operator.OpcodeIndex()]

    def _read(self, index: int) -> Stored:
        """Return how a tensor was stored before a layer, perhaps one in float, reads it."""
        maker = self.maker.get(index)
        while maker is not None and self._name(maker) in ("PAD", "PADV2", "DEQUANTIZE"):
            index = maker.Inputs(0)
            maker = self.maker.get(index)
        return self._tensor(index)

    def _written(self, index: int) -> Stored:
        """Return how what a layer makes is stored: of one in float, as the next one stores it."""
        own = self._tensor(index)
        if own.scale is None and index in self.stored_as:
            return self._tensor(self.stored_as[index])
        return own

    def _is_constant(self, index: int) -> bool:
        buffer = self.model.Buffers(self.graph.Tensors(index).Buffer())
        return bool(buffer.DataLength() > 0)

    def _tensor(self, index: int) -> Stored:
        tensor = self.graph.Tensors(index)
        about = tensor.Quantization()
        dtype = np.dtype(self.types[tensor.Type()].lower())
        if about is None or about.ScaleLength() == 0:
            return Stored(dtype)
        return Stored(dtype, about.ScaleAsNumpy(), about.ZeroPointAsNumpy())

    def _constant(self, index: int, order: tuple[int, ...] | None = None) -> Stored:
        tensor, stored = self.graph.Tensors(index), self._tensor(index)
        raw = self.model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
        values = np.frombuffer(raw, stored.dtype).reshape(tensor.ShapeAsNumpy())
        values = values if order is None else values.transpose(order)
        return Stored(stored.dtype, stored.scale, stored.zero_point, values)


def _names(enumeration: Any) -> dict[int, str]:
    return {number: name for name, number in vars(enumeration).items() if isinstance(number, int)}
