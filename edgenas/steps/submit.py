"""submit: the winner as a challenge's package, checked and scored locally. Writes submission/."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas import plugins
from edgenas.challenges import evidence
from edgenas.challenges.base import Entry, Facts, Parameters
from edgenas.errors import ExportError, InputError
from edgenas.exported_graph import exported_graph
from edgenas.file_check import unlike_lowered
from edgenas.graph.engines import what_ran
from edgenas.graph.pixels import take_pixels, with_background
from edgenas.host_engine import logits
from edgenas.parity_gate import reference_logits
from edgenas.records import VerifiedModel, to_json
from edgenas.reproduction import command
from edgenas.run_context import RunContext
from edgenas.versions import installed

if TYPE_CHECKING:
    from edgenas.graph.ir import Graph
    from edgenas.graph.ranges import Ranges


def run(context: RunContext, challenge: str, given: Parameters) -> dict[str, Any]:
    """Build the package of `challenge`, lint it and score it; return what came of each.

    given : parameters of the score (NAME=VALUE) that the challenge's rules leave open.

    Raises
    ------
    InputError : no candidate passed, or the run's network is no entry for this challenge.
    """
    winner = context.verified().winner
    if winner is None:
        raise InputError(
            f"No candidate of {context.folder.path} passed its verification.",
            f"Look at why: edgenas verify {context.folder.path}",
        )
    if winner.synthetic:
        raise InputError(
            f"The accuracy of {context.folder.path} was not measured: it had no images.",
            "Search with the images, then submit: edgenas search --data imagefolder:DIR",
        )
    member = plugins.load("challenges", challenge)
    entry = _entry(context, winner)
    built = member.build(entry, context.folder.submission / challenge)
    bundle = evidence.write(entry.evidence, context.folder.submission / "evidence.zip")
    findings = to_json(member.lint(built))
    return {
        "challenge": challenge,
        "built": str(built),
        "evidence": str(bundle),
        "findings": findings,
        "score": _score(context, member, winner, given, str(built)),
        "status": "fail" if any(f["severity"] == "error" for f in findings) else "pass",
    }


def _score(
    context: RunContext, member: Any, winner: VerifiedModel, given: Parameters, built: str
) -> dict[str, Any]:
    """Return the score, or why there is none: a package is worth building without it."""
    latency, accuracy = winner.outcome.latency, winner.device_accuracy
    facts = None
    if latency is not None and accuracy is not None:
        facts = Facts(accuracy, latency.median_ms, winner.n_images)
    try:
        scored: dict[str, Any] = to_json(member.score(Path(built), facts, given))
    except InputError as problem:
        return {"value": None, "reason": str(problem)}
    return scored


def _entry(context: RunContext, winner: VerifiedModel) -> Entry:
    model = winner.model
    folder = context.folder
    return Entry(
        name=str(folder.path),
        models={
            **_onnx(context, winner),
            **_tflite(context, winner),
            f"int8.{model.format}": (folder.models / model.int8_file).read_bytes(),
            f"fp32.{model.format}": (folder.models / model.fp32_file).read_bytes(),
        },
        class_names=model.class_names,
        card=_card(context, winner),
        command=command(context),
        evidence=_evidence(context),
    )


def _card(context: RunContext, winner: VerifiedModel) -> dict[str, Any]:
    latency = winner.outcome.latency
    return {
        "network": str(winner.model.candidate.architecture),
        "accuracy": winner.device_accuracy,
        "n_images": winner.n_images,
        "latency_ms": None if latency is None else latency.median_ms,
        "latency_ci95_ms": None if latency is None else latency.ci95_ms,
        "target": context.target.name,
        "engine": winner.outcome.engine,
        "engine_version": winner.outcome.engine_version,
        "scheme": winner.model.scheme,
        "format": winner.model.format,
        "sha256": winner.model.sha256,
        "supernet_sha256": winner.model.supernet_sha256,
        "mean": list(winner.model.mean),
        "std": list(winner.model.std),
        "seed": context.config.seed,
        "versions": installed(),
    }


def _onnx(context: RunContext, winner: VerifiedModel) -> dict[str, bytes]:
    """Return the winner as .onnx files, for challenges that take no other."""
    emit = plugins.load("exporters", "onnx").emit
    graph, ranges = exported_graph(context, winner.model)
    return {"int8.onnx": _emit("onnx", graph, ranges, "u8s8"), "fp32.onnx": emit(graph, None)}


def _tflite(context: RunContext, winner: VerifiedModel) -> dict[str, bytes]:
    """Return the winner as .tflite files; none, with a warning, where the package is missing."""
    graph, ranges = exported_graph(context, winner.model)
    pixels = _with_background(*take_pixels(graph, ranges, *_colours(winner)))
    try:
        return {
            "int8.tflite": _emit("tflite", graph, ranges, "s8s8"),
            "uint8.tflite": _emit("tflite", *pixels, "u8s8"),
        }
    except ExportError as problem:
        context.progress.warning(f"No .tflite files: {problem}")
        return {}


def _emit(exporter: str, graph: Graph, ranges: Ranges, scheme: str) -> bytes:
    """Return an int8 file that holds what was lowered, as it was read back; else `ExportError`."""
    content: bytes = plugins.load("exporters", exporter).emit(graph, ranges, scheme=scheme)
    said = unlike_lowered(content, graph, ranges, exporter=exporter, scheme=scheme)
    if said:
        raise ExportError(said, "This is a fault of edgenas: please report it with the model.")
    return content


def _colours(winner: VerifiedModel) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return winner.model.mean, winner.model.std


def _with_background(graph: Graph, ranges: Ranges) -> tuple[Graph, Ranges]:
    return with_background(graph, ranges), ranges


def _evidence(context: RunContext) -> dict[str, bytes]:
    test, models = context.dataset.test, context.verified().models
    computed = {verified.model.sha256: _computed(context, verified) for verified in models}
    return evidence.collect(context.folder, test.labels, computed)


def _computed(context: RunContext, verified: VerifiedModel) -> evidence.Computed:
    """Return what this computer makes of the test images, as the verdict compared it."""
    model = verified.model
    test = context.dataset.test.resized(model.candidate.architecture.resolution)
    images = context.dataset.normalize(test.images)
    host_engine = what_ran(context.engine, verified.outcome.provider).host_engine
    host, fp32 = (
        logits((context.folder.models / file).read_bytes(), images, host_engine)
        for file in (model.int8_file, model.fp32_file)
    )
    return evidence.Computed(host, reference_logits(context, model, test), fp32.argmax(1))
