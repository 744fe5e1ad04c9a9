"""TFLite: float32, or int8 from the input to the logits, in the layout [batch, height, width, c].

Only operators that tflite-runtime 2.14 has in int8 with a scale per channel are used. A classifier
is therefore a convolution of its whole input: a fully connected layer with such scales gives wrong
numbers there, without a word, if it is written as version 4, and is refused as version 12.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgenas.core.errors import ExportError
from edgenas.core.records import ImageInput
from edgenas.int8.exporters.base import require_8_bits
from edgenas.int8.exporters.flatbuffer import FlatbufferFile
from edgenas.int8.exporters.metadata import TASK_KEY, labels_archive, task_metadata, texts
from edgenas.int8.exporters.tflite_reader import read
from edgenas.int8.graph.ir import INPUT, OUTPUT, FileEnds, Graph, Node, Pads, WeightedNode
from edgenas.int8.graph.quantize import (
    Quantization,
    TensorQuant,
    find_scheme,
    quantize,
    stored_scheme,
)
from edgenas.int8.graph.ranges import Ranges
from edgenas.int8.operators import find_operator

__all__ = ["FILE_SUFFIX", "LAYOUT", "emit", "read"]

FILE_SUFFIX = ".tflite"
LAYOUT = "nhwc"
# kind: operator, its options, and its versions in float and int8
_OPERATORS = {
    "conv": ("CONV_2D", "Conv2DOptions", 1, 3),
    "linear": ("CONV_2D", "Conv2DOptions", 1, 3),
    "depthwise": ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", 1, 3),
    "pad": ("PAD", "PadOptions", 1, 2),
    "pad_lowest": ("PADV2", "PadV2Options", 1, 2),
    "reshape": ("RESHAPE", "ReshapeOptions", 1, 1),
    "transpose": ("TRANSPOSE", "TransposeOptions", 1, 2),
    "requantize": ("QUANTIZE", "QuantizeOptions", 1, 1),
    "dequantize": ("DEQUANTIZE", "DequantizeOptions", 2, 2),
}
_INT8_TO_UINT8 = 128


def emit(
    graph: Graph,
    ranges: Ranges | None,
    *,
    scheme: str = "s8s8",
    batch: int | None = 1,
    made: ImageInput | None = None,
    class_names: Sequence[str] = (),
) -> bytes:
    """Return the TFLite file of `graph`: float32 without `ranges`, else int8 in `scheme`.

    scheme : input and logits are int8 in "s8s8" and "s8s8-symmetric" (zero points of 0), uint8 in
        "u8s8"; what lies between is int8 in all of them, biases int32.
    batch : images an inference; None gives 1, which an interpreter may resize.
    made : how the input is made, whose layout and type must be those of the file. Input and logits
        are float32 where all that reads or makes them stays in float.
    made, class_names : are written into the file, as text and as TFLite Metadata.

    Raises
    ------
    ExportError : unknown scheme, a tensor has no calibrated range, or ai-edge-litert is absent.
    """
    require_8_bits(graph, ".tflite")
    quantization, ends = None, np.dtype("float32")
    if ranges is not None:
        asked = find_scheme(scheme)
        ends = np.dtype(asked.activation.__name__)
        quantization = quantize(graph, ranges, stored_scheme(scheme, "tflite"))
    takes = str(ends) if INPUT in graph.stored else "float32"
    if made is not None and (made.layout, made.dtype) != (LAYOUT, takes):
        raise ExportError(
            f"A .tflite file of this scheme takes {LAYOUT}, {takes}; "
            f"{made.layout}, {made.dtype} was asked for.",
            "Pixels as they are can be: --input uint8",
        )
    writer = _Writer(graph, quantization, batch)
    source = writer.begin(ends)
    for node in graph.nodes:
        writer.add(node)
    said = {name: text.encode() for name, text in texts(made, class_names).items()}
    if made is not None:
        said[TASK_KEY] = task_metadata(made, class_names, (INPUT, OUTPUT))
    content = writer.finish(source, ends, said)
    return content + labels_archive(class_names) if made is not None and class_names else content


class _Writer:
    """The tensor of every name so far, and the small constants that operators share."""

    def __init__(self, graph: Graph, quantization: Quantization | None, batch: int | None) -> None:
        self.graph = graph
        self.quantization = quantization
        self.batch = batch
        self.file = FlatbufferFile()
        self.tensors: dict[str, int] = {}
        self.read_back: dict[str, int] = {}  # integers as floats, for layers in float
        self.constants: dict[tuple, int] = {}

    def begin(self, ends: np.dtype) -> int:
        """Add the input, of type `ends`; return the tensor that is the file's input."""
        image = _image(self.graph.input_shape)
        shape = image if self.graph.ends is None else self.graph.takes
        source = self._activation(INPUT, shape, INPUT, ends)
        self.tensors[INPUT] = source
        if ends == np.uint8 and self._is_stored(INPUT):
            self.tensors[INPUT] = self._activation(f"{INPUT}_int8", shape, INPUT)
            self._write("requantize", [source], self.tensors[INPUT])
        if self.graph.ends is not None:
            self.tensors[INPUT] = self._as_image(self.tensors[INPUT], self.graph.ends)
        return source

    def _as_image(self, source: int, ends: FileEnds) -> int:
        """Return the graph's image of the file's vector or series.

        The importer takes such alone whose channels are one axis of the file, or one, or all there
        is (`importer.entry`), so that a change of axes puts them last.
        """
        _, channels, *sizes = self.graph.input_shape
        order = ends.order
        if channels > 1 and math.prod(sizes) > 1:
            order = (*order[1:], order[0])
        if order != tuple(sorted(order)):
            shape = tuple(ends.takes[axis] for axis in order)
            turned = self._activation(f"{INPUT}_ordered", shape, INPUT)
            axes = self.constant("order", [0, *(1 + axis for axis in order)])
            self._write("transpose", [source, axes], turned)
            source = turned
        image = _image(self.graph.input_shape)
        result = self._activation(f"{INPUT}_image", image, INPUT)
        new_shape = self.constant("image_shape", [-1, *image])
        self._write("reshape", [source, new_shape], result, newShape=[-1, *image])
        return result

    def add(self, node: Node) -> None:
        """Add the operators of one node."""
        read = self._in_float if node.in_float else self.tensors.__getitem__
        inputs = [read(name) for name in node.inputs]
        if isinstance(node, WeightedNode):
            self._weighted(node, inputs[0])
            return
        result = self._activation(_stem(node), _image(node.shape), node.output)
        shapes = [self.graph.shapes[name] for name in node.inputs]
        find_operator(node.kind).tflite(self, node, inputs, result, shapes)
        self.tensors[node.output] = result

    def finish(self, source: int, ends: np.dtype, metadata: Mapping[str, bytes]) -> bytes:
        """Flatten the logits, give them the type `ends`, and return the file with its metadata.

        Of a graph that ends with an image, its values are in the order height, width, channels.
        """
        classes = (math.prod(self.graph.shapes[OUTPUT][1:]),)
        requantized = ends == np.uint8 and self._is_stored(OUTPUT)
        flat = f"{OUTPUT}_int8" if requantized else OUTPUT
        result = self._activation(flat, classes, OUTPUT)
        shape = self.constant("logits_shape", [-1, *classes])
        self._write("reshape", [self.tensors[OUTPUT], shape], result, newShape=[-1, *classes])
        if requantized:
            integers, result = result, self._activation(OUTPUT, classes, OUTPUT, ends)
            self._write("requantize", [integers], result)
        return self.file.finish({INPUT: source}, {OUTPUT: result}, metadata)

    def _weighted(self, node: WeightedNode, source: int) -> None:
        depthwise, shape = node.kind == "depthwise", self.graph.shapes[node.inputs[0]]
        weight = node.weight
        if node.kind == "linear":
            weight = weight.reshape(len(weight), *_channels_first(shape))
        sizes, outs = _image(shape)[:2], _image(node.shape)[:2]
        window = weight.shape[2:] if node.kind == "linear" else node.window
        mode, around = _padding(sizes, outs, node, window)
        if any(around):
            source = self.padded(node, source, around)
        parameters = self._parameters(node, weight.shape, axis=3 if depthwise else 0)
        result = self._activation(_stem(node), _image(node.shape), node.output)
        self._write(
            node.kind,
            [source, *parameters],
            result,
            padding=self.file.enum("Padding", mode),
            strideW=node.stride,
            strideH=node.stride,
            dilationWFactor=node.dilation,
            dilationHFactor=node.dilation,
            fusedActivationFunction=self.file.enum(
                "ActivationFunctionType", node.activation.upper()
            ),
            **({"depthMultiplier": 1} if depthwise else {}),
        )
        self.tensors[node.output] = result

    def padded(self, node: Node, source: int, pads: Sequence[int], *, lowest: bool = False) -> int:
        """Return a tensor with pixels around `source`: zeros, or the lowest number there is."""
        name = node.inputs[0]
        top, left, below, right = pads
        height, width, channels = _image(self.graph.shapes[name])
        shape = (height + top + below, width + left + right, channels)
        amounts = self.constant("padding", [[0, 0], [top, below], [left, right], [0, 0]])
        padded = self._activation(
            f"{node.output}_padded", shape, name, np.dtype(np.float32) if node.in_float else None
        )
        if lowest:
            self._write("pad_lowest", [source, amounts, self._lowest(node)], padded)
        else:
            self._write("pad", [source, amounts], padded)
        return padded

    def _in_float(self, name: str) -> int:
        """Return the tensor `name` as floats, of which integers are made once."""
        if not self._is_stored(name):
            return self.tensors[name]
        if name not in self.read_back:
            shape, float32 = _image(self.graph.shapes[name]), np.dtype(np.float32)
            result = self._activation(f"{name}_float", shape, name, float32)
            self._write("dequantize", [self.tensors[name]], result)
            self.read_back[name] = result
        return self.read_back[name]

    def _is_stored(self, name: str) -> bool:
        return self.quantization is not None and name in self.quantization.tensors

    def _lowest(self, node: Node) -> int:
        """Return the tensor of the least number that what `node` reads can hold."""
        name = node.inputs[0]
        if self.quantization is None or node.in_float:
            least = np.array([np.finfo(np.float32).min])
            return self.file.tensor(f"{name}_lowest", (1,), np.dtype(np.float32), data=least)
        quant = self.quantization.tensors[name]
        return self.file.tensor(
            f"{name}_lowest",
            (1,),
            np.dtype(np.int8),
            scale=np.array([quant.scale], np.float32),
            zero_point=np.array([int(quant.zero_point)], np.int64),
            data=np.array([np.iinfo(np.int8).min], np.int8),
        )

    def _parameters(self, node: WeightedNode, shape: tuple[int, ...], axis: int) -> tuple[int, int]:
        """Add weight [out, k, k, in], depthwise [1, k, k, out], and bias; return their tensors."""
        order = (1, 2, 3, 0) if axis == 3 else (0, 2, 3, 1)
        values, bias = node.weight, node.bias
        weight_scale, bias_scale, zeros = None, None, None
        if self.quantization is not None and not node.in_float:
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
        stored = self._is_stored(quantized_as) and dtype != np.float32
        if self.quantization is None or not stored:
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

    def constant(self, name: str, values: list) -> int:
        """Add small int32 numbers, once; return their tensor."""
        data = np.array(values, np.int32)
        key = (name, *data.flat)
        if key not in self.constants:
            self.constants[key] = self.file.tensor(
                "_".join(map(str, key)), data.shape, data.dtype, data=data
            )
        return self.constants[key]

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        output: int,
        options: str,
        versions: tuple[int, int],
        **attributes: Any,
    ) -> None:
        """Add an operator; versions : in float and in int8."""
        version = versions[not self.file.is_float(output)]
        self.file.operator(kind, version, inputs, output, options, **attributes)

    def enum(self, name: str, member: str) -> int:
        """Return the number of a member of one of the schema's enumerations."""
        return self.file.enum(name, member)

    def _write(self, kind: str, inputs: list[int], output: int, **attributes: Any) -> None:
        operator, options, *versions = _OPERATORS[kind]
        self.operator(operator, inputs, output, options, (versions[0], versions[1]), **attributes)


