"""export: the candidates of the search as int8 models. Writes models/*.onnx and models/*.json."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edgenas.deployable import EXPORTER, deployable
from edgenas.plugins import load
from edgenas.records import Candidate, Evaluation, ExportedModel, to_json
from edgenas.run_context import RunContext
from edgenas.run_folder import write_bytes, write_json

if TYPE_CHECKING:
    from edgenas.supernet.network import Supernet


def run(context: RunContext) -> list[ExportedModel]:
    """Export every candidate of search.json, with what its files do on the validation images."""
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
    network = deployable(supernet, architecture, context.space.layers(architecture), dataset)
    scheme = context.target.scheme
    suffix = load("exporters", EXPORTER).FILE_SUFFIX
    int8 = network.emit(scheme, batch=1)
    names = [f"{architecture.short_name}.{kind}{suffix}" for kind in ("int8", "fp32")]
    write_bytes(context.folder.models / names[0], int8)
    write_bytes(context.folder.models / names[1], network.emit(None, batch=1))
    fp32_accuracy, int8_accuracy = network.accuracies(scheme, dataset, dataset.val)
    sha256 = context.supernet_sha256()
    context.store.add_evaluation(
        Evaluation(architecture, sha256, fp32_accuracy, int8_accuracy, len(dataset.val))
    )
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
        val_int8_accuracy=int8_accuracy,
        val_fp32_accuracy=fp32_accuracy,
        n_val=len(dataset.val),
        supernet_sha256=sha256,
    )
    write_json(context.folder.models / f"{architecture.short_name}.json", to_json(model))
    return model
