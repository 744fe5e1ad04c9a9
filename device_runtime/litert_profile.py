"""LiteRT's own profile: time by operator, in XNNPACK as on built-in kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from device_runtime.inputs import random_values
from device_runtime.litert_library import DELEGATE, OPERATOR, Event, ProfiledModel
from device_runtime.ort_profile import middle_mean
from device_runtime.tflite_session import BUILT_IN, XNNPACK, inputs_of

_WARMUP_RUNS = 3
_DELEGATE_ITSELF = "XNNPack"
# What XNNPACK calls the operators of a file; one that is not among them keeps no name.
_KERNELS = {
    "CONV_2D": ("Convolution", "Fully Connected"),
    "DEPTHWISE_CONV_2D": ("Convolution",),
    "FULLY_CONNECTED": ("Fully Connected",),
    "ADD": ("Add",),
    "MUL": ("Multiply",),
    "MEAN": ("Mean", "Global Average Pooling"),
    "PAD": ("Constant Pad",),
    "RESHAPE": ("Static Reshape", "Copy", "Reshape"),
    "QUANTIZE": ("Convert",),
    "DEQUANTIZE": ("Convert",),
}
_TYPES = {"float32": "float", "float64": "double"}  # as the other engines call them


class FileOperator(NamedTuple):
    """kind : as in the file. name : of its output. takes, gives : element types, first of each."""

    kind: str
    name: str
    takes: str
    gives: str


def profiled_operators(
    engine: Any,
    folder: Path,
    path: str,
    threads: int,
    runs: int,
    *,
    shapes: Mapping[str, Sequence[int]],
    xnnpack: bool,
) -> List[Dict[str, Any]]:
    """Return the fields of a `readings.Operator` for each operator, in the order of running.

    engine : the module that has `Interpreter`. folder : of the package ai_edge_litert.
    Raises `ValueError` for a model that has several inputs or a size that is left open.
    """
    interpreter = engine.Interpreter(
        model_path=path,
        experimental_op_resolver_type=engine.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    listed = file_operators(interpreter)
    inputs = inputs_of(interpreter)
    values = random_values(inputs, shapes)
    if len(inputs) != 1 or values[inputs[0].name].shape != inputs[0].shape:
        raise ValueError("LiteRT's profiler takes one input, of a shape that the file fixes")
    model = ProfiledModel(folder, path, threads, xnnpack)
    model.fill(values[inputs[0].name].tobytes())
    for _ in range(_WARMUP_RUNS):
        model.run()
    profiles = [timed(model.profiled_run()) for _ in range(runs)]
    lengths = {len(profile) for profile in profiles}
    if len(lengths) != 1 or lengths == {0}:
        raise RuntimeError(f"the profiler gave {sorted(lengths)} operators in {runs} runs")
    found = named(profiles[0], listed)
    return [
        {
            "name": about.name if about else f"operator {number}",
            "type": event.tag[:200],
            "provider": XNNPACK if event.kind == DELEGATE else BUILT_IN,
            "mean_us": middle_mean([profile[number].us for profile in profiles]),
            "takes": about.takes if about else "",
            "gives": about.gives if about else "",
        }
        for number, (event, about) in enumerate(zip(profiles[0], found))  # noqa: B905 - Python 3.8
    ]


def timed(events: Sequence[Event]) -> List[Event]:
    """Return the events that are operators: XNNPACK's own ones, not it as a whole."""
    return [
        event
        for event in events
        if event.kind == DELEGATE or (event.kind == OPERATOR and _DELEGATE_ITSELF not in event.tag)
    ]


def named(events: Sequence[Event], listed: Sequence[FileOperator]) -> List[Optional[FileOperator]]:
    """Return the file's operator of each event; all None where their orders do not fit.

    XNNPACK takes operators in the file's order and may drop some, such as a padding that it adds
    itself.
    """
    found: List[Optional[FileOperator]] = []
    left = list(listed)
    for event in events:
        while left and not _fits(event, left[0].kind):
            left.pop(0)
        if not left:
            return [None] * len(events)
        found.append(left.pop(0))
    return found


def file_operators(interpreter: Any) -> List[FileOperator]:
    """Return the operators of a loaded file, in its order."""
    tensors = {entry["index"]: entry for entry in interpreter.get_tensor_details()}

    def kind(index: int) -> str:
        name = np.dtype(tensors[index]["dtype"]).name if index in tensors else ""
        return _TYPES.get(name, name)

    return [
        FileOperator(
            entry["op_name"],
            str(tensors[int(entry["outputs"][0])]["name"])[:200],
            kind(int(entry["inputs"][0])),
            kind(int(entry["outputs"][0])),
        )
        for entry in interpreter._get_ops_details()
    ]


def _fits(event: Event, kind: str) -> bool:
    if event.kind == OPERATOR:
        return event.tag == kind
    return event.tag.startswith(_KERNELS.get(kind, (kind,)))
