"""submit: the winner as a challenge's package, checked and scored locally. Writes submission/."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.challenges import anonymity, image_referee
from edgenas.challenges.base import Entry, Facts, Network, Parameters, status
from edgenas.challenges.package_folder import fresh_folder
from edgenas.core import plugins
from edgenas.core.errors import ExportError, InputError
from edgenas.core.records import ImageInput, VerifiedModel, to_json
from edgenas.core.versions import installed
from edgenas.data.decode import read_input
from edgenas.int8.checks.file import unlike_lowered
from edgenas.int8.engines.facts import what_ran
from edgenas.int8.engines.host import fed_logits, logits
from edgenas.int8.graph.pixels import take_pixels, with_background
from edgenas.runs.command_line import command
from edgenas.runs.evidence import bundle as evidence
from edgenas.runs.models.exported import exported_graph, require_one_class
from edgenas.runs.models.fed import run_input
from edgenas.runs.models.parity_gate import reference_logits
from edgenas.runs.run import RunContext
from edgenas.targets.config import find

if TYPE_CHECKING:
    from edgenas.int8.graph.ir import Graph
    from edgenas.int8.graph.ranges import Ranges


def run(
    context: RunContext, challenge: str, given: Parameters, private: bool = True
) -> dict[str, Any]:
    """Build the package of `challenge`, lint it and score it; return what came of each.

    given : parameters of the score (NAME=VALUE) that the challenge's rules leave open.
    private : leave out what names people, machines and places, and no figure needs.

    Raises
    ------
    NotVerifiedError : something is newer than the verification.
    InputError : no candidate passed, or the run's network is no entry for this challenge.
    """
    require_one_class(context)
    winner, verdict = context.verified_winner(), context.verdict()
    if winner.synthetic:
        raise InputError(
            f"The accuracy of {context.folder.path} was not measured: it had no images.",
            "Search with the images, then submit: edgenas search --data imagefolder:DIR",
        )
    member = plugins.load("challenges", challenge)
    entry = _entry(context, winner, private)
    for line in (packed := anonymity.contents(entry.evidence)):
        context.progress.message(f"packing {line}")
    out = context.folder.submission / challenge
    with fresh_folder(out, context.progress.warning) as made:
        built = out / member.build(entry, made).relative_to(made)
    bundle = evidence.write(entry.evidence, context.folder.submission / "evidence.zip")
    referee = _referee(context, member, winner, entry, built)
    found = list(member.lint(built))
    if referee is not None:
        found += image_referee.findings(referee, context.dataset.fit)
    return {
        "challenge": challenge,
        "built": str(built),
        "evidence": str(bundle),
        "packed": list(packed),
        "findings": to_json(found),
        "referee": None if referee is None else to_json(referee),
        "reservations": list(verdict.reservations),
        "score": _score(context, member, winner, given, str(built)),
        "status": status(found),
    }


def _referee(
    context: RunContext, member: Any, winner: VerifiedModel, entry: Entry, built: Path
) -> image_referee.RefereeRun | None:
    """Return what the packed file does as the judge uses it; None where the judge runs it."""
    judging, claimed = member.judging(built, entry), winner.device_accuracy
    if judging is None or claimed is None:
        return None
    context.progress.message(f"referee run: {built} on image files")
    test, names = context.dataset.test, entry.class_names
    return image_referee.referee_run(
        judging,
        test.images,
        test.labels,
        names,
        claimed,
        read=read_input,
        scores=fed_logits,
        files=test.files,
        verified=winner.device_answers,
    )


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


def _entry(context: RunContext, winner: VerifiedModel, private: bool) -> Entry:
    model = winner.model
    folder = context.folder
    graph, ranges = exported_graph(context, model)
    return Entry(
        name=str(folder.path),
        models={
            **_onnx(context, winner),
            **_tflite(context, winner),
            f"int8.{model.format}": (folder.models / model.int8_file).read_bytes(),
            f"fp32.{model.format}": (folder.models / model.fp32_file).read_bytes(),
        },
        class_names=model.class_names,
        card=_card(context, winner, private),
        command=command(context, private),
        evidence=_evidence(context, private),
        network=Network(graph, ranges, run_input(context, model), _emit),
    )


def _card(context: RunContext, winner: VerifiedModel, private: bool) -> dict[str, Any]:
    latency = winner.outcome.latency
    return {
        "network": str(winner.model.candidate.architecture),
        "accuracy": winner.device_accuracy,
        "n_images": winner.n_images,
        "latency_ms": None if latency is None else latency.median_ms,
        "latency_ci95_ms": None if latency is None else latency.ci95_ms,
        "target": _board(context) if private else context.target.name,
        "engine": winner.outcome.engine,
        "engine_version": winner.outcome.engine_version,
        "scheme": winner.model.scheme,
        "format": winner.model.format,
        "sha256": winner.model.sha256,
        "supernet_sha256": winner.model.supernet_sha256,
        "reservations": list(context.verdict().reservations),
        "mean": list(winner.model.mean),
        "std": list(winner.model.std),
        "input": to_json(run_input(context, winner.model)),
        "input_text": str(run_input(context, winner.model)),
        "seed": context.config.seed,
        "versions": installed(),
    }


def _board(context: RunContext) -> str:
    """Return what the board is, which names nobody's."""
    profile = context.profile()
    return (profile and (profile.board or profile.cpu or profile.machine)) or "not known"


def _private(context: RunContext) -> set[str]:
    """Return what the evidence is to be without."""
    options, names = to_json(context.config), {context.target.name}
    if context.config.target != "local":
        connection = find(context.config.target).connection
        names |= {connection.host, connection.user, f"{connection.user}@{connection.host}"}
    return anonymity.private_words(options, context.folder.path, names)


def _onnx(context: RunContext, winner: VerifiedModel) -> dict[str, bytes]:
    """Return the winner as .onnx files, for challenges that take no other."""
    graph, ranges = exported_graph(context, winner.model)
    made, names = run_input(context, winner.model), winner.model.class_names
    made = replace(made, layout="nchw", dtype="float32")
    return {
        "int8.onnx": _emit("onnx", graph, ranges, "u8s8", made=made, class_names=names),
        "fp32.onnx": _emit("onnx", graph, None, "u8s8", made=made, class_names=names),
    }


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


def _emit(
    exporter: str,
    graph: Graph,
    ranges: Ranges | None,
    scheme: str,
    *,
    made: ImageInput | None = None,
    class_names: Sequence[str] = (),
) -> bytes:
    """Return a file that holds what was lowered, an int8 one as read back; else `ExportError`."""
    emit = plugins.load("exporters", exporter).emit
    content: bytes = emit(graph, ranges, scheme=scheme, made=made, class_names=class_names)
    if ranges is None:
        return content
    said = unlike_lowered(content, graph, ranges, exporter=exporter, scheme=scheme)
    if said:
        raise ExportError(said, "This is a fault of edgenas: please report it with the model.")
    return content


def _colours(winner: VerifiedModel) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return winner.model.mean, winner.model.std


def _with_background(graph: Graph, ranges: Ranges) -> tuple[Graph, Ranges]:
    return with_background(graph, ranges), ranges


def _evidence(context: RunContext, private: bool) -> dict[str, bytes]:
    test, models = context.dataset.test, context.verified().models
    computed = {verified.model.sha256: _computed(context, verified) for verified in models}
    words = _private(context) if private else None
    return evidence.collect(context.folder, test.labels, computed, words)


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
