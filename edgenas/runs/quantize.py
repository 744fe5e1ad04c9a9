"""A float model that the user brings, as int8 files that were run and compared."""

from __future__ import annotations

import hashlib
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgenas.core import plugins
from edgenas.core.errors import InputError
from edgenas.core.files.outputs import claim
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.progress import Progress
from edgenas.core.records import Answers, ImageInput, Int8Layer, Interval
from edgenas.core.records.intervals import wilson
from edgenas.core.records.quantized import Quantized, QuantizedFile
from edgenas.int8.checks.file import unlike_lowered
from edgenas.int8.checks.parity import compare, distance
from edgenas.int8.checks.sensitivity import sensitivity
from edgenas.int8.engines.facts import find_engine
from edgenas.int8.engines.float_islands import float_islands
from edgenas.int8.engines.host import logits, version
from edgenas.int8.engines.scheme import default_scheme
from edgenas.int8.graph import float_reference, integer_reference
from edgenas.int8.graph.calibrated import Calibrated, calibrated
from edgenas.int8.graph.ir import OUTPUT, Graph
from edgenas.int8.graph.quantize import find_scheme, quantize, stored_scheme
from edgenas.int8.importer.read import Imported, import_onnx
from edgenas.runs.own_data import Examples, Given, Wanted, read_examples
from edgenas.runs.own_model import open_models

CALIBRATION_IMAGES = 128
_ENGINES = {".onnx": "onnxruntime", ".tflite": "litert"}
_MOST_IMPORT_ERROR = 1e-3  # of the greatest logit
_SEEN_IMAGES = 4  # on which the import is compared with the file
_LAYER_IMAGES = 32
_CHANCE = 1.5  # times the accuracy of guessing, below which the preprocessing is doubted


@dataclass(frozen=True)
class QuantizeAs:
    """What the user asks for. scheme : of .onnx files. calibrate : images at most.

    outputs : files to write, by their suffixes; empty for MODEL.int8.onnx and MODEL.int8.tflite.
    shape : of the input, where the file leaves it open. layers : also find each layer's noise.
    """

    scheme: str
    outputs: tuple[Path, ...] = ()
    shape: tuple[int, ...] | None = None
    calibrate: int = CALIBRATION_IMAGES
    layers: bool = False
    overwrite: bool = False


def quantize_model(path: Path, given: Given, wanted: QuantizeAs, progress: Progress) -> Quantized:
    """Import the float ONNX file at `path`, calibrate it, write int8 files, and compare them.

    Raises
    ------
    InputError : the file, the images or an output cannot be used; the message says which and why.
    DataError : the images cannot be read. ExportError : an engine or a writer is not installed.
    """
    if path.suffix.lower() != ".onnx":
        raise InputError(
            f"{path} is no .onnx file.", "Export the float network as ONNX: torch.onnx.export"
        )
    outputs = _outputs(path, wanted)
    with tempfile.TemporaryDirectory() as scratch:
        # sizes that are open are said to the importer, not to an engine
        own = open_models([path], {"": (1, *wanted.shape)} if wanted.shape else {}, Path(scratch))
        content = own[0].path.read_bytes()
    progress.message(f"importing {path.name}")
    model = import_onnx(content, str(path), wanted.shape)
    takes = Wanted(model.graph.input_shape[1:], model.graph.shapes[OUTPUT][1], model.metadata)
    examples = read_examples(given, takes, progress, calibrate=wanted.calibrate)
    if examples.labels is not None and _gives_images(model.graph):
        raise InputError(f"{path} gives images, no score a class, so that labels tell nothing.")
    _compare_import(model, examples, str(path))
    exact = logits(model.content, examples.test).reshape(len(examples.test), -1)
    files: list[QuantizedFile] = []
    best: Calibrated | None = None
    for output in outputs:
        scheme = _scheme(wanted.scheme, output)
        progress.message(f"calibrating for {output.name} on {len(examples.calibration)} images")
        inside = stored_scheme(scheme, output.suffix.lower()[1:])
        best = calibrated(model.graph, examples.calibration, inside)
        files.append(_written(output, best, examples, scheme, exact))
    assert best is not None  # there are outputs
    answers = _answers(exact, examples)
    return Quantized(
        kind="edgenas-quantized",
        model=str(path),
        sha256=own[0].sha256,
        macs=model.macs,
        params=model.graph.params,
        form=best.form,
        logits_snr_db=best.snr_db,
        n_calibration=len(examples.calibration),
        n_test=len(examples.test),
        input=examples.made,
        class_names=examples.class_names,
        float_accuracy=_interval(answers),
        files=tuple(files),
        reservations=(*examples.notes, *_doubts(answers, exact.shape[1], files)),
        layers=_layers(best, examples, wanted, outputs[-1]) if wanted.layers else (),
    )


