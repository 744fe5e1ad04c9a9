"""What int8 costs each layer of a run's network, found once and kept as models/NAME.layers.json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgenas.errors import DataError, RunFolderError
from edgenas.exported_graph import exported_graph
from edgenas.graph.quantize import quantize, stored_scheme
from edgenas.graph.sensitivity import macs, sensitivity
from edgenas.records import ExportedModel, Int8Layers, from_json, to_json
from edgenas.run_folder import read_json, write_json

if TYPE_CHECKING:
    from edgenas.data.base import Split
    from edgenas.graph.ir import Graph
    from edgenas.run_context import RunContext

MOST_IMAGES = 512
LEAST_IMAGES = 32
# Multiply-accumulates in all, a few seconds to half a minute: larger networks see fewer images.
MOST_MACS = 4e11


def find(context: RunContext) -> Int8Layers | None:
    """Return the report of the run's winner, or of the best that failed; make it if need be.

    None, with a warning, if its images or its network are gone; None before the verification.
    """
    model = _shown(context)
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
    write_json(_path(context, model), to_json(found))
    return found


def stored(context: RunContext) -> Int8Layers | None:
    """Return the report if it was made before."""
    model = _shown(context)
    return None if model is None else _known(context, model)


def _shown(context: RunContext) -> ExportedModel | None:
    if not context.folder.verification.exists():
        return None
    verification = context.verified()
    return (verification.winner or verification.models[0]).model


def _path(context: RunContext, model: ExportedModel) -> Path:
    return context.folder.models / f"{model.candidate.architecture.short_name}.layers.json"


def _known(context: RunContext, model: ExportedModel) -> Int8Layers | None:
    """Return the report on file; None if there is none, or it is of another int8 file."""
    path = _path(context, model)
    if not path.exists():
        return None
    found = from_json(read_json(path), Int8Layers, str(path), RunFolderError)
    return found if found.sha256 == model.sha256 else None


def _measured(context: RunContext, model: ExportedModel) -> Int8Layers:
    graph, ranges = exported_graph(context, model)
    scheme = stored_scheme(model.scheme, model.format)
    val = _images(context.dataset.val, graph).resized(model.candidate.architecture.resolution)
    images = context.dataset.normalize(val.images)
    labels = None if context.dataset.synthetic else val.labels
    found = sensitivity(graph, quantize(graph, ranges, scheme), images, labels)
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
