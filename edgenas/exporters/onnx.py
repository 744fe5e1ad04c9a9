"""ONNX: float32, or int8 as QuantizeLinear / DequantizeLinear pairs that engines fuse to integers.

IR 8 and opset 17 load in onnxruntime 1.19 and later; scales are scalars, or one per output channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from edgenas.exporters.onnx_reader import read
from edgenas.graph.ir import INPUT, OUTPUT, Graph, Node, WeightedNode
from edgenas.graph.quantize import Quantization, WeightQuant, find_scheme, quantize
from edgenas.graph.ranges import Ranges

__all__ = ["FILE_SUFFIX", "LAYOUT", "emit", "read"]

FILE_SUFFIX = ".onnx"
LAYOUT = "nchw"
IR_VERSION = 8
OPSET = 17
_OPERATORS = {
    "conv": "Conv",
    "depthwise": "Conv",
    "linear": "Gemm",
    "add": "Add",
    "mul": "Mul",
    "global_pool": "GlobalAveragePool",
}


def emit(
    graph: Graph, ranges: Ranges | None, *, scheme: str = "u8s8", batch: int | None = 1
) -> bytes:
    """Return the ONNX file of `graph`: float32 without `ranges`, else int8 in `scheme`.

    scheme : "u8s8" or "s8s8" (activations, weights), or "s8s8-symmetric" for TensorRT: zero points
        of 0, float bias and explicit ReLU, which onnxruntime computes in float.
    batch : images an inference; None leaves it open.

    Raises
    ------
    ExportError : unknown scheme, or a tensor has no calibrated range.
    """
    quantization = None if ranges is None else quantize(graph, ranges, find_scheme(scheme))
    writer = _Writer(quantization)
    writer.begin()
    for node in graph.nodes:
        writer.add(node)
    return _model(graph, writer, batch).SerializeToString(deterministic=True)


class _Writer:
    """The ONNX nodes and constants so far, and the name under which each tensor is read."""

    def __init__(self, quantization: Quantization | None) -> None:
        self.quantization = quantization
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self.read_as: dict[str, str] = {}

    def begin(self) -> None:
        self._finish(INPUT, INPUT)

    def add(self, node: Node) -> None:
        inputs = [self.read_as[name] for name in node.inputs]
        computed = node.output
        if node.output == OUTPUT and self.quantization:
            computed = f"{OUTPUT}_real"  # the name "logits" belongs to the dequantized output
        if isinstance(node, WeightedNode):
            self._weighted(node, inputs[0], computed)
        else:
            self._operator(_OPERATORS[node.kind], inputs, computed)
        self._finish(node.output, computed)

    def _weighted(self, node: WeightedNode, source: str, computed: str) -> None:
        activation = node.activation
        if self.quantization and not self.quantization.scheme.symmetric:
            activation = "none"  # the stored range begins at 0 and ends by 6: saturation clips
        plain = computed if activation == "none" else f"{computed}_plain"
        inputs = [source, *self._parameters(node)]
        if node.kind == "linear":
            inputs[0] = self._flat(node.inputs[0])
            self._operator("Gemm", inputs, plain, transB=1)
        else:
            self._operator(
                "Conv",
                inputs,
                plain,
                kernel_shape=node.weight.shape[2:],
                strides=[node.stride] * 2,
                pads=[node.padding] * 4,
                group=node.groups,
            )
        if activation == "relu":
            self._operator("Relu", [plain], computed)
        elif activation == "relu6":
            limits = [self._constant("zero", np.float32(0)), self._constant("six", np.float32(6))]
            self._operator("Clip", [plain, *limits], computed)

    def _flat(self, name: str) -> str:
        """Flatten a tensor; stored again as it was, else the engine's Gemm would stay in float."""
        flat = self._operator("Flatten", [self.read_as[name]], f"{name}_flat")
        return self._stored_and_read(flat, name, flat) if self.quantization else flat

    def _parameters(self, node: WeightedNode) -> list[str]:
        weight, bias = f"{node.output}_weight", f"{node.output}_bias"
        if not self.quantization:
            return [self._constant(weight, node.weight), self._constant(bias, node.bias)]
        stored: WeightQuant = self.quantization.weights[node.output]
        parameters = [self._dequantized(weight, stored.weight, stored.scale)]
        if self.quantization.scheme.integer_bias:
            return [*parameters, self._dequantized(bias, stored.bias, stored.bias_scale)]
        return [*parameters, self._constant(bias, stored.bias)]

    def _dequantized(self, name: str, stored: np.ndarray, scale: np.ndarray) -> str:
        """Add integers with one scale for each row of the first axis; return the real tensor."""
        inputs = [
            self._constant(f"{name}_stored", stored),
            self._constant(f"{name}_scale", scale),
            self._constant(f"{name}_zero_point", np.zeros(len(scale), stored.dtype)),
        ]
        return self._operator("DequantizeLinear", inputs, name, axis=0)

    def _finish(self, name: str, computed: str) -> None:
        self.read_as[name] = computed
        if self.quantization:
            self.read_as[name] = self._stored_and_read(computed, name, name)

    def _stored_and_read(self, computed: str, name: str, prefix: str) -> str:
        """Store `computed` as integers, with the scale of the tensor `name`, and read it back."""
        assert self.quantization is not None
        quant = self.quantization.tensors[name]
        scale = self._constant(f"{name}_scale", quant.scale)
        zero_point = self._constant(f"{name}_zero_point", quant.zero_point)
        stored = f"{prefix}_stored"
        self._operator("QuantizeLinear", [computed, scale, zero_point], stored)
        read = OUTPUT if name == OUTPUT else f"{prefix}_read"
        return self._operator("DequantizeLinear", [stored, scale, zero_point], read)

    def _operator(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def _constant(self, name: str, value: np.ndarray | np.generic) -> str:
        array = np.asarray(value)
        if name not in self.constants:
            self.constants[name] = TensorProto(
                name=name,
                data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
                dims=array.shape,
                raw_data=array.astype(array.dtype.newbyteorder("<")).tobytes(),
            )
        return name


def _model(graph: Graph, writer: _Writer, batch: int | None) -> ModelProto:
    def tensor(name: str) -> Any:
        shape = ["batch" if batch is None else batch, *graph.shapes[name][1:]]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    body = helper.make_graph(
        writer.nodes, "subnet", [tensor(INPUT)], [tensor(OUTPUT)], list(writer.constants.values())
    )
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(
        body, producer_name="edgenas", ir_version=IR_VERSION, opset_imports=opset
    )
