"""ONNX: float32, or int8 as QuantizeLinear / DequantizeLinear pairs that engines fuse to integers.

IR 8 and opset 17, 20 where there is a GELU, load in onnxruntime 1.19 and later; scales are scalars,
or one per output channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from edgenas.core.records import Activation, ImageInput
from edgenas.int8.exporters.metadata import texts
from edgenas.int8.exporters.onnx_reader import read
from edgenas.int8.graph.ir import INPUT, OUTPUT, FileEnds, ForeignNode, Graph, Node, WeightedNode
from edgenas.int8.graph.quantize import (
    Quantization,
    WeightQuant,
    find_scheme,
    implied,
    quantize,
)
from edgenas.int8.graph.ranges import Ranges
from edgenas.int8.operators import find_operator

__all__ = ["FILE_SUFFIX", "LAYOUT", "emit", "read"]

FILE_SUFFIX = ".onnx"
LAYOUT = "nchw"
IR_VERSION = 8
OPSET = 17
_LATER_OPSETS = {"Gelu": 20}  # of operators that come later


def emit(
    graph: Graph,
    ranges: Ranges | None,
    *,
    scheme: str = "u8s8",
    batch: int | None = 1,
    made: ImageInput | None = None,
    class_names: Sequence[str] = (),
) -> bytes:
    """Return the ONNX file of `graph`: float32 without `ranges`, else int8 in `scheme`.

    scheme : "u8s8" or "s8s8" (activations, weights), or "s8s8-symmetric" for TensorRT: zero points
        of 0, float bias and explicit ReLU, which onnxruntime computes in float.
    batch : images an inference; None leaves it open.
    made, class_names : how the input is made, and the order of the scores: written into the file's
        metadata_props. Of layout "nhwc" the images are transposed in the file; of type "uint8" the
        graph takes the pixels that the file is given.

    Raises
    ------
    ExportError : unknown scheme, or a tensor has no calibrated range.
    """
    quantization = None if ranges is None else quantize(graph, ranges, find_scheme(scheme))
    writer = Writer(graph, quantization)
    writer.begin(made)
    for node in graph.nodes:
        writer.add(node)
    model = model_of(graph, writer, batch, made)
    helper.set_model_props(model, texts(made, class_names))
    return bytes(model.SerializeToString(deterministic=True))


class Writer:
    """The ONNX nodes and constants so far, and the name under which each tensor is read."""

    def __init__(self, graph: Graph, quantization: Quantization | None) -> None:
        self.graph = graph
        self.quantization = quantization
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self.read_as: dict[str, str] = {}
        as_made = graph.gives == graph.shapes[OUTPUT][1:]
        self.last = OUTPUT if as_made else f"{OUTPUT}_map"  # the file's output, or what becomes it

    def begin(self, made: ImageInput | None) -> None:
        source: str | None = INPUT
        if self.graph.ends is not None:
            source = self._image(self.graph.ends)
        if made is not None and made.layout == "nhwc":
            source = self.operator("Transpose", [INPUT], f"{INPUT}_nchw", perm=[0, 3, 1, 2])
        if source is not None and made is not None and made.dtype != "float32":
            source = self._pixels(source)
        if source is not None:
            self._finish(INPUT, source)

    def _image(self, ends: FileEnds) -> str:
        """Make the graph's image of the file's vector or series."""
        source, axes = INPUT, [1 + axis for axis in ends.order]
        if axes != sorted(axes):
            source = self.operator("Transpose", [INPUT], f"{INPUT}_ordered", perm=[0, *axes])
        return self.reshaped(source, f"{INPUT}_image", self.graph.input_shape[1:])

    def reshaped(self, source: str, to: str, shape: Sequence[int]) -> str:
        """Give a tensor another shape, which is without the batch."""
        sizes = self.constant(f"{to}_shape", np.array([-1, *shape], np.int64))
        return self.operator("Reshape", [source, sizes], to)

    def _pixels(self, source: str) -> str | None:
        """Read the uint8 pixels of the file's input; None where they are what the graph stores."""
        if self.quantization is None or not self._is_stored(INPUT):
            return self.operator("Cast", [source], f"{INPUT}_real", to=TensorProto.FLOAT)
        quant = self.quantization.tensors[INPUT]
        unsigned = isinstance(quant.zero_point, np.uint8)
        scale = self.constant(f"{INPUT}_scale", quant.scale)
        zero = self.constant(f"{INPUT}_pixel_zero", np.uint8(0))
        real = f"{INPUT}_read" if unsigned else f"{INPUT}_real"
        self.operator("DequantizeLinear", [source, scale, zero], real)
        if not unsigned:
            return real
        self.read_as[INPUT] = real
        return None

    def add(self, node: Node) -> None:
        inputs = [self.read_as[name] for name in node.inputs]
        computed = node.output
        if node.output == OUTPUT:  # the name of the last belongs to the dequantized output
            computed = f"{OUTPUT}_real" if self._is_stored(OUTPUT) else self.last
        activation = self._activation(node)
        plain = computed if activation == "none" else f"{computed}_plain"
        if isinstance(node, WeightedNode):
            self._weighted(node, inputs[0], plain)
        else:
            shapes = [self.graph.shapes[name] for name in node.inputs]
            find_operator(node.kind).onnx(self, node, inputs, plain, shapes)
        if activation == "relu":
            self.operator("Relu", [plain], computed)
        elif activation == "relu6":
            limits = [self.constant("zero", np.float32(0)), self.constant("six", np.float32(6))]
            self.operator("Clip", [plain, *limits], computed)
        self._finish(node.output, computed)
        if node.output == OUTPUT != self.last:
            self.reshaped(self.last, OUTPUT, self.graph.gives)

    def _activation(self, node: Node) -> Activation:
        """Return the activation to compute; storing the output may do what it does."""
        return "none" if self.quantization and implied(node, self.quantization) else node.activation

    def _weighted(self, node: WeightedNode, source: str, plain: str) -> None:
        inputs = [source, *self._parameters(node)]
        if node.kind == "linear":
            inputs[0] = self._flat(node.inputs[0], stored=not node.in_float)
            self.operator("Gemm", inputs, plain, transB=1)
        else:
            self.operator(
                "Conv",
                inputs,
                plain,
                kernel_shape=node.weight.shape[2:],
                strides=[node.stride] * 2,
                **({"dilations": [node.dilation] * 2} if node.dilation > 1 else {}),
                pads=node.pads(self.graph.shapes[node.inputs[0]]),
                group=node.groups,
            )

    def _flat(self, name: str, *, stored: bool) -> str:
        """Flatten a tensor; stored again as it was, else the engine's Gemm would stay in float."""
        flat = self.operator("Flatten", [self.read_as[name]], f"{name}_flat")
        return self._stored_and_read(flat, name, flat) if stored and self.quantization else flat

    def _parameters(self, node: WeightedNode) -> list[str]:
        weight, bias = f"{node.output}_weight", f"{node.output}_bias"
        if not self.quantization or node.in_float:
            return [self.constant(weight, node.weight), self.constant(bias, node.bias)]
        stored: WeightQuant = self.quantization.weights[node.output]
        parameters = [self._dequantized(weight, stored.weight, stored.scale)]
        if self.quantization.scheme.integer_bias:
            return [*parameters, self._dequantized(bias, stored.bias, stored.bias_scale)]
        return [*parameters, self.constant(bias, stored.bias)]

    def _dequantized(self, name: str, stored: np.ndarray, scale: np.ndarray) -> str:
        """Add integers with one scale for each row of the first axis; return the real tensor."""
        inputs = [
            self.constant(f"{name}_stored", stored),
            self.constant(f"{name}_scale", scale),
            self.constant(f"{name}_zero_point", np.zeros(len(scale), stored.dtype)),
        ]
        return self.operator("DequantizeLinear", inputs, name, axis=0)

    def _finish(self, name: str, computed: str) -> None:
        self.read_as[name] = computed
        if self._is_stored(name):
            self.read_as[name] = self._stored_and_read(computed, name, name)

    def _is_stored(self, name: str) -> bool:
        return self.quantization is not None and name in self.quantization.tensors

    def _stored_and_read(self, computed: str, name: str, prefix: str) -> str:
        """Store `computed` as integers, with the scale of the tensor `name`, and read it back."""
        assert self.quantization is not None
        quant = self.quantization.tensors[name]
        scale = self.constant(f"{name}_scale", quant.scale)
        zero_point = self.constant(f"{name}_zero_point", quant.zero_point)
        stored = f"{prefix}_stored"
        if quant.clips:  # integers of 8 bits hold more than there is: what is stored ends before
            ends = zip(("least", "greatest"), quant.bounds, strict=True)
            limits = [self.constant(f"{name}_{end}", value) for end, value in ends]
            computed = self.operator("Clip", [computed, *limits], f"{prefix}_clipped")
        self.operator("QuantizeLinear", [computed, scale, zero_point], stored)
        read = self.last if name == OUTPUT else f"{prefix}_read"
        return self.operator("DequantizeLinear", [stored, scale, zero_point], read)

    def operator(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        array = np.asarray(value)
        if name not in self.constants:
            self.constants[name] = TensorProto(
                name=name,
                data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
                dims=array.shape,
                raw_data=array.astype(array.dtype.newbyteorder("<")).tobytes(),
            )
        return name


def model_of(
    graph: Graph, writer: Writer, batch: int | None, made: ImageInput | None
) -> ModelProto:
    """Return the model of what was written; batch, made : as for `emit`."""

    def tensor(name: str, sizes: Sequence[int], dtype: int) -> Any:
        shape = ["batch" if batch is None else batch, *sizes]
        return helper.make_tensor_value_info(name, dtype, shape)

    nhwc = made is not None and made.layout == "nhwc"
    sizes = (*graph.takes[1:], graph.takes[0]) if nhwc else graph.takes
    pixels = made is not None and made.dtype != "float32"
    image = tensor(INPUT, sizes, TensorProto.UINT8 if pixels else TensorProto.FLOAT)
    logits = tensor(OUTPUT, graph.gives, TensorProto.FLOAT)
    body = helper.make_graph(
        writer.nodes, "subnet", [image], [logits], list(writer.constants.values())
    )
    needed = [_LATER_OPSETS.get(node.op_type, OPSET) for node in writer.nodes]
    needed += [node.opset for node in graph.nodes if isinstance(node, ForeignNode)]
    opset = [helper.make_opsetid("", max(needed))]
    return helper.make_model(
        body, producer_name="edgenas", ir_version=IR_VERSION, opset_imports=opset
    )
