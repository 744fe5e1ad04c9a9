"""A search's exported models, run on the target against what was promised."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np

from edgenas.core.counted import counted
from edgenas.core.records import (
    Answers,
    Baseline,
    Confusion,
    ExportedModel,
    Measurement,
    Outcome,
    SearchResult,
    Verification,
    VerifiedModel,
    alike_networks,
)
from edgenas.core.records.goals import SCORE, Limit
from edgenas.data.logistic import baseline
from edgenas.explain.int8_warnings import int8_warnings, slower_than_float
from edgenas.int8.checks.file import unlike_lowered
from edgenas.int8.checks.parity import MOST_ACCURACY_LOSS
from edgenas.int8.engines.facts import what_ran
from edgenas.int8.engines.host import logits
from edgenas.optimize.limits import judged
from edgenas.runs.models import frozen
from edgenas.runs.models.exported import exported_graph
from edgenas.runs.models.latency import latency_model
from edgenas.runs.models.parity_gate import judge
from edgenas.runs.run import RunContext
from edgenas.runs.start.fastest_engine import on_other_engines
from edgenas.runs.verdict.near_limit import decided
from edgenas.targets.base import MeasureSettings, ModelFile, Preprocess
from edgenas.targets.jobs import rejected

# How far logits and classes may be off: int8/engines/NAME.json.
MOST_DRIFT = 0.05


def limits(context: RunContext, search: SearchResult) -> dict[str, Limit]:
    """Return the limits that are held: as they are asked for now, or else the search's own."""
    return {limit.response: limit for limit in search.limits} | context.config.limits()


def limit_ms(context: RunContext, search: SearchResult) -> float | None:
    """Return the limit on latency that is held; None where there is none."""
    return limits(context, search).get("latency_ms", Limit("latency_ms")).at_most


def check(context: RunContext, search: SearchResult) -> list[VerifiedModel]:
    """Measure the search's exported candidates, and run them on all test images.

    The measurements are added to the store, so that the next fit knows them.
    """
    held = limits(context, search)
    models = context.exported_models()
    files = [_file(context, model) for model in models]
    floated = _likeliest(context, models)
    fp32 = _fp32_file(context, floated)
    outcomes, anchor_ms = _measured(
        context, files, limit_ms(context, search), {_key(floated): fp32}
    )
    verified = []
    for model, file in zip(models, files, strict=True):
        outcome = outcomes[file.key]
        measurement = _measurement(context, model, outcome, anchor_ms)
        layers = context.space.layers(model.candidate.architecture)
        found = _verify(context, model, file, outcome)
        found = replace(found, predicted_by=search.predicted_by)
        latency = None if outcome.estimated else outcomes[fp32.key].latency
        if model is floated and latency is not None:
            found = replace(found, fp32_latency_ms=latency.median_ms)
        verified.append(
            judged(
                found,
                measurement,
                layers,
                held,
                context.hardware_counts(),
                known=context.config.known,
            )
        )
        context.store.add_measurement(measurement)
    return verified


def completed(context: RunContext, verification: Verification) -> Verification:
    """Return the verification with what its figures are held against, and warn of what int8 costs.

    The winner is timed as float, too.
    """
    winner = verification.winner
    models = tuple(
        _held_against_float(context, one) if one is winner else one for one in verification.models
    )
    for one in models:
        for said in int8_warnings(context.target.name, one):
            context.progress.warning(said)
    return replace(
        verification,
        models=models,
        baseline=_baseline(context),
        networks=alike_networks([one.answers for one in context.evaluations()]),
        seen=context.data_card.seen,
    )


def _held_against_float(context: RunContext, verified: VerifiedModel) -> VerifiedModel:
    """Return the winner with how long its float file takes, unless that was timed before, and,
    where int8 is not faster, how long it takes on the target's other engines."""
    model = verified.model
    if verified.outcome.estimated:
        return verified  # there is no float file on an FPGA
    if verified.fp32_latency_ms is None:
        anchor, fp32 = latency_model(context, context.anchor()), _fp32_file(context, model)
        jobs = [anchor, _file(context, model), fp32]
        settings = MeasureSettings(anchor=anchor.key, seed=context.config.seed, energy_s=0.0)
        outcomes = context.target.measure(
            jobs, settings, context.job_dir("verify", jobs), context.progress
        )
        timed = outcomes[fp32.key].latency
        verified = replace(verified, fp32_latency_ms=None if timed is None else timed.median_ms)
    if not slower_than_float(verified):
        return verified
    trials = on_other_engines(context, model.candidate.architecture)
    return replace(verified, other_engines=trials)


def _baseline(context: RunContext) -> Baseline | None:
    """Return what a plain method gets right of the test images; fitted once a run."""
    if context.folder.verification.exists() and (known := context.verified().baseline) is not None:
        return known
    return frozen.baseline(context) or baseline(context.dataset)


def _measured(
    context: RunContext,
    files: list[ModelFile],
    limit_ms: float | None,
    beside: dict[str, ModelFile],
) -> tuple[dict[str, Outcome], float | None]:
    """Return the outcome of each file by its key, and the anchor's median beside them.

    beside : a file's key -> another file that is timed with it.
    """
    anchor = latency_model(context, context.anchor())
    settings = MeasureSettings(anchor=anchor.key, seed=context.config.seed)
    jobs = [anchor, *files, *beside.values()]
    outcomes = context.target.measure(
        jobs, settings, context.job_dir("verify", jobs), context.progress
    )
    anchor_ms = _anchor_ms(context, outcomes[anchor.key])
    outcomes = decided(context, outcomes, files, limit_ms, anchor=anchor, beside=beside)
    if said := rejected.warning(context.target.name, outcomes.values()):
        context.progress.warning(said)
    return outcomes, anchor_ms


