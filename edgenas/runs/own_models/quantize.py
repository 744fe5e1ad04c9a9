"""A float model that the user brings, as int8 files that were run and compared."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from edgenas.core.counted import counted
from edgenas.core.errors import InputError
from edgenas.core.files.outputs import claim
from edgenas.core.progress import Progress
from edgenas.core.records import Answers, Int8Layer, Interval
from edgenas.core.records.quantized import DropLimit, FloatCost, Quantized, QuantizedFile
from edgenas.int8.checks.sensitivity import sensitivity
from edgenas.int8.engines.float_islands import float_islands
from edgenas.int8.engines.host import logits
from edgenas.int8.engines.scheme import default_scheme
from edgenas.int8.graph import float_reference
from edgenas.int8.graph.calibrated import Calibrated, calibrated
from edgenas.int8.graph.ir import OUTPUT, Graph
from edgenas.int8.graph.quantize import quantize
from edgenas.int8.graph.ranges import Ranges
from edgenas.int8.importer.read import Imported, import_onnx
from edgenas.runs.own_models.data import Given, Wanted, read_examples
from edgenas.runs.own_models.file import open_models
from edgenas.runs.own_models.max_drop import keep_noisiest, measured_cost
from edgenas.runs.own_models.quantized import (
    ENGINE_OF,
    Int8File,
    accuracy_of,
    answers_of,
    gives_images,
)
from edgenas.targets.config import Access, find

CALIBRATION_IMAGES = 128
_MOST_IMPORT_ERROR = 1e-3  # of the greatest logit
_SEEN_IMAGES = 4  # on which the import is compared with the file
_LAYER_IMAGES = 32
_CHANCE = 1.5  # times the accuracy of guessing, below which the preprocessing is doubted


@dataclass(frozen=True)
class QuantizeAs:
    """What the user asks for. scheme : of .onnx files. calibrate : images at most.

    outputs : files to write, by their suffixes; empty for MODEL.int8.onnx and MODEL.int8.tflite.
    shape : of the input, where the file leaves it open. layers : also find each layer's noise.
    max_drop : fraction of the images by which accuracy may drop: the noisiest layers stay in float
    until it does not, and what that costs is measured on `target`. None for all in int8.
    keep_float : operators that are not covered stay in float, in .onnx files.
    """

    scheme: str
    outputs: tuple[Path, ...] = ()
    shape: tuple[int, ...] | None = None
    calibrate: int = CALIBRATION_IMAGES
    layers: bool = False
    overwrite: bool = False
    max_drop: float | None = None
    target: str = "local"
    keep_float: bool = False


def quantize_model(
    path: Path, given: Given, wanted: QuantizeAs, access: Access, progress: Progress
) -> Quantized:
    """Import the float ONNX file at `path`, calibrate it, write int8 files, and compare them.

    Raises
    ------
    InputError : the file, the images or an output cannot be used; the message says which and why.
    DataError : the images cannot be read. ExportError : an engine or a writer is not installed.
    TargetError : the target cannot be reached, on which the cost of layers in float is measured.
    """
    if wanted.calibrate < 1:
        raise InputError("--calibrate takes 1 image or more.")
    if path.suffix.lower() != ".onnx":
        raise InputError(
            f"{path} is no .onnx file.", "Export the float network as ONNX: torch.onnx.export"
        )
    outputs = _outputs(path, wanted)
    if wanted.max_drop is not None:
        find(wanted.target)
    with tempfile.TemporaryDirectory() as scratch:
        # sizes that are open are said to the importer, not to an engine
        own = open_models([path], {"": (1, *wanted.shape)} if wanted.shape else {}, Path(scratch))
        content = own[0].path.read_bytes()
    progress.message(f"importing {path.name}")
    model = import_onnx(content, str(path), wanted.shape, keep_float=wanted.keep_float)
    if model.kept and not wanted.outputs:
        outputs = [output for output in outputs if output.suffix == ".onnx"]
    if model.kept and any(output.suffix.lower() == ".tflite" for output in outputs):
        raise InputError(
            f"A .tflite file has no place for {model.kept[0].kind}, which stays in float.",
            "Write an .onnx file: -o FILE.onnx",
        )
    takes = Wanted(model.graph.takes, model.graph.shapes[OUTPUT][1], model.metadata)
    decide = wanted.max_drop is not None
    examples = read_examples(given, takes, progress, calibrate=wanted.calibrate, decide=decide)
    if decide and examples.deciding_labels is None:
        raise InputError(
            "--max-drop needs labels, to see what accuracy is lost.",
            "Give labelled images, or 'labels' in the .npz file.",
        )
    if examples.labels is not None and gives_images(model.graph):
        raise InputError(f"{path} gives no score a class, so that labels tell nothing.")
    compare_import(model, examples.calibration[:_SEEN_IMAGES], str(path))
    exact = logits(model.content, examples.test).reshape(len(examples.test), -1)
    measure = partial(measured_cost, target=wanted.target, access=access, progress=progress)
    files: list[QuantizedFile] = []
    for output in outputs:
        own_file = Int8File(output, wanted.scheme, examples, exact)
        images = counted(len(examples.calibration), "image")
        progress.message(f"calibrating for {output.name} on {images}")
        best = calibrated(model.graph, examples.calibration, own_file.stored_scheme)
        if wanted.max_drop is None:
            written = own_file.written(best, best.graph, best.ranges)
        else:
            progress.message(f"looking for the layers that {output.name} keeps in float")
            written = _within_drop(own_file, best, model.content, wanted.max_drop, measure)
        floats = (*model.kept, *written.float_layers)
        layers = _layers(best, own_file) if wanted.layers else ()
        files.append(replace(written, float_layers=floats, layers=layers))
    answers = answers_of(exact, examples.labels)
    return Quantized(
        kind="edgenas-quantized",
        model=str(path),
        sha256=own[0].sha256,
        macs=model.macs,
        params=model.graph.params,
        n_calibration=len(examples.calibration),
        n_test=len(examples.test),
        input=examples.made,
        class_names=examples.class_names,
        float_accuracy=accuracy_of(answers),
        files=tuple(files),
        reservations=(*examples.notes, *_doubts(answers, exact.shape[1], files)),
    )


def this_scheme() -> str:
    """Return the int8 scheme that suits ONNX Runtime on this machine."""
    return default_scheme(platform.machine(), "onnxruntime")


def input_shape(text: str | None) -> tuple[int, ...] | None:
    """Return the shape in a text: 3x224x224 of an image, 9x128 of a series, 64 of a vector."""
    if text is None:
        return None
    sizes = text.lower().split("x")
    known = all(size.isdecimal() and 0 < int(size) < 1_000_000 for size in sizes)
    if len(sizes) > 3 or not known:
        raise InputError(
            f"'{text}' is no shape of an input.",
            "Write channels first, without the batch: 3x224x224 of an image, 9x128 of a series.",
        )
    return tuple(map(int, sizes))


def _outputs(path: Path, wanted: QuantizeAs) -> list[Path]:
    named = wanted.outputs or tuple(
        Path(f"{path.stem}.int8{suffix}") for suffix in (".onnx", ".tflite")
    )
    for output in named:
        if output.suffix.lower() not in ENGINE_OF:
            raise InputError(f"{output} ends neither in .onnx nor in .tflite.")
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


def compare_import(model: Imported, images: np.ndarray, name: str) -> np.ndarray:
    """Raise `InputError` unless the graph computes what the file computes; return its scores.

    images : float32 [n, *graph.takes].
    """
    try:
        expected = logits(model.content, images).reshape(len(images), -1)
    except Exception as problem:  # ONNX Runtime's errors have no common type but this
        said = str(problem).strip().partition("\n")[0][:300]
        raise InputError(f"ONNX Runtime does not run {name}: {said}") from problem
    found = float_reference.run(model.graph, images).reshape(len(images), -1)
    if found.shape != expected.shape:
        raise InputError(f"{name} was not imported rightly: it has other outputs.")
    off = float(np.abs(found - _like(expected, found)).max())
    if off > _MOST_IMPORT_ERROR * max(1.0, float(np.abs(expected).max())):
        raise InputError(
            f"{name} was not imported rightly: its scores are up to {off:.2g} off.",
            "This is a fault of edgenas: please report it with the file.",
        )
    return found


def _like(expected: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the file's scores, or those before its softmax up to what that leaves open."""
    sums = np.exp(found - found.max(1, keepdims=True))
    chances = sums / sums.sum(1, keepdims=True)
    if np.allclose(chances, expected, atol=1e-4):
        return found
    tiny = np.finfo(np.float32).tiny
    return found if np.allclose(np.log(chances + tiny), expected, atol=1e-3) else expected


