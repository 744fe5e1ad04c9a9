"""Exported networks as C99 sources, with what they do on the validation images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgenas.core.files.run_folder import write_bytes
from edgenas.int8.exporters import c
from edgenas.int8.graph import fixed_point
from edgenas.int8.graph.quantize import find_scheme, quantize
from edgenas.runs.models.exported import exported_graph
from edgenas.runs.models.fed import run_input

if TYPE_CHECKING:
    from edgenas.core.records import ExportedModel
    from edgenas.runs.run import RunContext

# The symmetric scheme keeps biases in float, which integer code does not take.
_SCHEME = "s8s8"


@dataclass(frozen=True)
class CFiles:
    """A network as C. folder : in the run's models/. flash_bytes, ram_bytes, macs : see `CSource`.

    val_accuracy : of the C file's integers on the validation images; val_accuracy_before : of the
    run's own int8 file. None where the images were synthetic.
    """

    folder: str
    flash_bytes: int
    ram_bytes: int
    macs: int
    val_accuracy: float | None
    val_accuracy_before: float | None


def write_c(context: RunContext) -> list[CFiles]:
    """Write each exported network as network.c and main.c into a folder of the run's models/.

    Raises
    ------
    ExportError : a network cannot be written so.
    """
    return [_write(context, model) for model in context.exported_models()]


def _write(context: RunContext, model: ExportedModel) -> CFiles:
    graph, ranges = exported_graph(context, model)
    name = model.candidate.architecture.short_name
    made = run_input(context, model)
    source = c.emit(graph, ranges, made, model.class_names, scheme=_SCHEME, name=name)
    folder = f"{name}.c99"
    for file, text in (("network.c", source.text), ("main.c", c.MAIN.read_text("utf-8"))):
        write_bytes(context.folder.models / folder / file, text.encode())
    accuracy = None
    if model.val_int8_accuracy is not None:
        quantization = quantize(graph, ranges, find_scheme(_SCHEME))
        val = context.dataset.val.resized(made.size)
        logits = fixed_point.run(graph, quantization, context.dataset.normalize(val.images))
        task = context.dataset.task
        accuracy = float(task.right(task.decode(logits), val.labels).mean())
    return CFiles(
        folder,
        source.flash_bytes,
        source.ram_bytes,
        source.macs,
        accuracy,
        model.val_int8_accuracy,
    )
