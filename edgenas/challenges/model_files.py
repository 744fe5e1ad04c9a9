"""What a model file takes and gives, read from the file: enough to check a submission.

Files come from anywhere: what cannot be read is said in a sentence, never a traceback.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from device_runtime.json_text import read_json_text
from edgenas.challenges import tflite_description
from edgenas.core.errors import ExportError
from edgenas.core.files.archive import open_archive
from edgenas.core.files.regular import irregular

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

_TFLITE_IDENTIFIER = b"TFL3"
_ONNX_COMPUTES = {"Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Mul", "GlobalAveragePool"}
_TEXT = re.compile(rb"[\t\n\r -~]+")
_MOST_SECONDS = 120  # for LiteRT, to load a file
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
        float by layers that could be integer, in order. metadata : what an ONNX file
        says of itself.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: Counter[str]
    float_operators: tuple[str, ...]
    metadata: dict[str, str] = field(default_factory=dict)


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
    about = _described(content)
    return ModelFile(
        tuple(Tensor(**{**one, "shape": tuple(one["shape"])}) for one in about["inputs"]),
        tuple(Tensor(**{**one, "shape": tuple(one["shape"])}) for one in about["outputs"]),
        Counter(about["operators"]),
        tuple(about["floats"]),
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
        if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _constants(model)):
            raise UnreadableModelError("Its weights are in another file.")
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError, RecursionError) as problem:
        raise UnreadableModelError(f"ONNX cannot read it: {_first_line(problem)}.") from problem
    nodes = [node for node in model.graph.node if node.output]
    stored = {entry.name for entry in model.graph.initializer}
    read = {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}
    floats = [
        node.output[0]
        for node in nodes
        if node.op_type in _ONNX_COMPUTES and not set(node.input) & read
    ]
    inputs = [entry for entry in model.graph.input if entry.name not in stored]
    if not model.graph.output:
        raise UnreadableModelError("The model has no output.")
    return ModelFile(
        tuple(_onnx_tensor(entry) for entry in inputs),
        tuple(_onnx_tensor(entry) for entry in model.graph.output),
        Counter(node.op_type for node in model.graph.node),
        tuple(floats),
        {one.key: one.value for one in model.metadata_props},
    )


def is_traced_pytorch(path: Path) -> bool:
    """Return whether a file is a network that PyTorch traced, scripted or exported.

    Only the names in it are read: what PyTorch wrote would have to be run to be looked into. A file
    of weights alone is no network.
    """
    try:
        with open_archive(path, _MAX_BYTES) as archive:
            parts = [PurePosixPath(name).parts[1:] for name in archive.namelist()]
    except (OSError, ValueError):
        return False
    scripted = ("constants.pkl",) in parts and any(part[:1] == ("code",) for part in parts)
    exported = any(part[:1] == ("models",) for part in parts) and ("archive_format",) in parts
    return scripted or exported


def broken_ends(model: ModelFile) -> tuple[tuple[str, str], ...]:
    """Return what no classifier of images can have at its ends, and the remedy of each.

    That is: no input or several, an input of open sizes, no output.
    """
    found = []
    if len(model.inputs) != 1:
        found.append((f"The model has {_count(model.inputs, 'input')}.", "Keep the image only."))
    found += [
        (f"The input '{one.name}' has the shape {one.shown}.", "Export with fixed sizes.")
        for one in model.inputs
        if not one.shape or not all(size > 0 for size in one.shape)
    ]
    if not model.outputs:
        found.append(("The model has no output.", "Export it with its class scores as output."))
    return tuple(found)


def _count(tensors: tuple[Tensor, ...], noun: str) -> str:
    return f"{len(tensors)} {noun}s" if tensors else f"no {noun}"


def _constants(model: ModelProto) -> Iterator[TensorProto]:
    """Yield every stored tensor of a model, also those of nodes, of their graphs and of functions.

    How deep graphs are in each other is bounded by what protobuf reads.
    """
    graphs = [
        model.graph,
        *(g for one in model.training_info for g in (one.initialization, one.algorithm)),
    ]
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes.extend(graph.node)
            continue
        for attribute in nodes.pop().attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            graphs += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _described(content: bytes) -> dict[str, Any]:
    """Return what LiteRT says of a file, in a process of its own: it may crash on a damaged one."""
    script = Path(tflite_description.__file__)
    folders = json.dumps([folder for folder in sys.path if folder])
    try:
        ended = subprocess.run(
            [sys.executable, "-I", str(script), folders],
            input=content,
            capture_output=True,
            timeout=_MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as problem:
        raise UnreadableModelError(f"LiteRT did not load it within {_MOST_SECONDS} s.") from problem
    if ended.returncode:
        raise UnreadableModelError("LiteRT crashes when it loads it: it is damaged.")
    about: dict[str, Any] = read_json_text(ended.stdout)
    if about.get("missing"):
        raise ExportError(
            f"Checking .tflite files needs the package ai-edge-litert ({about['error']}).",
            "Run: pip install 'edgenas[tflite]'",
        )
    if "error" in about:
        raise UnreadableModelError(f"LiteRT cannot load it: {_first_line(about['error'])}.")
    return about


def _content(path: Path) -> bytes:
    if kind := irregular(path):
        raise UnreadableModelError(f"It is {kind}, not a file.")
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


def _first_line(problem: object) -> str:
    return (str(problem).strip().splitlines() or ["no reason is given"])[0][:200].rstrip(".")


def _onnx_tensor(entry: Any) -> Tensor:
    from onnx import helper

    kind = entry.type.tensor_type
    if not entry.type.HasField("tensor_type"):
        raise UnreadableModelError(f"'{entry.name}' is no tensor, but a sequence or a map.")
    shape = tuple(max(size.dim_value, 0) if not size.dim_param else 0 for size in kind.shape.dim)
    try:
        dtype = str(helper.tensor_dtype_to_np_dtype(kind.elem_type))
    except KeyError:
        raise UnreadableModelError(
            f"'{entry.name}' has the element type {kind.elem_type}, which is not known."
        ) from None
    return Tensor(entry.name, shape, dtype)