def _within_drop(
    file: Int8File,
    best: Calibrated,
    whole: bytes,
    most: float,
    measure: Callable[[dict[str, bytes], str], FloatCost],
) -> QuantizedFile:
    """Write the file with so many layers in float that it loses no more than `most`.

    whole : the float ONNX file. measure : returns the cost of files, and of their suffix.
    """
    deciding, labels = file.examples.deciding, file.examples.deciding_labels
    assert deciding is not None and labels is not None  # they were asked for

    def right(scores: np.ndarray) -> float:
        return float((scores.argmax(1) == labels).mean())

    before = right(logits(whole, deciding).reshape(len(deciding), -1))

    def lost(graph: Graph, ranges: Ranges) -> float:
        return before - right(file.scores(file.content(graph, ranges), graph, deciding))

    mixture = keep_noisiest(best, file.stored_scheme, deciding, lost, most)
    written = file.written(best, mixture.graph, mixture.ranges)
    assert written.change is not None  # there are labels
    change = written.change
    drop = DropLimit(
        most,
        len(deciding),
        mixture.lost_int8,
        mixture.lost,
        Interval(-change.mean, -change.upper, -change.lower),
    )
    cost = None
    if mixture.layers:
        contents = {
            "mixed": file.output.read_bytes(),
            "int8": file.content(best.graph, best.ranges),
            "float": whole if written.format == "onnx" else file.in_float(best.graph),
        }
        cost = measure(contents, file.output.suffix.lower())
    problems = written.problems if drop.held else (*written.problems, _exceeded(drop))
    return replace(written, float_layers=mixture.layers, drop=drop, cost=cost, problems=problems)