def _file(context: RunContext, model: ExportedModel) -> ModelFile:
    return ModelFile(_key(model), context.folder.models / model.int8_file, model.sha256)


def _key(model: ExportedModel) -> str:
    return f"{model.candidate.architecture.short_name}-int8"


def _likeliest(context: RunContext, models: list[ExportedModel]) -> ExportedModel:
    """Return the model that is expected to win: its float file is timed too."""
    if context.config.wanted[0].response != SCORE:
        return models[0]
    best = max(models, key=lambda model: model.expected_accuracy)
    answers = best.answers
    if answers is None:
        return best
    alike = [one for one in models if one.answers and not answers.measurably_ahead_of(one.answers)]
    return min(alike, key=lambda model: model.candidate["latency_ms"].mean)


def _fp32_file(context: RunContext, model: ExportedModel) -> ModelFile:
    path = context.folder.models / model.fp32_file
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return ModelFile(f"{model.candidate.architecture.short_name}-fp32", path, sha256)


def _measurement(
    context: RunContext, model: ExportedModel, outcome: Outcome, anchor_ms: float | None
) -> Measurement:
    return Measurement(
        architecture=model.candidate.architecture,
        target=context.target.name,
        model_sha256=model.sha256,
        model_bytes=model.int8_bytes,
        weights="trained",
        outcome=outcome,
        anchor_ms=anchor_ms,
    )


def _anchor_ms(context: RunContext, anchor: Outcome) -> float | None:
    """Return the anchor's median; warn when it is not what it was while the rows were measured."""
    if anchor.latency is None:
        return None
    now = anchor.latency.median_ms
    before = next((m.anchor_ms for m in context.measurements() if m.anchor_ms is not None), now)
    if abs(now / before - 1) > MOST_DRIFT:
        context.progress.warning(
            f"The anchor model took {now / before:.2f} times as long on '{context.target.name}' "
            "while verifying as while measuring: the target's speed changed between the two."
        )
    return now


def _verify(
    context: RunContext,
    model: ExportedModel,
    file: ModelFile,
    outcome: Outcome,
) -> VerifiedModel:
    test = context.dataset.test.resized(model.candidate.architecture.resolution)
    images = context.dataset.inputs(test.images)
    inference = context.target.infer(
        file,
        np.ascontiguousarray(test.images.transpose(0, 3, 1, 2)),
        Preprocess(model.mean, model.std),
        context.job_dir("infer", [file]),
        context.progress,
    )
    engine = what_ran(context.engine, inference.outcome.provider)
    fp32_file = context.folder.models / model.fp32_file
    host, fp32 = (
        logits(path.read_bytes(), images, engine.host_engine) for path in (file.path, fp32_file)
    )

    task = context.dataset.task

    def right(outputs: np.ndarray) -> np.ndarray | None:
        if context.dataset.synthetic:
            return None
        return task.right(task.decode(outputs), test.labels)

    host_accuracy = _share(right(host))
    device_accuracy = agreement = parity = device_answers = confusion = None
    reasons = [f"It was not measured: {outcome.reason}"] if outcome.latency is None else []
    if inference.logits is None:
        reasons.append(f"It did not run on the images: {inference.outcome.reason}")
    else:
        device = inference.logits
        answers = task.decode(device)
        if (on_device := right(device)) is not None:
            device_accuracy = _share(on_device)
            device_answers = Answers.of(on_device.tolist())
            if (classes := task.classes(test.labels)) is not None:
                confusion = Confusion.of(classes, answers)
        agreement = _share(task.right(answers, task.decode(host)))
        gate = judge(context, model, test, engine=engine, host=host, device=device)
        parity = gate.record
        reasons += [*gate.problems, *_loss(context.config.score, device_accuracy, host_accuracy)]
    reasons += _stored(context, model, file)
    return VerifiedModel(
        model=model,
        passed=not reasons,
        reasons=tuple(reasons),
        outcome=outcome,
        fp32_accuracy=_share(right(fp32)),
        int8_accuracy=host_accuracy,
        device_accuracy=device_accuracy,
        agreement=agreement,
        n_images=len(test),
        synthetic=context.dataset.synthetic,
        parity=parity,
        device_answers=device_answers,
        confusion=confusion,
    )


def _share(right: np.ndarray | None) -> float | None:
    return None if right is None else float(right.mean())


def _stored(context: RunContext, model: ExportedModel, file: ModelFile) -> list[str]:
    """Say what the file stores otherwise than it was lowered, which outputs need not show."""
    graph, ranges = exported_graph(context, model)
    how = {"exporter": model.format, "scheme": model.scheme}
    said = unlike_lowered(file.path.read_bytes(), graph, ranges, **how)
    return [f"{said} Write it again: edgenas export {context.folder.path}"] if said else []


def _loss(score: str, device: float | None, host: float | None) -> list[str]:
    if device is None or host is None or device >= host - MOST_ACCURACY_LOSS:
        return []
    return [f"Its {score} on the target is {device:.2%}, on the host {host:.2%}."]


def missed(verification: Verification) -> str:
    """Return which promises were broken, "" if none: another search, refitted, can mend it."""
    most_ms = math.inf if verification.limit_ms is None else verification.limit_ms
    slow = sum(
        verified.outcome.latency is not None
        and verified.outcome.latency.median_ms
        > min(verified.model.candidate["latency_ms"].upper, most_ms)
        for verified in verification.models
        if not verified.from_earlier_round
    )
    candidates = counted(slow, "candidate was", "candidates were")
    return f"{candidates} slower than promised" if slow else ""
