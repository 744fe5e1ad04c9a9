"""What int8 costs each layer of a run's network, found once and kept as models/NAME.layers.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgenas.core.errors import DataError, RunFolderError
from edgenas.core.records import ExportedModel, Int8Layers
from edgenas.int8.checks.sensitivity import macs, sensitivity
from edgenas.int8.graph.quantize import quantize, stored_scheme
from edgenas.runs.models.exported import exported_graph

if TYPE_CHECKING:
    from edgenas.data.base import Split
    from edgenas.int8.graph.ir import Graph
    from edgenas.runs.run import RunContext

MOST_IMAGES = 512
LEAST_IMAGES = 32
# Multiply-accumulates in all, a few seconds to half a minute: larger networks see fewer images.
MOST_MACS = 4e11


def find(context: RunContext) -> Int8Layers | None:
    """Return the report of the run's winner, or of the best that failed; make it if need be.

    None, with a warning, if its images or its network are gone; None before the verification.
    """
    model = shown(context)
    if model is None:
        return None
    known = _known(context, model)
    if known is not None:
        return known
    try:
        found = _measured(context, model)
    except (DataError, RunFolderError) as problem:
        context.progress.warning(f"What int8 costs each layer is not known: {problem}")
        return None
    context.write(found, model.candidate.architecture.short_name)
    return found


def stored(context: RunContext) -> Int8Layers | None:
    """Return the report if it was made before."""
    model = shown(context)
    return None if model is None else _known(context, model)


def shown(context: RunContext) -> ExportedModel | None:
    """Return the winner's files, or those of the best that failed; None before verification."""
    if not context.folder.verification.exists():
        return None
    verification = context.verified()
    return (verification.winner or verification.models[0]).model


def _known(context: RunContext, model: ExportedModel) -> Int8Layers | None:
    """Return the report on file; None if there is none, or it is of another int8 file."""
    found = context.find(Int8Layers, model.candidate.architecture.short_name)
    return found if found is not None and found.sha256 == model.sha256 else None


def _measured(context: RunContext, model: ExportedModel) -> Int8Layers:
    graph, ranges = exported_graph(context, model)
    scheme = stored_scheme(model.scheme, model.format)
    val = _images(context.dataset.val, graph).resized(model.candidate.architecture.resolution)
    images = context.dataset.normalize(val.images)
    labels = None if context.dataset.synthetic else val.labels
    quantization, task = quantize(graph, ranges, scheme), context.dataset.task_name
    found = sensitivity(graph, quantization, images, labels, task)
    return Int8Layers(
        sha256=model.sha256,
        scheme=model.scheme,
        n_images=len(val),
        fp32_accuracy=found.fp32_accuracy,
        int8_accuracy=found.int8_accuracy,
        logits_snr_db=found.logits_snr_db,
        changed=found.changed,
        layers=found.layers,
    )


def _images(val: Split, graph: Graph) -> Split:
    """Return as many images, evenly spread, as the work allows: half a network for each layer."""
    work = macs(graph) * len(graph.shapes) / 2
    n = min(len(val), MOST_IMAGES, max(LEAST_IMAGES, int(MOST_MACS / work)))
    return val.take(np.arange(n) * len(val) // n)
