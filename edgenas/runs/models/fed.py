"""Exported networks as files that take another input: their preprocessing is inside."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgenas.challenges.base import Judging
from edgenas.challenges.image_referee import referee_run
from edgenas.core import plugins
from edgenas.core.errors import ExportError
from edgenas.core.files.run_folder import write_bytes, write_json
from edgenas.core.records import ExportedModel, ImageInput, to_json
from edgenas.core.records.image_input import asked_input, slug
from edgenas.data.decode import read_input
from edgenas.int8.checks.file import unlike_lowered
from edgenas.int8.engines.host import fed_logits
from edgenas.int8.graph.pixels import as_fed
from edgenas.int8.graph.quantize import find_scheme
from edgenas.runs.models.exported import exported_graph

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext


@dataclass(frozen=True)
class FedModel:
    """A network as files that take the input `input`, and what the int8 one did with image files.

    int8_file, fp32_file : names in the run's models/ folder. val_accuracy : of the int8 file, fed
    from image files on the validation images; val_accuracy_before : of the file of the run. None
    where the images were synthetic.
    """

    int8_file: str
    fp32_file: str
    sha256: str
    input: ImageInput
    input_text: str
    class_names: tuple[str, ...]
    val_accuracy: float | None
    val_accuracy_before: float | None


def run_input(context: RunContext, model: ExportedModel) -> ImageInput:
    """Return how the input of the run's own file is made, which older cards do not say."""
    if model.input is not None:
        return model.input
    dtype = "float32"
    if model.layout == "nhwc":
        dtype = "uint8" if model.scheme.startswith("u") else "int8"
    size = model.candidate.architecture.resolution
    return context.dataset.network_input(size, model.layout, dtype)  # type: ignore[arg-type]


def write_fed(context: RunContext, words: str) -> list[FedModel]:
    """Write every exported network, beside its own files, as files that take the input `words`.

    What the int8 file makes of the validation images, as image files, is held against what the
    run's own file made of them.

    Raises
    ------
    InputError : the words are not understood. RunFolderError : nothing was exported.
    ExportError : the format or the scheme cannot take such an input, or the accuracy is another.
    """
    written = [_write(context, model, words) for model in context.exported_models()]
    for one in written:
        context.progress.message(f"models/{one.int8_file}: {one.input_text}")
    return written


def _write(context: RunContext, model: ExportedModel, words: str) -> FedModel:
    graph, ranges = exported_graph(context, model)
    own = run_input(context, model)
    made = asked_input(words, own)
    scheme = model.scheme
    if made.formula != own.formula and find_scheme(scheme).symmetric:
        raise ExportError(
            f"The scheme {scheme} has no zero point: it would store pixels in 7 bits of 8.",
            "Export for another engine, or keep the normalisation outside: --input normalized",
        )
    if model.format == "tflite" and made.dtype == "uint8":
        scheme = "u8s8"
    fed, known = as_fed(graph, ranges, own, made)
    exporter = plugins.load("exporters", model.format)
    how = {"made": made, "class_names": model.class_names}
    int8 = exporter.emit(fed, known, scheme=scheme, **how)
    if said := unlike_lowered(int8, fed, known, exporter=model.format, scheme=scheme):
        raise ExportError(said, "This is a fault of edgenas: please report it with the model.")
    whole = made if model.format == "onnx" else replace(made, dtype="float32")
    folded, _ = as_fed(graph, ranges, own, made, fold=True)
    fp32 = exporter.emit(folded, None, made=whole, class_names=model.class_names)
    stem = f"{model.candidate.architecture.short_name}.{slug(made)}"
    names = [f"{stem}.{kind}{exporter.FILE_SUFFIX}" for kind in ("int8", "fp32")]
    for name, content in zip(names, (int8, fp32), strict=True):
        write_bytes(context.folder.models / name, content)
    result = FedModel(
        names[0],
        names[1],
        hashlib.sha256(int8).hexdigest(),
        made,
        str(made),
        model.class_names,
        _accuracy(context, model, names[0], made),
        model.val_int8_accuracy,
    )
    write_json(context.folder.card(stem), to_json(result))
    return result


def _accuracy(
    context: RunContext, model: ExportedModel, name: str, made: ImageInput
) -> float | None:
    if model.val_int8_accuracy is None:
        return None
    judging = Judging(context.folder.models / name, made, model.class_names)
    val = context.dataset.val
    found = referee_run(
        judging,
        val.images,
        val.labels,
        model.class_names,
        model.val_int8_accuracy,
        read=read_input,
        scores=fed_logits,
        files=val.files,
    )
    if not found.agrees:
        raise ExportError(
            f"Fed with {made}, {name} gets {found.accuracy:.2%} of the validation images right, "
            f"the run's own file {model.val_int8_accuracy:.2%}: do not use it.",
            "This is a fault of edgenas: please report it with the model.",
        )
    return found.accuracy
