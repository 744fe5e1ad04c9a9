"""A float ONNX file made simple: one input at a time, constants folded, every shape known.

ONNX Runtime's basic optimizations do it; they leave operators of the standard alone.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.core.counted import counted
from edgenas.core.errors import InputError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

LEAST_OPSET = 11
_CONTROL_FLOW = ("If", "Loop", "Scan", "SequenceMap")
_OWN_DOMAINS = ("", "ai.onnx")
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger", "MatMulInteger")
IMAGE_RANK = 4
_FORMS = {
    2: "batch, features",
    3: "batch, channels, length",
    IMAGE_RANK: "batch, channels, height, width",
}
_EXAMPLES = {2: "64", 3: "9x128", IMAGE_RANK: "3x224x224"}
_MOST_NAMED = 5
_RECURRENT = ("GRU", "LSTM", "RNN")
_WEIGHT_AT = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1}


@dataclass(frozen=True, eq=False)
class Operation:
    """An operator of the file, after folding. macs : multiply-accumulates of an image."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    macs: int


@dataclass(frozen=True, eq=False)
class Source:
    """A file's operations in order, its constants, and the shape of every tensor.

    input : where the network begins. content : the file for one input at a time, which is what is
    imported. metadata : the file's metadata_props. opset : of the operators.
    """

    input: str
    output: str
    operations: tuple[Operation, ...]
    constants: dict[str, np.ndarray]
    shapes: dict[str, tuple[int, ...]]
    content: bytes
    metadata: dict[str, str]
    opset: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image."""
        return sum(one.macs for one in self.operations)


def read_source(content: bytes, name: str, shape: tuple[int, ...] | None = None) -> Source:
    """Return the file `content`, which messages call `name`, made simple.

    shape : of its input without the batch, where the file leaves sizes open.

    Raises
    ------
    InputError : it is no float ONNX network of one input and one output; one line says why.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError, RecursionError) as problem:
        raise InputError(f"{name} is no ONNX file: it cannot be read.") from problem
    _check(model, name)
    _one_input(model.graph, name, shape)
    single = model.SerializeToString()
    simple = _simplified(single, name)
    metadata = {one.key: one.value for one in model.metadata_props}
    return _source(simple, single, metadata, name)


def _check(model: ModelProto, name: str) -> None:
    import onnx

    custom = sorted(
        {
            f"{one.domain}.{one.op_type}"
            for one in model.graph.node
            if one.domain not in _OWN_DOMAINS
        }
    )
    if custom:
        raise InputError(
            f"{name} has operators that are not of the ONNX standard: {', '.join(custom[:5])}.",
            "Export it without them.",
        )
    newest = onnx.defs.onnx_opset_version()
    versions = [one.version for one in model.opset_import if one.domain in _OWN_DOMAINS]
    if not versions or not LEAST_OPSET <= versions[0] <= newest:
        raise InputError(
            f"{name} is of opset {versions[0] if versions else 'none'}, and those from "
            f"{LEAST_OPSET} to {newest} are read.",
            "Export it again, or convert it with onnx.version_converter.",
        )
    kinds = {one.op_type for one in model.graph.node}
    flow = sorted(kinds & set(_CONTROL_FLOW))
    if flow:
        raise InputError(
            f"{name} has control flow ({', '.join(flow)}), which int8 files cannot hold.",
            "Export it with fixed sizes, so that nothing is decided while it runs.",
        )
    if kinds & set(_QUANTIZED):
        raise InputError(
            f"{name} is quantized already ({', '.join(sorted(kinds & set(_QUANTIZED)))}).",
            "Name the float file that it was made of, or measure it: edgenas bench",
        )
    if len(model.graph.output) != 1:
        raise InputError(
            f"{name} has {len(model.graph.output)} outputs; a network of one is quantized.",
            "Export it with the one that counts.",
        )


