"""TFLite: float32, or int8 from the input to the logits, in the layout [batch, height, width, c].

Only operators that tflite-runtime 2.14 has in int8 with a scale per channel are used. A classifier
is therefore a convolution of its whole input: a fully connected layer with such scales gives wrong
numbers there, without a word, if it is written as version 4, and is refused as version 12.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgenas.errors import ExportError
from edgenas.exporters.flatbuffer import FlatbufferFile
from edgenas.exporters.tflite_reader import read
from edgenas.graph.ir import INPUT, OUTPUT, Graph, Node, WeightedNode
from edgenas.graph.quantize import Quantization, TensorQuant, find_scheme, quantize, stored_scheme
from edgenas.graph.ranges import Ranges

__all__ = ["FILE_SUFFIX", "LAYOUT", "emit", "read"]

FILE_SUFFIX = ".tflite"
LAYOUT = "nhwc"
# kind: operator, its options, and its versions in float and int8
_OPERATORS = {
    "conv": ("CONV_2D", "Conv2DOptions", 1, 3),
    "linear": ("CONV_2D", "Conv2DOptions", 1, 3),
    "depthwise": ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", 1, 3),
    "add": ("ADD", "AddOptions", 1, 2),
    "mul": ("MUL", "MulOptions", 1, 2),
    "pad": ("PAD", "PadOptions", 1, 2),
    "global_pool": ("MEAN", "ReducerOptions", 1, 2),
    "reshape": ("RESHAPE", "ReshapeOptions", 1, 1),
    "requantize": ("QUANTIZE", "QuantizeOptions", 1, 1),
}
_INT8_TO_UINT8 = 128


def emit(
    graph: Graph, ranges: Ranges | None, *, scheme: str = "s8s8", batch: int | None = 1
) -> bytes:
    """Return the TFLite file of `graph`: float32 without `ranges`, else int8 in `scheme`.

    scheme : input and logits are int8 in "s8s8" and "s8s8-symmetric" (zero points of 0), uint8 in
        "u8s8"; what lies between is int8 in all of them, biases int32.
    batch : images an inference; None gives 1, which an interpreter may resize.

    Raises
    ------
    ExportError : unknown scheme, a tensor has no calibrated range, or ai-edge-litert is absent.
    """
    quantization, ends = None, np.dtype("float32")
    if ranges is not None:
        asked = find_scheme(scheme)
        ends = np.dtype(asked.activation.__name__)
        quantization = quantize(graph, ranges, stored_scheme(scheme, "tflite"))
    writer = _Writer(graph, quantization, batch)
    source = writer.begin(ends)
    for node in graph.nodes:
        writer.add(node)
    return writer.finish(source, ends)


class _Writer:
    """The tensor of every name so far, and the small constants that operators share."""

    def __init__(self, graph: Graph, quantization: Quantization | None, batch: int | None) -> None:
        self.graph = graph
        self.quantization = quantization
        self.batch = batch
        self.file = FlatbufferFile()
        self.tensors: dict[str, int] = {}
        self.constants: dict[tuple, int] = {}

    def begin(self, ends: np.dtype) -> int:
        """Add the image, of type `ends`; return the tensor that is the file's input."""
        channels, height, width = self.graph.input_shape[1:]
        shape = (height, width, channels)
        source = self._activation(INPUT, shape, INPUT, ends)
        self.tensors[INPUT] = source
        if ends == np.uint8:
            self.tensors[INPUT] = self._activation(f"{INPUT}_int8", shape, INPUT)
            self._operator("requantize", [source], self.tensors[INPUT])
        return source

    def add(self, node: Node) -> None:
        """Add the operators of one node."""
        inputs = [self.tensors[name] for name in node.inputs]
        if isinstance(node, WeightedNode):
            self._weighted(node, inputs[0])
            return
        stem = _stem(node)
        self.tensors[node.output] = self._activation(stem, _image(node.shape), node.output)
        attributes: dict[str, Any] = {}
        if node.kind == "global_pool":
            inputs.append(self._constant("axes", [1, 2]))
            attributes["keepDims"] = True
        self._operator(node.kind, inputs, self.tensors[node.output], **attributes)

    def finish(self, source: int, ends: np.dtype) -> bytes:
        """Flatten the logits, give them the type `ends`, and return the file.

        Of a graph that ends with an image, its values are in the order height, width, channels.
        """
        classes = (math.prod(self.graph.shapes[OUTPUT][1:]),)
        flat = OUTPUT if ends != np.uint8 else f"{OUTPUT}_int8"
        result = self._activation(flat, classes, OUTPUT)
        shape = self._constant("logits_shape", [-1, *classes])
        self._operator("reshape", [self.tensors[OUTPUT], shape], result, newShape=[-1, *classes])
        if ends == np.uint8:
            integers, result = result, self._activation(OUTPUT, classes, OUTPUT, ends)
            self._operator("requantize", [integers], result)
        return self.file.finish({INPUT: source}, {OUTPUT: result})

    def _weighted(self, node: WeightedNode, source: int) -> None:
        depthwise, shape = node.kind == "depthwise", self.graph.shapes[node.inputs[0]]
        weight = node.weight
        if node.kind == "linear":
            weight = weight.reshape(len(weight), *_channels_first(shape))
        mode, before_after = _padding(_image(shape)[:2], node, weight.shape[2:])
        if any(before_after):
            source = self._padded(node, source, before_after)
        parameters = self._parameters(node, weight.shape, axis=3 if depthwise else 0)
        result = self._activation(_stem(node), _image(node.shape), node.output)
        self._operator(
            node.kind,
            [source, *parameters],
            result,
            padding=self.file.enum("Padding", mode),
            strideW=node.stride,
            strideH=node.stride,
            fusedActivationFunction=self.file.enum(
                "ActivationFunctionType", node.activation.upper()
            ),
            **({"depthMultiplier": 1} if depthwise else {}),
        )
        self.tensors[node.output] = result

    def _padded(self, node: WeightedNode, source: int, before_after: tuple[int, int]) -> int:
        name = node.inputs[0]
        image = _image(self.graph.shapes[name])
        shape = (*(size + sum(before_after) for size in image[:2]), image[2])
        amounts = self._constant("padding", [[0, 0], before_after, before_after, [0, 0]])
        padded = self._activation(f"{node.output}_padded", shape, name)
        self._operator("pad", [source, amounts], padded)
        return padded

    def _parameters(self, node: WeightedNode, shape: tuple[int, ...], axis: int) -> tuple[int, int]:
        """Add weight [out, k, k, in], depthwise [1, k, k, out], and bias; return their tensors."""
        order = (1, 2, 3, 0) if axis == 3 else (0, 2, 3, 1)
        values, bias = node.weight, node.bias
        weight_scale, bias_scale, zeros = None, None, None
        if self.quantization is not None:
            stored = self.quantization.weights[node.output]
            values, bias = stored.weight, stored.bias
            weight_scale, bias_scale = stored.scale, stored.bias_scale
            zeros = np.zeros(len(bias), np.int64)
        values = values.reshape(shape).transpose(order)
        how = {"scale": weight_scale, "zero_point": zeros, "axis": axis, "data": values}
        weight = self.file.tensor(f"{node.output}_weight", values.shape, values.dtype, **how)
        how = {"scale": bias_scale, "zero_point": zeros, "axis": 0, "data": bias}
        return weight, self.file.tensor(f"{node.output}_bias", bias.shape, bias.dtype, **how)

    def _activation(
        self, name: str, shape: tuple[int, ...], quantized_as: str, dtype: np.dtype | None = None
    ) -> int:
        """Add a tensor [batch, *shape], stored as the graph's tensor `quantized_as`."""
        full = (self.batch or 1, *shape)
        if self.quantization is None:
            return self.file.tensor(name, full, np.dtype(np.float32), open_batch=self.batch is None)
        dtype = dtype or np.dtype(np.int8)
        quant: TensorQuant = self.quantization.tensors[quantized_as]
        zero_point = int(quant.zero_point) + (_INT8_TO_UINT8 if dtype == np.uint8 else 0)
        return self.file.tensor(
            name,
            full,
            dtype,
            scale=np.array([quant.scale], np.float32),
            zero_point=np.array([zero_point], np.int64),
            open_batch=self.batch is None,
        )

    def _constant(self, name: str, values: list) -> int:
        """Add small int32 numbers, once; return their tensor."""
        data = np.array(values, np.int32)
        key = (name, *data.flat)
        if key not in self.constants:
            self.constants[key] = self.file.tensor(
                "_".join(map(str, key)), data.shape, data.dtype, data=data
            )
        return self.constants[key]

    def _operator(self, kind: str, inputs: list[int], output: int, **attributes: Any) -> None:
        operator, options, in_float, in_int8 = _OPERATORS[kind]
        version = in_float if self.quantization is None else in_int8
        self.file.operator(operator, version, inputs, output, options, **attributes)


