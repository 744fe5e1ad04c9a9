"""What a model file takes and gives: one input, scores out. Read from the file, not run."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.core.errors import ExportError, InputError
from edgenas.int8.checks.parity import float_step
from edgenas.int8.exporters.flatbuffer import load_schema
from edgenas.int8.exporters.metadata import read_metadata
from edgenas.runs.own_models.data import Wanted

_CLASSIFIES = (
    "What is verified or deployed takes one image (or, with --inputs, any one array) and gives a "
    "score a class; edgenas bench times any file."
)


@dataclass(frozen=True)
class OwnNetwork:
    """A model file that classifies images, or other arrays.

    shape : of its input without the batch, [channels, height, width] of images. format : of the
    file, as exporters are called. dtype : of its input. step : the least difference of its scores;
    None where they are floats.
    """

    content: bytes
    format: str
    shape: tuple[int, ...]
    classes: int
    dtype: str
    step: float | None
    metadata: dict[str, str]

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.shape, self.classes, self.metadata)

    def step_of(self, scores: np.ndarray) -> float:
        """Return the step in which scores are compared: 1/255 of their range in a float file."""
        if self.step is not None:
            return self.step
        return float_step(scores)


def read_network(path: Path, label: str, *, images: bool = True) -> OwnNetwork:
    """Return what the model file at `path`, which messages call `label`, takes and gives.

    images : it must take images with 1 or 3 channels.

    Raises
    ------
    InputError : it does not take one such input and give scores, or ai-edge-litert is absent.
    """
    content = path.read_bytes()
    try:
        if path.suffix.lower() == ".tflite":
            try:
                return _tflite(content, label, images)
            except (struct.error, IndexError, ValueError, TypeError, AttributeError) as problem:
                raise InputError(f"{label} is no .tflite file: it is damaged.") from problem
        return _onnx(content, label, images)
    except ExportError as problem:
        raise InputError(problem.message, problem.hint) from problem


def _onnx(content: bytes, label: str, images: bool) -> OwnNetwork:
    import onnx
    import onnxruntime

    model = onnx.load_model_from_string(content)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as problem:  # its errors have no common type but this
        said = str(problem).strip().partition("\n")[0][:300]
        raise InputError(f"ONNX Runtime does not load {label}: {said}") from problem
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type != "tensor(float)":
        raise InputError(f"{label} has other than one float32 input and one output.", _CLASSIFIES)
    shape = _shape(inputs[0].shape, label, images)
    classes = [size for size in outputs[0].shape[1:] if size != 1]
    if len(classes) != 1 or not isinstance(classes[0], int):
        raise InputError(f"{label} gives {outputs[0].shape}, no score a class.", _CLASSIFIES)
    return OwnNetwork(
        content,
        "onnx",
        shape,
        classes[0],
        "float32",
        _onnx_step(model.graph),
        {one.key: one.value for one in model.metadata_props},
    )


def _onnx_step(graph: Any) -> float | None:
    """Return the scale of the integers that the scores are read from."""
    from onnx import numpy_helper

    made = {name: node for node in graph.node for name in node.output}
    last = made.get(graph.output[0].name)
    if last is None or last.op_type != "DequantizeLinear":
        return None
    scales = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    scale = scales.get(last.input[1])
    return float(scale) if scale is not None and scale.size == 1 else None


def _tflite(content: bytes, label: str, images: bool) -> OwnNetwork:
    schema = load_schema()
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    if graph.InputsLength() != 1 or graph.OutputsLength() != 1:
        raise InputError(f"{label} has other than one input and one output.", _CLASSIFIES)
    entry, result = graph.Tensors(graph.Inputs(0)), graph.Tensors(graph.Outputs(0))
    n, *sizes = entry.ShapeAsNumpy().tolist()
    if len(sizes) == 3:  # an image, channels last
        sizes = [*sizes[-1:], *sizes[:-1]]
    shape = _shape([n, *sizes], label, images)
    classes = [size for size in result.ShapeAsNumpy().tolist()[1:] if size != 1]
    types = {value: name for name, value in vars(schema.TensorType).items()}
    dtype = types[entry.Type()].lower()
    if len(classes) != 1 or dtype not in ("float32", "int8", "uint8"):
        raise InputError(f"{label} takes {dtype} and gives {classes}.", _CLASSIFIES)
    about = result.Quantization()
    step = float(about.Scale(0)) if about is not None and about.ScaleLength() else None
    return OwnNetwork(content, "tflite", shape, classes[0], dtype, step, read_metadata(content))


def _shape(sizes: list[Any], label: str, images: bool) -> tuple[int, ...]:
    """Return the sizes of an input [batch, …] without the batch; of an image channels first."""
    whole = tuple(size for size in sizes[1:] if isinstance(size, int) and size > 0)
    listed = " x ".join(map(str, sizes))
    if images and (len(sizes) != 4 or len(whole) != 3 or whole[0] not in (1, 3)):
        raise InputError(f"{label} takes {listed}, no image with its channels.", _CLASSIFIES)
    if not whole or len(whole) != len(sizes) - 1:
        raise InputError(f"{label} takes {listed}, whose sizes are not all known.", _CLASSIFIES)
    return whole