def _one_input(graph: GraphProto, name: str, shape: tuple[int, ...] | None) -> None:
    """Set the input's shape to one image, series or vector, and forget what follows from it."""
    import onnx

    stored = {one.name for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in stored]
    if len(inputs) != 1:
        listed = ", ".join(one.name for one in inputs[:_MOST_NAMED])
        raise InputError(
            f"{name} has {len(inputs)} inputs ({listed}); a network of one is quantized.",
            "Quantize the part behind one of them: onnx.utils.extract_model; edgenas bench takes "
            "the whole file.",
        )
    kind = inputs[0].type.tensor_type
    if kind.elem_type != onnx.TensorProto.FLOAT:
        raise InputError(f"{name} takes no float32: its input {inputs[0].name} is of another type.")
    sizes = kind.shape.dim
    known = [one.dim_value for one in sizes]
    if len(sizes) not in _FORMS or (len(sizes) < IMAGE_RANK and known[0] > 1):
        no_batch = 0 < len(sizes) < IMAGE_RANK
        what = "no batch" if no_batch else counted(len(sizes), "dimension")
        forms = ", ".join(f"[{text}]" for text in _FORMS.values())
        raise InputError(
            f"{name} takes {what}: its input {inputs[0].name} is {_listed(known) or 'a number'}, "
            f"none of {forms}.",
            "Export it with a batch of 1.",
        )
    if shape is not None:
        if len(shape) != len(sizes) - 1 or any(
            mine not in (0, other) for mine, other in zip(known[1:], shape, strict=True)
        ):
            raise InputError(f"{name} takes {_listed(known[1:])}, not {_listed(shape)}.")
        known[1:] = shape
    if any(size <= 0 for size in known[1:]):
        raise InputError(
            f"{name} leaves the size of its input open: {_listed(known[1:])}.",
            f"Say it: --shape {_EXAMPLES[len(sizes)]}",
        )
    for one, size in zip(sizes, [1, *known[1:]], strict=True):
        one.dim_value = size
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")


def _listed(sizes: Any) -> str:
    return " x ".join(str(size) if size > 0 else "?" for size in sizes)


def _simplified(content: bytes, name: str) -> ModelProto:
    """Return the file after ONNX Runtime's basic optimizations, with every shape inferred."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory(prefix="edgenas-import-") as folder:
        path = Path(folder) / "simple.onnx"
        options.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            model = onnx.load(path)
        except Exception as problem:  # its errors have no common type but this
            said = str(problem).strip().partition("\n")[0]
            raise InputError(f"ONNX Runtime does not load {name}: {said[:300]}") from problem
    with contextlib.suppress(onnx.shape_inference.InferenceError):  # what is missing is named later
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    return model


def _source(model: ModelProto, content: bytes, metadata: dict[str, str], name: str) -> Source:
    from onnx import helper, numpy_helper

    graph = model.graph
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    shapes = {one: value.shape for one, value in constants.items()}
    for declared in (*graph.input, *graph.value_info, *graph.output):
        sizes = [size.dim_value for size in declared.type.tensor_type.shape.dim]
        if declared.type.tensor_type.HasField("shape") and all(size > 0 for size in sizes):
            shapes[declared.name] = tuple(sizes)
    operations = []
    for node in graph.node:
        if node.output[0] in constants:
            continue
        missing = [one for one in node.output if one and one not in shapes]
        if missing:
            raise InputError(
                f"The shape of {missing[0]} in {name} depends on what it computes.",
                "Export it with fixed sizes.",
            )
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        operations.append(
            Operation(
                node.op_type,
                node.name or node.output[0],
                tuple(node.input),
                tuple(node.output),
                attributes,
                _macs(node.op_type, [shapes.get(one, ()) for one in node.input], node, shapes),
            )
        )
    entry = next(one.name for one in graph.input if one.name not in constants)
    opset = next(one.version for one in model.opset_import if one.domain in _OWN_DOMAINS)
    ends = entry, graph.output[0].name
    return Source(*ends, tuple(operations), constants, shapes, content, metadata, opset)


def _macs(
    kind: str, inputs: list[tuple[int, ...]], node: Any, shapes: dict[str, tuple[int, ...]]
) -> int:
    if kind in _RECURRENT:  # the weights of inputs and states, once a step
        return inputs[0][0] * (math.prod(inputs[1]) + math.prod(inputs[2]))
    if kind not in _WEIGHT_AT:
        return 0
    weight, made = inputs[_WEIGHT_AT[kind]], shapes[node.output[0]]
    if kind == "Conv":
        return math.prod(weight) * math.prod(made[2:])
    if kind == "ConvTranspose":
        return math.prod(weight) * math.prod(inputs[0][2:])
    return math.prod(inputs[0]) * (made[-1] if made else 1)


def readers(source: Source) -> dict[str, int]:
    """Return how often each tensor is read; the output once more."""
    counts: dict[str, int] = {source.output: 1}
    for name in _read(source):
        counts[name] = counts.get(name, 0) + 1
    return counts


def _read(source: Source) -> Iterator[str]:
    for one in source.operations:
        yield from one.inputs