def this_scheme() -> str:
    """Return the int8 scheme that suits ONNX Runtime on this machine."""
    return default_scheme(platform.machine(), "onnxruntime")


def image_shape(text: str | None) -> tuple[int, ...] | None:
    """Return the shape in a text such as 3x224x224."""
    if text is None:
        return None
    sizes = text.lower().split("x")
    if len(sizes) != 3 or not all(size.isdecimal() and 0 < int(size) < 10_000 for size in sizes):
        raise InputError(f"'{text}' is no shape of an image.", "Write channels first: 3x224x224.")
    return tuple(map(int, sizes))


def _outputs(path: Path, wanted: QuantizeAs) -> list[Path]:
    named = wanted.outputs or tuple(
        Path(f"{path.stem}.int8{suffix}") for suffix in (".onnx", ".tflite")
    )
    for output in named:
        if output.suffix.lower() not in _ENGINES:
            raise InputError(f"{output} ends neither in .onnx nor in .tflite.")
        if not output.parent.is_dir():
            raise InputError(f"There is no folder {output.parent} for {output.name}.")
    return [
        claim(output, "--output", _is_own, inputs=[path], overwrite=wanted.overwrite)
        for output in named
    ]


def _is_own(path: Path) -> bool:
    """Return whether edgenas wrote the model file."""
    content = path.read_bytes()
    if path.suffix.lower() == ".tflite":
        return content[4:8] == b"TFL3" and b"edgenas" in content
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return str(onnx.load_model_from_string(content).producer_name) == "edgenas"
    except DecodeError:
        return False


def _compare_import(model: Imported, examples: Examples, name: str) -> None:
    """Raise `InputError` unless the graph computes what the file computes."""
    few = examples.calibration[:_SEEN_IMAGES]
    try:
        expected = logits(model.content, few).reshape(len(few), -1)
    except Exception as problem:  # ONNX Runtime's errors have no common type but this
        said = str(problem).strip().partition("\n")[0][:300]
        raise InputError(f"ONNX Runtime does not run {name}: {said}") from problem
    found = float_reference.run(model.graph, few).reshape(len(few), -1)
    if found.shape != expected.shape:
        raise InputError(f"{name} was not imported rightly: it has other outputs.")
    off = float(np.abs(found - _like(expected, found)).max())
    if off > _MOST_IMPORT_ERROR * max(1.0, float(np.abs(expected).max())):
        raise InputError(
            f"{name} was not imported rightly: its scores are up to {off:.2g} off.",
            "This is a fault of edgenas: please report it with the file.",
        )