def _padding(
    sizes: tuple[int, ...], node: WeightedNode, kernel: tuple[int, ...]
) -> tuple[str, tuple[int, int]]:
    """Return TFLite's padding mode, and the pixels (before, after) that it does not add itself.

    SAME adds max((ceil(n / s) - 1) * s + k - n, 0), the lesser half before; that is the node's own
    padding only where the halves are equal to it.
    """
    modes = {_one_padding(size, node, k) for size, k in zip(sizes, kernel, strict=True)}
    if len(modes) > 1:
        raise ExportError(f"'{node.output}' pads height and width differently.")
    return modes.pop()


def _one_padding(size: int, node: WeightedNode, k: int) -> tuple[str, tuple[int, int]]:
    stride, before = node.stride, node.padding
    outs = (size + 2 * before - k) // stride + 1
    after = (outs - 1) * stride + k - size - before  # may be below 0: the last pixels are not read
    if before == 0 and after <= 0:
        return "VALID", (0, 0)
    same = max((-(-size // stride) - 1) * stride + k - size, 0)
    if (same // 2, same - same // 2) == (before, after) and outs == -(-size // stride):
        return "SAME", (0, 0)
    return "VALID", (before, max(after, 0))


def _stem(node: Node) -> str:
    """Return the tensor's name in the file: "logits" is the flat one at the end."""
    return f"{OUTPUT}_map" if node.output == OUTPUT else node.output


def _image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (height, width, channels) of a graph's shape; logits are an image of one pixel."""
    channels, height, width = _channels_first(shape)
    return height, width, channels


def _channels_first(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return (shape[1], shape[2], shape[3]) if len(shape) == 4 else (shape[1], 1, 1)
