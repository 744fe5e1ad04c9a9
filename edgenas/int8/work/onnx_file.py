"""The work of an .onnx file of any make, layer by layer, from its operators and their shapes.

What engines fuse is one layer: QuantizeLinear and DequantizeLinear around an operator, and the
activation or batch norm behind a convolution.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from edgenas.core.errors import InputError
from edgenas.core.records import Layer, LayerKind
from edgenas.core.records.roofline import FileWork, LayerWork, WorkKind
from edgenas.int8.work.layers import Tensor, moving, said, weighted

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

# operator: places of its weights and of its bias among the inputs
_CONVOLUTIONS = {"Conv": (1, 2), "ConvInteger": (1, None), "QLinearConv": (3, 8)}
_MATRICES = {
    "Gemm": (1, 2),
    "MatMul": (1, None),
    "MatMulInteger": (1, None),
    "QLinearMatMul": (3, None),
}
_FUSED = ("Relu", "Clip", "BatchNormalization")
_VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Shape", "Constant")
_ELEMENTWISE = (
    "Add", "Sub", "Mul", "Div", "Max", "Min", "Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid",
    "HardSigmoid", "HardSwish", "Tanh", "Erf", "Gelu", "Exp", "Sqrt", "Pow", "Softmax",
    "BatchNormalization", "LayerNormalization",
)  # fmt: skip
_POOLS = (
    "GlobalAveragePool", "AveragePool", "MaxPool", "GlobalMaxPool", "ReduceMean", "ReduceMax",
)  # fmt: skip
_MOVES = (
    "QuantizeLinear", "DequantizeLinear", "Transpose", "Concat", "Slice", "Split", "Pad",
    "Cast", "Resize", "Gather", "Expand", "Tile",
)  # fmt: skip
_KINDS: dict[str, WorkKind] = {
    **dict.fromkeys(_ELEMENTWISE, "elementwise"),
    **dict.fromkeys(_POOLS, "pool"),
    **dict.fromkeys(_MOVES, "move"),
}
_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
Answer = TypeVar("Answer")


def read_work(content: bytes, shapes: Mapping[str, Sequence[int]]) -> FileWork:
    """Return the layers of a file whose inputs have `shapes`, by name; an open size of others is 1.

    Raises
    ------
    InputError : it is damaged, or its shapes contradict each other.
    """
    return _read(content, shapes, lambda reader: reader.work())


def read_layers(content: bytes, shapes: Mapping[str, Sequence[int]]) -> tuple[Layer, ...]:
    """Return a file's convolutions, matrices, additions and pools as the layers of a network.

    Weights and activations are of 8 bits where they are stored as integers, and where they are not.

    Raises
    ------
    InputError : it is damaged, or has an operator that is none of these.
    """
    return _read(content, shapes, lambda reader: reader.layers())


def _read(
    content: bytes, shapes: Mapping[str, Sequence[int]], answer: Callable[[_Reader], Answer]
) -> Answer:
    """Return what `answer` makes of a file; `InputError` for a damaged one."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    refused = (DecodeError, onnx.shape_inference.InferenceError, ValueError, RuntimeError)
    try:
        model = onnx.load_model_from_string(content)
        _settle(model, shapes)
        return answer(_Reader(onnx.shape_inference.infer_shapes(model, data_prop=True)))
    except (*refused, IndexError, RecursionError) as problem:
        said = (str(problem).splitlines() or [""])[0][:200]
        raise InputError(f"The operators of the ONNX file cannot be read: {said}.") from problem


