"""The candidates of a search as int8 models, in the format of the target's engine.

Writes models/*.onnx or models/*.tflite, their cards *.json and their graphs *.safetensors.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from edgenas.core.files.run_folder import write_bytes
from edgenas.core.plugins import load
from edgenas.core.records import (
    Answers,
    Architecture,
    Candidate,
    Evaluation,
    ExportedModel,
    FineTuned,
)
from edgenas.core.records.export import Weights
from edgenas.core.records.goals import ROBUST
from edgenas.data.corruptions import corrupted
from edgenas.int8.engines.host import version
from edgenas.int8.graph import graph_file
from edgenas.runs.growing import grown
from edgenas.runs.models import fpga_files
from edgenas.runs.models.engine_check import check_engine
from edgenas.runs.models.finetuned import finetuned
from edgenas.runs.models.frozen import better
from edgenas.runs.run import RunContext
from edgenas.supernet.deploy import Deployable, deployable

if TYPE_CHECKING:
    from edgenas.data.base import Dataset
    from edgenas.supernet.network import Supernet


def export(context: RunContext, *, alone: bool) -> list[ExportedModel]:
    """Export every candidate of search.json, with what its files do on the validation images.

    alone : candidates that the run wants to be trained alone are, before.
    """
    check_engine(context)
    candidates = context.search_result().candidates
    supernet = context.supernet()
    exported = []
    with context.progress.task("Exporting int8 models", len(candidates)) as task:
        for candidate in candidates:
            exported.append(_export(context, supernet, candidate, alone))
            task.advance()
    return exported


def _export(
    context: RunContext, supernet: Supernet, candidate: Candidate, alone: bool
) -> ExportedModel:
    architecture, dataset = candidate.architecture, context.dataset
    network, tuned, weights = _network(context, supernet, architecture, alone)
    scheme, engine = context.target.scheme, context.engine
    exporter = load("exporters", engine.exporter)
    quantized: Literal["int8", "uint8"] = "uint8" if scheme.startswith("u") else "int8"
    whole: Literal["float32"] = "float32"
    made, made_fp32 = (
        dataset.network_input(architecture.resolution, exporter.LAYOUT, dtype)
        for dtype in (whole if exporter.LAYOUT == "nchw" else quantized, whole)
    )
    named = dataset.class_names
    int8 = network.emit(scheme, batch=1, made=made, class_names=named)
    name, models = architecture.short_name, context.folder.models
    names = [f"{name}.{kind}{exporter.FILE_SUFFIX}" for kind in ("int8", "fp32")]
    graph = graph_file.write(network.graph, network.ranges)
    write_bytes(context.folder.graph(name), graph)
    write_bytes(models / names[0], int8)
    write_bytes(models / names[1], network.emit(None, batch=1, made=made_fp32, class_names=named))
    fpga_files.write(context, architecture, network.graph, network.ranges)
    robust = None
    if ROBUST in context.config.responses and not dataset.synthetic:
        robust = network.robust_accuracy(scheme, dataset, list(corrupted(dataset.val)))
    seen = None if dataset.synthetic else _seen(network, scheme, dataset)
    sha256 = context.supernet_sha256()
    known = context.store.evaluations(sha256).get(architecture)
    inherits = weights == "supernet"  # as the predictors do
    if seen is not None and inherits and (known is None or known.n_images <= len(dataset.val)):
        fp32, right = seen
        found = Evaluation(
            architecture, sha256, fp32, right.accuracy, right.n_images, right, robust
        )
        context.store.add_evaluation(found)
    model = ExportedModel(
        candidate=candidate,
        int8_file=names[0],
        fp32_file=names[1],
        sha256=hashlib.sha256(int8).hexdigest(),
        int8_bytes=len(int8),
        scheme=scheme,
        mean=dataset.mean,
        std=dataset.std,
        class_names=dataset.class_names,
        val_int8_accuracy=None if seen is None else seen[1].accuracy,
        val_fp32_accuracy=None if seen is None else seen[0],
        n_val=0 if seen is None else len(dataset.val),
        supernet_sha256=sha256,
        format=engine.exporter,
        layout=exporter.LAYOUT,
        host_engine=version(engine.host_engine),
        finetuned=tuned,
        val_answers=None if seen is None else seen[1],
        input=made,
        weights=weights,
        robust_accuracy=robust,
    )
    context.write(model, name)
    return model


def _network(
    context: RunContext, supernet: Supernet, architecture: Architecture, alone: bool
) -> tuple[Deployable, FineTuned | None, Weights]:
    """Return the network with the best weights that there are for it, and whose these are."""
    if (kept := grown.deployable(context, architecture, supernet)) is not None:
        return kept[0], None, kept[1]
    layers = context.space.layers(architecture)
    inherited = deployable(supernet, architecture, layers, context.dataset, context.engine)
    network, tuned = inherited, None
    if alone:
        network, tuned = finetuned(context, supernet, architecture, inherited)
    if (frozen := better(context, architecture, network)) is not None:
        return frozen, tuned, "linear classifier"
    return network, tuned, "fine-tuned" if tuned is not None and tuned.kept else "supernet"


def _seen(network: Deployable, scheme: str, dataset: Dataset) -> tuple[float, Answers]:
    """Return fp32 accuracy and the int8 model's answers on the validation images."""
    right = network.right(scheme, dataset, dataset.val)
    return network.accuracy(None, dataset, dataset.val), Answers.of(right.tolist())