def _exceeded(drop: DropLimit) -> str:
    return (
        f"It loses {100 * drop.lost.mean:.2g} points on the test images, more than "
        f"{100 * drop.most:g}; on {counted(drop.n_deciding, 'other')} that decided it lost "
        f"{100 * drop.mixed:.2g}. More images would decide better."
    )


def _layers(best: Calibrated, file: Int8File) -> tuple[Int8Layer, ...]:
    few = file.examples.test[:_LAYER_IMAGES]
    labels = file.examples.labels
    labels = None if labels is None else labels[:_LAYER_IMAGES]
    quantization = quantize(best.graph, best.ranges, file.stored_scheme)
    return sensitivity(best.graph, quantization, few, labels).layers


def _doubts(answers: Answers | None, classes: int, files: Sequence[QuantizedFile]) -> list[str]:
    doubts = [f"{file.path}: {text}" for file in files for text in file.problems]
    doubts += [f"{file.path}: {text}" for file in files for text in _doubts_of_drop(file)]
    for file in files:
        if file.format == "onnx" and file.scheme == this_scheme():
            kept = {layer.name for layer in file.float_layers}
            islands = [
                name
                for name in float_islands(Path(file.path).read_bytes())
                if name.removesuffix("_plain") not in kept
            ]
            named = ", ".join(islands[:3]) + (", …" if len(islands) > 3 else "")
            if islands:
                doubts.append(
                    f"{file.path}: ONNX Runtime computes {counted(len(islands), 'layer')} in "
                    f"float: {named}"
                )
    if answers is not None and answers.accuracy < _CHANCE / classes:
        doubts.append(
            f"The float model itself gets {answers.accuracy:.1%} of {answers.n_images} images "
            "right, no better than guessing: mean, std, the fit or the order of the classes is not "
            "the model's."
        )
    return doubts


def _doubts_of_drop(file: QuantizedFile) -> list[str]:
    doubts = []
    if file.drop is not None and file.drop.held and file.drop.lost.upper > file.drop.most:
        doubts.append(
            f"that it loses no more than {100 * file.drop.most:g} points is not shown: with so few "
            f"images it may be up to {100 * file.drop.lost.upper:.1f}"
        )
    if file.cost is not None and file.cost.reason:
        doubts.append(f"what its layers in float cost was not measured: {file.cost.reason}")
    return doubts
