"""export: the candidates of the search as int8 models, in the format of the target's engine.

Writes models/*.onnx or models/*.tflite, their cards *.json and their graphs *.safetensors.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edgenas.deployable import deployable
from edgenas.engine_check import check_engine
from edgenas.finetuning import finetuned
from edgenas.graph import graph_file
from edgenas.host_engine import version
from edgenas.plugins import load
from edgenas.records import Candidate, Evaluation, ExportedModel, to_json
from edgenas.run_context import RunContext
from edgenas.run_folder import write_bytes, write_json

if TYPE_CHECKING:
    from edgenas.supernet.network import Supernet


def run(context: RunContext) -> list[ExportedModel]:
    """Export every candidate of search.json, with what its files do on the validation images."""
    check_engine(context)
    candidates = context.search_result().candidates
    supernet = context.supernet()
    exported = []
    with context.progress.task("Exporting int8 models", len(candidates)) as task:
        for candidate in candidates:
            exported.append(_export(context, supernet, candidate))
            task.advance()
    return exported


def _export(context: RunContext, supernet: Supernet, candidate: Candidate) -> ExportedModel:
    architecture, dataset = candidate.architecture, context.dataset
    layers, engine = context.space.layers(architecture), context.engine
    inherited = deployable(supernet, architecture, layers, dataset, engine)
    network, tuned = finetuned(context, supernet, architecture, inherited)
    scheme = context.target.scheme
    exporter = load("exporters", engine.exporter)
    int8 = network.emit(scheme, batch=1)
    name, models = architecture.short_name, context.folder.models
    names = [f"{name}.{kind}{exporter.FILE_SUFFIX}" for kind in ("int8", "fp32")]
    graph = graph_file.write(network.graph, network.ranges)
    write_bytes(models / f"{name}.graph.safetensors", graph)
    write_bytes(models / names[0], int8)
    write_bytes(models / names[1], network.emit(None, batch=1))
    seen = None if dataset.synthetic else network.accuracies(scheme, dataset, dataset.val)
    sha256 = context.supernet_sha256()
    known = context.store.evaluations(sha256).get(architecture)
    kept = tuned is not None and tuned.kept  # the predictors are of inherited weights
    if seen is not None and not kept and (known is None or known.n_images <= len(dataset.val)):
        context.store.add_evaluation(Evaluation(architecture, sha256, *seen, len(dataset.val)))
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
        val_int8_accuracy=None if seen is None else seen[1],
        val_fp32_accuracy=None if seen is None else seen[0],
        n_val=0 if seen is None else len(dataset.val),
        supernet_sha256=sha256,
        format=engine.exporter,
        layout=exporter.LAYOUT,
        host_engine=version(engine.host_engine),
        finetuned=tuned,
    )
    write_json(models / f"{name}.json", to_json(model))
    return model
