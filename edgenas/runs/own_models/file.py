"""A model file that the user brings: checked before a board is asked for anything."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from device_runtime.inputs import Input, shapes
from edgenas.core.errors import InputError
from edgenas.core.files.regular import irregular, require_regular
from edgenas.targets.base import ModelFile

if TYPE_CHECKING:
    from onnx import ModelProto

ENGINES = {".onnx": ("onnxruntime", "tensorrt"), ".tflite": ("litert", "tflite_runtime")}
_MOST_BYTES = 2**31 - 1  # protobuf's and flatbuffer's own limit
_TFLITE_IDENTIFIER = b"TFL3"
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class OwnModel:
    """A model file of any make. label : names it in results. shapes : that were asked for."""

    label: str
    path: Path
    sha256: str
    n_bytes: int
    shapes: Shapes

    def runs_on(self, engine: str) -> bool:
        """Return whether `engine` takes files of this format."""
        return engine.removesuffix("_builtin") in ENGINES[self.path.suffix.lower()]

    def to_send(self, key: str) -> ModelFile:
        """Return the file as targets take it, under a file-name-safe key."""
        return ModelFile(key, self.path, self.sha256, self.shapes or None)


def open_models(paths: Sequence[Path], asked: Shapes, scratch: Path) -> list[OwnModel]:
    """Return the models at `paths`.

    asked : shapes by input name, or under "" for models with one input.
    scratch : a folder for copies of models whose weights are in files of their own.

    Raises
    ------
    InputError : a file is no model that can be timed; the message says which, and why.
    """
    names = [path.name for path in paths]
    labels = [path.name if names.count(path.name) == 1 else str(path) for path in paths]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(f"{label} is named twice.", "Name each model once.")
    used: set[str] = set()
    models = []
    for number, (label, path) in enumerate(zip(labels, paths, strict=True)):
        suffix = path.suffix.lower()
        if suffix not in ENGINES:
            raise InputError(
                f"{path} is no model file.", f"Name files that end in {' or '.join(ENGINES)}."
            )
        whole, inputs = (_onnx if suffix == ".onnx" else _tflite)(path, scratch / f"{number}.onnx")
        own = _own_shapes(path, inputs, asked, used)
        content = whole.read_bytes()
        models.append(
            OwnModel(label, whole, hashlib.sha256(content).hexdigest(), len(content), own)
        )
    for name in asked:
        if name not in used:
            what = f"called '{name}'" if name else "alone"
            raise InputError(
                f"No model has an input {what}, so it cannot have that shape.",
                "Write --shape NAME=1x3x224x224, by the name of an input.",
            )
    return models


def file_key(label: str, number: int) -> str:
    """Return a key for the model, which journals and file names can hold."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(label).name).lstrip(".-")[:100]
    return f"m{number}-{name}"


def _own_shapes(
    path: Path, inputs: Sequence[Input] | None, asked: Shapes, used: set[str]
) -> dict[str, tuple[int, ...]]:
    """Return what was asked of this model's inputs; None for inputs: only the engine knows them."""
    if inputs is None:
        used.update(asked)
        return dict(asked)
    own = {name: asked[name] for name in asked if any(one.name == name for one in inputs)}
    if "" in asked and len(inputs) == 1 and not own:
        own = {"": asked[""]}
    used.update(own)
    try:
        shapes(inputs, own)
    except ValueError as problem:
        raise InputError(
            f"{path} cannot be timed so: {problem}.",
            "Give its inputs a shape: --shape NAME=1x3x224x224.",
        ) from problem
    return own


def _content(path: Path) -> bytes:
    require_regular(path)
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise InputError(
                f"{path} has {size / 1e9:.1f} GB, and no engine takes a file of over 2 GB.",
                "Quantize it, or keep its weights in a file of their own beside it.",
            )
        return path.read_bytes()
    except OSError as problem:
        raise InputError(f"Cannot read the model {path}: {problem.strerror}.") from problem


def _tflite(path: Path, _: Path) -> tuple[Path, None]:
    if _content(path)[4:8] != _TFLITE_IDENTIFIER:
        raise InputError(f"{path} does not begin as a .tflite file does (TFL3).")
    return path, None


def _onnx(path: Path, copy: Path) -> tuple[Path, list[Input]]:
    """Return the file, or a copy with its weights inside, and its inputs."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_model_from_string(_content(path))
    except (DecodeError, ValueError, RecursionError) as problem:
        raise InputError(f"{path} is no ONNX file: it cannot be read.") from problem
    if not model.graph.node or not model.graph.output:
        raise InputError(f"{path} is no ONNX file: it has no operators, or no outputs.")
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [_input(path, one) for one in model.graph.input if one.name not in stored]
    if any(one.data_location == onnx.TensorProto.EXTERNAL for one in model.graph.initializer):
        _take_in_weights(path, model)
        copy.write_bytes(model.SerializeToString())
        return copy, inputs
    return path, inputs


def _input(path: Path, declared: Any) -> Input:
    """Return an input of an ONNX graph, as ONNX Runtime describes it."""
    import onnx

    kind = declared.type.tensor_type
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    except KeyError:
        dtype = ""
    if not declared.type.HasField("tensor_type") or dtype in ("", "object", "bfloat16"):
        raise InputError(f"{path} cannot be timed: its input {declared.name} holds no numbers.")
    sizes = tuple(
        size.dim_value if size.HasField("dim_value") and size.dim_value > 0 else None
        for size in kind.shape.dim
    )
    return Input(declared.name, sizes, dtype)


def _take_in_weights(path: Path, model: ModelProto) -> None:
    """Read weights from the files beside the model, and from nowhere else, into it."""
    from onnx import TensorProto
    from onnx.external_data_helper import load_external_data_for_model

    total = 0
    for tensor in model.graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        place = next((one.value for one in tensor.external_data if one.key == "location"), "")
        weights = path.parent / place
        if not place or PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
            raise InputError(
                f"{path} wants weights from {place or 'no file'}, outside its own folder."
            )
        if weights.is_symlink() or irregular(weights) or not weights.is_file():
            raise InputError(
                f"The weights of {path} are missing: there is no file {weights}.",
                "Put it beside the model.",
            )
        total = max(total, weights.stat().st_size)
    if total > _MOST_BYTES:
        raise InputError(f"The weights of {path} have over 2 GB, which cannot be sent in one file.")
    try:
        load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, RuntimeError) as problem:
        raise InputError(f"The weights of {path} cannot be read: {problem}.") from problem