def _settle(model: ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Give each input its shape, in the model."""
    stored = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in stored]
    for one in inputs:
        asked = shapes.get(one.name, shapes.get("") if len(inputs) == 1 else None)
        for axis, size in enumerate(one.type.tensor_type.shape.dim):
            if asked is not None:
                size.dim_value = asked[axis]
            elif not size.HasField("dim_value") or size.dim_value < 1:
                size.dim_value = 1


class _Reader:
    def __init__(self, model: ModelProto) -> None:
        graph = self.graph = model.graph
        self.maker = {name: node for node in graph.node for name in node.output}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.flowing = {one.name for one in graph.input} - {one.name for one in graph.initializer}
        for node in graph.node:
            if self.flowing.intersection(node.input):
                self.flowing.update(node.output)
        self.tensors: dict[str, Tensor] = {}
        for info in (*graph.input, *graph.output, *graph.value_info):
            sizes = [size.dim_value for size in info.type.tensor_type.shape.dim]
            known = info.type.tensor_type.HasField("shape") and all(size > 0 for size in sizes)
            if known:
                self._know(info.name, sizes, info.type.tensor_type.elem_type)
        for constant in graph.initializer:
            self._know(constant.name, constant.dims, constant.data_type)
        self.unknown: Counter[str] = Counter()
        self.grouped = 0

    def _know(self, name: str, sizes: Sequence[int], elem_type: int) -> None:
        bits = _bits(elem_type)
        if bits and all(size >= 0 for size in sizes):
            self.tensors[name] = Tensor(tuple(sizes), bits)

    def work(self) -> FileWork:
        layers = [layer for node in self.graph.node if (layer := self._layer(node)) is not None]
        return FileWork(tuple(layers), said(self.unknown, self.grouped))

    def _layer(self, node: NodeProto) -> LayerWork | None:
        if not self.flowing.intersection(node.input):
            return None  # it unpacks constants, which engines do once, or within the reader
        if node.op_type in _VIEWS or self._is_fused(node):
            return None
        try:
            if node.op_type in _CONVOLUTIONS:
                return self._convolution(node)
            if node.op_type in _MATRICES:
                return self._matrix(node)
            if node.op_type in _KINDS:
                kind = _KINDS[node.op_type]
                sources = [self._read(name) for name in node.input if name in self.flowing]
                return moving(_name(node), kind, sources, self._written(node))
        except (KeyError, IndexError):  # a shape or a type that is not known
            pass
        self.unknown[str(node.op_type)[:50]] += 1  # bytes where it is no UTF-8
        return None

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers; each reads what the layers before it make, or "input"."""
        nodes = [node for node in self.graph.node if self.flowing.intersection(node.input)]
        return tuple(
            self._as_layer(node)
            for node in nodes
            if node.op_type not in (*_VIEWS, *_MOVES) and not self._is_fused(node)
        )

    def _as_layer(self, node: NodeProto) -> Layer:
        kernel_size, stride = 1, 1
        kind: LayerKind | None = None
        name = node.op_type
        if name == "Conv":
            attributes = {one.name: one for one in node.attribute}
            weight = self._read(node.input[1]).shape
            groups = attributes["group"].i if "group" in attributes else 1
            if groups == 1 or weight[1] == 1:
                kind = "conv" if groups == 1 else "depthwise"
            kernel_size = max(weight[2:])
            stride = max(attributes["strides"].ints) if "strides" in attributes else 1
        elif name in ("Gemm", "MatMul"):
            kind = "linear"
        elif name == "Add" and all(one in self.flowing for one in node.input):
            kind = "add"
        elif name == "GlobalAveragePool":
            kind = "global_pool"
        if kind is None:
            raise InputError(
                f"The ONNX file has the operator {name[:50]} ({_name(node)}), for which a dataflow "
                "pipeline has no unit.",
            )
        read = self._read(node.input[0]).shape
        written = self._written(node).shape
        in_size, out_size = (max((1, *shape[2:])) for shape in (read, written))
        inputs = tuple(self._made_by(one) for one in node.input if one in self.flowing)
        return Layer(
            _name(node),
            kind,
            inputs,
            read[1],
            written[1],
            in_size,
            out_size,
            kernel_size=kernel_size,
            stride=stride,
        )

    def _made_by(self, name: str) -> str:
        """Return the layer that makes a tensor, behind what is fused, moved or viewed."""
        maker = self.maker.get(name)
        while maker is not None and (maker.op_type in (*_VIEWS, *_MOVES) or self._is_fused(maker)):
            maker = self.maker.get(maker.input[0])
        return "input" if maker is None else _name(maker)

    def _convolution(self, node: NodeProto) -> LayerWork:
        at, bias_at = _CONVOLUTIONS[node.op_type]
        source, weight = self._read(node.input[0]), self._read(node.input[at])
        output = self._written(node)
        groups = next((one.i for one in node.attribute if one.name == "group"), 1)
        taps = Tensor(weight.shape[2:], 8).size
        depthwise = groups > 1 and weight.shape[1] == 1
        self.grouped += groups > 1 and not depthwise
        fan_in = weight.shape[1] * taps
        bias = self._optional(node, bias_at)
        return weighted(
            _name(node), source, weight, output,
            fan_in=fan_in, channels=output.shape[1], depthwise=depthwise, taps=taps, bias=bias,
        )  # fmt: skip

    def _matrix(self, node: NodeProto) -> LayerWork:
        at, bias_at = _MATRICES[node.op_type]
        source, weight = self._read(node.input[0]), self._read(node.input[at])
        turned = any(one.name == "transA" and one.i for one in node.attribute)
        fan_in = source.shape[0] if turned else source.shape[-1]
        bias = self._optional(node, bias_at)
        output = self._written(node)
        return weighted(
            _name(node), source, weight, output,
            fan_in=fan_in, channels=(1, *output.shape)[-1], bias=bias,
        )  # fmt: skip

    def _optional(self, node: NodeProto, at: int | None) -> Tensor | None:
        if at is None or at >= len(node.input) or not node.input[at]:
            return None
        return self._read(node.input[at])

    def _read(self, name: str) -> Tensor:
        """Return an input as it is stored: before the DequantizeLinear that engines fuse."""
        maker = self.maker.get(name)
        if maker is not None and maker.op_type == _DEQUANTIZE:
            return self.tensors[maker.input[0]]
        return self.tensors[name]

    def _written(self, node: NodeProto) -> Tensor:
        """Return the output as it is stored, behind what is fused."""
        name = node.output[0]
        while (after := self._only_reader(name)) is not None and after.op_type in _FUSED:
            if not self._is_fused(after):
                break
            name = after.output[0]
        after = self._only_reader(name)
        fused = after is not None and after.op_type == _QUANTIZE and self._is_fused(after)
        return self.tensors[after.output[0] if fused and after is not None else name]

    def _only_reader(self, name: str) -> NodeProto | None:
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 else None

    def _is_fused(self, node: NodeProto) -> bool:
        """Whether engines compute this operator within another one."""
        if not node.input:
            return False
        if node.op_type == _DEQUANTIZE:
            readers = self.readers.get(node.output[0], [])
            return bool(readers) and all(_computes(one) for one in readers)
        maker = self.maker.get(node.input[0])
        if maker is None or self._only_reader(node.input[0]) is None:
            return False
        if node.op_type == _QUANTIZE:
            return self._is_within(maker) or (_computes(maker) and self._takes_integers(maker))
        return node.op_type in _FUSED and self._is_within(node)

    def _is_within(self, node: NodeProto) -> bool:
        """Whether it is an activation or a batch norm right behind a convolution or a matrix."""
        if node.op_type not in _FUSED:
            return False
        maker = self.maker.get(node.input[0])
        if maker is None or self._only_reader(node.input[0]) is None:
            return False
        return maker.op_type in (*_CONVOLUTIONS, *_MATRICES) or self._is_within(maker)

    def _takes_integers(self, node: NodeProto) -> bool:
        maker = self.maker.get(node.input[0]) if node.input else None
        return maker is not None and maker.op_type == _DEQUANTIZE


def _computes(node: NodeProto) -> bool:
    """Whether engines have the operator on integers, so that its ends are fused into it."""
    known = (*_CONVOLUTIONS, *_MATRICES, *_KINDS, *_VIEWS)
    return node.op_type in known and node.op_type not in (_QUANTIZE, _DEQUANTIZE)


def _name(node: NodeProto) -> str:
    return str(node.name or node.output[0])[:200]


def _bits(elem_type: int) -> int:
    """Return the bits of a number of an ONNX type; 0 for what is no number."""
    import onnx

    name = onnx.TensorProto.DataType.Name(elem_type) if elem_type else ""
    if name in ("UNDEFINED", "STRING", ""):
        return 0
    if name == "BOOL":
        return 8
    digits = "".join(filter(str.isdigit, name.removeprefix("B").partition("E")[0]))
    return int(digits) if digits else {"FLOAT": 32, "DOUBLE": 64}.get(name, 0)
