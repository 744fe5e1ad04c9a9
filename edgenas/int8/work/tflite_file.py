"""The work of a .tflite file of any make, layer by layer, from its operators and their shapes."""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any

from edgenas.core.errors import InputError
from edgenas.core.records.roofline import FileWork, LayerWork, WorkKind
from edgenas.int8.exporters.flatbuffer import load_schema
from edgenas.int8.work.layers import Tensor, moving, said, weighted

_VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "SHAPE")
_ELEMENTWISE = (
    "ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "RELU", "RELU6", "LEAKY_RELU", "PRELU",
    "LOGISTIC", "TANH", "HARD_SWISH", "SOFTMAX", "EXP", "SQRT", "RSQRT", "POW", "GELU",
)  # fmt: skip
_POOLS = (
    "AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "REDUCE_MAX", "SUM",
)  # fmt: skip
_MOVES = (
    "QUANTIZE", "DEQUANTIZE", "CAST", "TRANSPOSE", "CONCATENATION", "SLICE", "STRIDED_SLICE",
    "SPLIT", "PAD", "PADV2", "MIRROR_PAD", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR",
    "GATHER", "TILE", "PACK", "UNPACK",
)  # fmt: skip
_KINDS: dict[str, WorkKind] = {
    **dict.fromkeys(_ELEMENTWISE, "elementwise"),
    **dict.fromkeys(_POOLS, "pool"),
    **dict.fromkeys(_MOVES, "move"),
}
_BITS = {
    "FLOAT32": 32, "FLOAT16": 16, "FLOAT64": 64, "INT8": 8, "UINT8": 8, "INT16": 16, "UINT16": 16,
    "INT32": 32, "UINT32": 32, "INT64": 64, "UINT64": 64, "BOOL": 8, "INT4": 4, "INT2": 2,
}  # fmt: skip


def read_work(content: bytes) -> FileWork:
    """Return the layers of a file; an open size counts as the file has it, mostly 1.

    Raises
    ------
    InputError : it cannot be read. ExportError : the package that reads such files is absent.
    """
    schema = load_schema()
    try:
        return _Reader(schema, content).work()
    except (struct.error, IndexError, ValueError, TypeError, AttributeError) as problem:
        raise InputError("The .tflite file cannot be read: it is damaged.") from problem


class _Reader:
    def __init__(self, schema: Any, content: bytes) -> None:
        self.model = schema.Model.GetRootAs(content, 0)
        self.graph = self.model.Subgraphs(0)
        self.types = _names(schema.TensorType)
        operators = _names(schema.BuiltinOperator)
        codes = (self.model.OperatorCodes(i) for i in range(self.model.OperatorCodesLength()))
        self.codes = [
            operators.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "CUSTOM")
            for code in codes
        ]
        self.unknown: Counter[str] = Counter()
        self.grouped = 0

    def work(self) -> FileWork:
        every = [self.graph.Operators(index) for index in range(self.graph.OperatorsLength())]
        layers = [layer for one in every if (layer := self._layer(one)) is not None]
        if self.model.SubgraphsLength() > 1:
            self.unknown["further subgraphs"] += self.model.SubgraphsLength() - 1
        return FileWork(tuple(layers), said(self.unknown, self.grouped))

    def _layer(self, operator: Any) -> LayerWork | None:
        code = self.codes[operator.OpcodeIndex()]
        inputs = [index for index in operator.InputsAsNumpy().tolist() if index >= 0]
        if code in _VIEWS or not any(map(self._flows, inputs)):
            return None
        try:
            tensors = [self._tensor(index) for index in inputs]
            output = self._tensor(operator.Outputs(0))
        except KeyError:  # a type that is no number
            self.unknown[code] += 1
            return None
        name = self.graph.Tensors(operator.Outputs(0)).Name().decode("utf-8", "replace")[:200]
        if code in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL"):
            return self._weighted(code, name, tensors, output)
        if code in _KINDS:
            flowing = [self._tensor(index) for index in inputs if self._flows(index)]
            return moving(name, _KINDS[code], flowing, output)
        self.unknown[code] += 1
        return None

    def _weighted(self, code: str, name: str, tensors: list[Tensor], output: Tensor) -> LayerWork:
        source, weight, *rest = tensors
        bias, channels = rest[0] if rest else None, (1, *output.shape)[-1]
        if code in ("FULLY_CONNECTED", "BATCH_MATMUL"):
            fan_in = weight.shape[-1] if code == "FULLY_CONNECTED" else source.shape[-1]
            return weighted(
                name, source, weight, output, fan_in=fan_in, channels=channels, bias=bias
            )
        taps = weight.shape[1] * weight.shape[2]
        depthwise = code == "DEPTHWISE_CONV_2D"
        self.grouped += not depthwise and weight.shape[3] != source.shape[3]
        fan_in = taps if depthwise else taps * weight.shape[3]
        return weighted(
            name, source, weight, output,
            fan_in=fan_in, channels=channels, depthwise=depthwise, taps=taps, bias=bias,
        )  # fmt: skip

    def _tensor(self, index: int) -> Tensor:
        tensor = self.graph.Tensors(index)
        shape = tensor.ShapeAsNumpy() if tensor.ShapeLength() else ()
        return Tensor(tuple(max(1, int(size)) for size in shape), _BITS[self.types[tensor.Type()]])

    def _flows(self, index: int) -> bool:
        """Whether the tensor is no constant of the file."""
        return not self.model.Buffers(self.graph.Tensors(index).Buffer()).DataLength()


def _names(enumeration: Any) -> dict[int, str]:
    return {number: name for name, number in vars(enumeration).items() if isinstance(number, int)}
