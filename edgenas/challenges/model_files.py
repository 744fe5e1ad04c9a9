"""What a model file takes and gives, read from the file: enough to check a submission.

Files come from anywhere: what cannot be read is said in a sentence, never a traceback.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenas.errors import ExportError

_TFLITE_IDENTIFIER = b"TFL3"
_TFLITE_FLOAT = {"float32", "float16", "float64", "bfloat16"}
_ONNX_COMPUTES = {"Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Mul", "GlobalAveragePool"}
_TEXT = re.compile(rb"[\t\n\r -~]+")
_MAX_BYTES = 2 * 2**30  # protobuf's and flatbuffer's own limit


class UnreadableModelError(Exception):
    """The file is not a model of the format that was asked for."""


@dataclass(frozen=True)
class Tensor:
    """An input or output. shape : 0 stands for a size that is left open. scale : 0.0 for none."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0

    @property
    def shown(self) -> str:
        """The shape in words, such as [1, 3, 224, 224] or [open, 3, 224, 224]."""
        return f"[{', '.join(str(size or 'open') for size in self.shape)}]"


@dataclass(frozen=True)
class ModelFile:
    """A model's ends and operators.

    operators : how many of each kind. float_operators : names of tensors that are computed in
        float by layers that could be integer, in order.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: Counter[str]
    float_operators: tuple[str, ...]


def read_tflite(path: Path) -> ModelFile:
    """Read a .tflite file, which LiteRT must be able to load and prepare.

    Raises
    ------
    UnreadableModelError : it is not one, or LiteRT refuses it; the message says why.
    ExportError : ai-edge-litert is not installed.
    """
    content = _content(path)
    _refuse_others(content, "a .tflite file")
    if content[4:8] != _TFLITE_IDENTIFIER:
        raise UnreadableModelError("It does not begin as a .tflite file does (TFL3).")
    try:
        from ai_edge_litert import interpreter as litert
    except ImportError as problem:
        raise ExportError(
            f"Checking .tflite files needs the package ai-edge-litert ({problem}).",
            "Run: pip install 'edgenas[tflite]'",
        ) from problem
    try:
        loaded = litert.Interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        loaded.allocate_tensors()
    except (ValueError, RuntimeError) as problem:
        raise UnreadableModelError(f"LiteRT cannot load it: {_first_line(problem)}.") from problem
    tensors = {entry["index"]: entry for entry in loaded.get_tensor_details()}
    operators = loaded._get_ops_details()
    floats = [
        tensors[output]["name"]
        for entry in operators
        for output in map(int, entry["outputs"])
        if output in tensors and _dtype(tensors[output]) in _TFLITE_FLOAT
    ]
    return ModelFile(
        tuple(map(_tflite_tensor, loaded.get_input_details())),
        tuple(map(_tflite_tensor, loaded.get_output_details())),
        Counter(entry["op_name"] for entry in operators),
        tuple(floats),
    )


def read_onnx(path: Path) -> ModelFile:
    """Read an ONNX file, which the checker of ONNX must accept.

    Raises
    ------
    UnreadableModelError : it is not one, or not a valid one, or takes or gives what is no tensor;
        the message says why.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    content = _content(path)
    if content[4:8] == _TFLITE_IDENTIFIER:
        raise UnreadableModelError("It is a .tflite file, not an ONNX file.")
    _refuse_others(content, "an ONNX file")
    try:
        model = onnx.load_model_from_string(content)
        constants = model.graph.initializer
        if any(entry.data_location == onnx.TensorProto.EXTERNAL for entry in constants):
            raise UnreadableModelError("Its weights are in another file.")
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError) as problem:
        raise UnreadableModelError(f"ONNX cannot read it: {_first_line(problem)}.") from problem
    stored = {entry.name for entry in constants}
    read = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    floats = [
        node.output[0]
        for node in model.graph.node
        if node.op_type in _ONNX_COMPUTES and not set(node.input) & read
    ]
    inputs = [entry for entry in model.graph.input if entry.name not in stored]
    return ModelFile(
        tuple(_onnx_tensor(entry) for entry in inputs),
        tuple(_onnx_tensor(entry) for entry in model.graph.output),
        Counter(node.op_type for node in model.graph.node),
        tuple(floats),
    )


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UnreadableModelError("It is larger than 2 GiB.")
        return path.read_bytes()
    except OSError as problem:
        raise UnreadableModelError(f"It cannot be read: {problem.strerror}.") from problem


def _refuse_others(content: bytes, wanted: str) -> None:
    """Say what a file is that is no model at all."""
    if not content:
        raise UnreadableModelError("It is empty.")
    if content.startswith(b"PK"):
        raise UnreadableModelError(f"It is a zip archive, not {wanted}.")
    if _TEXT.fullmatch(content[:200]):
        raise UnreadableModelError(f"It is text, not {wanted}.")


def _first_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or ["no reason is given"])[0][:200].rstrip(".")


def _dtype(entry: dict[str, Any]) -> str:
    return str(entry["dtype"].__name__)


def _tflite_tensor(entry: dict[str, Any]) -> Tensor:
    scale, zero_point = entry["quantization"]
    open_sizes = [int(size) for size in entry["shape_signature"]]
    shape = [0 if size < 0 else size for size in open_sizes] or [int(s) for s in entry["shape"]]
    return Tensor(entry["name"], tuple(shape), _dtype(entry), float(scale), int(zero_point))


def _onnx_tensor(entry: Any) -> Tensor:
    from onnx import helper

    kind = entry.type.tensor_type
    if not entry.type.HasField("tensor_type"):
        raise UnreadableModelError(f"'{entry.name}' is no tensor, but a sequence or a map.")
    shape = tuple(size.dim_value if not size.dim_param else 0 for size in kind.shape.dim)
    return Tensor(entry.name, shape, str(helper.tensor_dtype_to_np_dtype(kind.elem_type)))