def _padding(
    sizes: tuple[int, ...], outs: tuple[int, ...], node: WeightedNode, kernel: tuple[int, ...]
) -> tuple[str, Pads]:
    """Return TFLite's padding mode, and the pixels around the image that it does not add itself.

    SAME adds max((ceil(n / s) - 1) * s + k - n, 0), the lesser half before; that is the node's own
    padding only where the halves are equal to it.
    """
    left = node.padding if node.padding_left is None else node.padding_left
    each = zip(sizes, outs, (node.padding, left), kernel, strict=True)
    modes, before, after = zip(*(_one_padding(*axis, node.stride) for axis in each), strict=True)
    if set(modes) <= {"none", "either"}:
        return "VALID", (0, 0, 0, 0)
    if set(modes) <= {"same", "either"}:
        return "SAME", (0, 0, 0, 0)
    return "VALID", (*before, *after)


def _one_padding(size: int, out: int, before: int, k: int, stride: int) -> tuple[str, int, int]:
    """Return whether an axis needs "none", what SAME does, "either" or a "pad", and its zeros."""
    after = (out - 1) * stride + k - size - before  # may be below 0: the last pixels are not read
    covered = out == -(-size // stride)
    same = max((-(-size // stride) - 1) * stride + k - size, 0)
    if before == 0 and after <= 0:
        return "either" if covered and same == 0 else "none", 0, 0
    if (same // 2, same - same // 2) == (before, after) and covered:
        return "same", before, after
    return "pad", before, max(after, 0)


def _stem(node: Node) -> str:
    """Return the tensor's name in the file: "logits" is the flat one at the end."""
    return f"{OUTPUT}_map" if node.output == OUTPUT else node.output


def _image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (height, width, channels) of a graph's shape; logits are an image of one pixel."""
    channels, height, width = _channels_first(shape)
    return height, width, channels


def _channels_first(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return (shape[1], shape[2], shape[3]) if len(shape) == 4 else (shape[1], 1, 1)