def _like(expected: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the file's scores, or those before its softmax up to what that leaves open."""
    sums = np.exp(found - found.max(1, keepdims=True))
    chances = sums / sums.sum(1, keepdims=True)
    if np.allclose(chances, expected, atol=1e-4):
        return found
    tiny = np.finfo(np.float32).tiny
    return found if np.allclose(np.log(chances + tiny), expected, atol=1e-3) else expected


def _written(
    output: Path, best: Calibrated, examples: Examples, scheme: str, exact: np.ndarray
) -> QuantizedFile:
    exporter = output.suffix.lower()[1:]
    engine = find_engine(_ENGINES[output.suffix.lower()])
    content = plugins.load("exporters", exporter).emit(
        best.graph,
        best.ranges,
        scheme=scheme,
        made=_made(examples, exporter, scheme),
        class_names=examples.class_names,
    )
    quantization = quantize(best.graph, best.ranges, stored_scheme(scheme, exporter))
    reference = integer_reference.run(best.graph, quantization, examples.test)
    found = logits(content, examples.test, engine.host_engine)
    found = _in_order(found, best.graph, exporter).reshape(exact.shape)
    scale = float(quantization.tensors[OUTPUT].scale)
    parity = compare(reference.reshape(exact.shape), found, None, scale, engine.name)
    unlike = unlike_lowered(content, best.graph, best.ranges, exporter=exporter, scheme=scheme)
    write_bytes(output, content)
    classifies = not _gives_images(best.graph)
    before, after = _answers(exact, examples), _answers(found, examples)
    return QuantizedFile(
        path=str(output),
        format=exporter,
        scheme=scheme,
        sha256=hashlib.sha256(content).hexdigest(),
        model_bytes=len(content),
        engine=version(engine.host_engine),
        agreement=parity.agreement,
        mean_steps=parity.mean_steps,
        max_steps=parity.max_steps,
        problems=tuple(filter(None, (*distance(parity, "int8 reference"), unlike))),
        changed=float((found.argmax(1) != exact.argmax(1)).mean()) if classifies else None,
        accuracy=_interval(after),
        change=None if after is None or before is None else after.ahead_of(before),
    )


def _gives_images(graph: Graph) -> bool:
    return len(graph.shapes[OUTPUT]) == 4


def _scheme(asked: str, output: Path) -> str:
    """Return the scheme of a file: a .tflite file is signed, which all its engines are best at."""
    return "s8s8" if output.suffix.lower() == ".tflite" else asked


def _made(examples: Examples, exporter: str, scheme: str) -> ImageInput | None:
    if examples.made is None or exporter == "onnx":
        return examples.made
    ends = np.dtype(find_scheme(scheme).activation.__name__)
    return replace(examples.made, layout="nhwc", dtype=str(ends))  # type: ignore[arg-type]


def _in_order(values: np.ndarray, graph: Graph, exporter: str) -> np.ndarray:
    """Return scores in the graph's order: a .tflite file has channels last."""
    shape = graph.shapes[OUTPUT]
    if exporter != "tflite" or len(shape) != 4:
        return values
    _, channels, height, width = shape
    return np.moveaxis(values.reshape(-1, height, width, channels), 3, 1)


def _answers(scores: np.ndarray, examples: Examples) -> Answers | None:
    if examples.labels is None:
        return None
    return Answers.of((scores.argmax(1) == examples.labels).tolist())


def _interval(answers: Answers | None) -> Interval | None:
    if answers is None:
        return None
    return Interval(answers.accuracy, *wilson(answers.right, answers.n_images))


def _layers(
    best: Calibrated, examples: Examples, wanted: QuantizeAs, output: Path
) -> tuple[Int8Layer, ...]:
    scheme = stored_scheme(_scheme(wanted.scheme, output), output.suffix.lower()[1:])
    few = examples.test[:_LAYER_IMAGES]
    labels = None if examples.labels is None else examples.labels[:_LAYER_IMAGES]
    quantization = quantize(best.graph, best.ranges, scheme)
    return sensitivity(best.graph, quantization, few, labels).layers


def _doubts(answers: Answers | None, classes: int, files: Sequence[QuantizedFile]) -> list[str]:
    doubts = [f"{file.path}: {text}" for file in files for text in file.problems]
    for file in files:
        if file.format == "onnx" and file.scheme == this_scheme():
            islands = float_islands(Path(file.path).read_bytes())
            named = ", ".join(islands[:3]) + (", …" if len(islands) > 3 else "")
            if islands:
                doubts.append(
                    f"{file.path}: ONNX Runtime computes {len(islands)} "
                    f"layer{'s' * (len(islands) > 1)} in float: {named}"
                )
    if answers is not None and answers.accuracy < _CHANCE / classes:
        doubts.append(
            f"The float model itself gets {answers.accuracy:.1%} of {answers.n_images} images "
            "right, no better than guessing: mean, std, the fit or the order of the classes is not "
            "the model's."
        )
    return doubts
