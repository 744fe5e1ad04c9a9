"""verify: run the exported models on the target against the promise. Writes verification.json."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from edgenas.exported_graph import exported_graph
from edgenas.file_check import unlike_lowered
from edgenas.graph.engines import what_ran
from edgenas.graph.parity import MOST_ACCURACY_LOSS
from edgenas.host_engine import accuracy, logits
from edgenas.int8_warnings import int8_warnings
from edgenas.kept_predictors import drop_others
from edgenas.latency_model import latency_model
from edgenas.measured_limits import judged
from edgenas.parity_gate import judge
from edgenas.records import (
    ExportedModel,
    Measurement,
    Outcome,
    Verification,
    VerifiedModel,
    to_json,
)
from edgenas.run_context import RunContext
from edgenas.run_folder import write_json
from edgenas.targets import rejected
from edgenas.targets.base import MeasureSettings, ModelFile, Preprocess

# How far logits and classes may be off: graph/parity_tolerances.json.
MOST_DRIFT = 0.05


def run(context: RunContext, rounds: int = 1) -> Verification:
    """Measure the search's exported candidates, run them on all test images, and judge them.

    The measurements are added to the store, so that the next fit knows them. From the second
    round on, what passed in an earlier one stays a candidate.
    """
    search = context.search_result()
    limit_ms = search.limit_ms
    models = context.exported_models()
    files = [_file(context, model) for model in models]
    floated = _likeliest(context, models)
    fp32 = _fp32_file(context, floated)
    outcomes, anchor_ms = _measured(context, [*files, fp32])
    verified = []
    for model, file in zip(models, files, strict=True):
        outcome = outcomes[file.key]
        measurement = _measurement(context, model, outcome, anchor_ms)
        layers = context.space.layers(model.candidate.architecture)
        found = _verify(context, model, file, outcome, limit_ms)
        found = replace(found, predicted_by=search.predicted_by)
        if model is floated and (latency := outcomes[fp32.key].latency) is not None:
            found = replace(found, fp32_latency_ms=latency.median_ms)
        verified.append(judged(found, measurement, layers, context.config.limits()))
        context.store.add_measurement(measurement)
    if rounds > 1:
        verified += _passed_before(context, verified)
    for one in verified:
        for said in int8_warnings(context.target.name, one):
            context.progress.warning(said)
    first = context.config.wanted[0]
    result = Verification(
        context.target.name,
        limit_ms,
        search.confidence,
        rounds,
        tuple(verified),
        first.response,
        first.goal,
    )
    write_json(context.folder.verification, to_json(result))
    used = (search.predicted_by, *(one.predicted_by for one in result.models))
    drop_others(context.folder, used)
    return result


def _measured(
    context: RunContext, files: list[ModelFile]
) -> tuple[dict[str, Outcome], float | None]:
    """Return the outcome of each file by its key, and the anchor's median beside them."""
    anchor = latency_model(context, context.anchor())
    settings = MeasureSettings(anchor=anchor.key, seed=context.config.seed)
    jobs = [anchor, *files]
    outcomes = context.target.measure(
        jobs, settings, context.job_dir("verify", jobs), context.progress
    )
    if said := rejected.warning(context.target.name, outcomes.values()):
        context.progress.warning(said)
    return outcomes, _anchor_ms(context, outcomes[anchor.key])


def _file(context: RunContext, model: ExportedModel) -> ModelFile:
    key = f"{model.candidate.architecture.short_name}-int8"
    return ModelFile(key, context.folder.models / model.int8_file, model.sha256)


def _likeliest(context: RunContext, models: list[ExportedModel]) -> ExportedModel:
    """Return the model that is expected to win: its float file is timed too."""
    if context.config.wanted[0].response != "accuracy":
        return models[0]
    return max(models, key=lambda model: model.expected_accuracy)


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


def _passed_before(context: RunContext, now: list[VerifiedModel]) -> list[VerifiedModel]:
    again = {verified.model.candidate.architecture for verified in now}
    return [
        replace(verified, from_earlier_round=True)
        for verified in context.verified().models
        if verified.passed and verified.model.candidate.architecture not in again
    ]


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
    context: RunContext, model: ExportedModel, file: ModelFile, outcome: Outcome, limit_ms: float
) -> VerifiedModel:
    test = context.dataset.test.resized(model.candidate.architecture.resolution)
    images = context.dataset.normalize(test.images)
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

    def right(scores: np.ndarray) -> float | None:
        return None if context.dataset.synthetic else accuracy(scores, test.labels)

    host_accuracy = right(host)
    device_accuracy = agreement = parity = None
    reasons = _latency_reasons(outcome, limit_ms)
    if inference.logits is None:
        reasons.append(f"It did not run on the images: {inference.outcome.reason}")
    else:
        device_accuracy = right(inference.logits)
        agreement = accuracy(inference.logits, host.argmax(1))
        device = inference.logits
        gate = judge(context, model, test, engine=engine, host=host, device=device)
        parity = gate.record
        reasons += [*gate.problems, *_loss(device_accuracy, host_accuracy)]
    reasons += _stored(context, model, file)
    if not reasons:
        _warn_when_close(context, model, outcome, limit_ms)
    return VerifiedModel(
        model=model,
        passed=not reasons,
        reasons=tuple(reasons),
        outcome=outcome,
        fp32_accuracy=right(fp32),
        int8_accuracy=host_accuracy,
        device_accuracy=device_accuracy,
        agreement=agreement,
        n_images=len(test),
        synthetic=context.dataset.synthetic,
        parity=parity,
    )


def _latency_reasons(outcome: Outcome, limit_ms: float) -> list[str]:
    if outcome.latency is None:
        return [f"It was not measured: {outcome.reason}"]
    if outcome.latency.median_ms > limit_ms:
        return [
            f"It takes {outcome.latency.median_ms:.4g} ms, over the limit of {limit_ms:.4g} ms."
        ]
    return []


def _stored(context: RunContext, model: ExportedModel, file: ModelFile) -> list[str]:
    """Say what the file stores otherwise than it was lowered, which outputs need not show."""
    graph, ranges = exported_graph(context, model)
    how = {"exporter": model.format, "scheme": model.scheme}
    said = unlike_lowered(file.path.read_bytes(), graph, ranges, **how)
    return [f"{said} Write it again: edgenas export {context.folder.path}"] if said else []


def _loss(device: float | None, host: float | None) -> list[str]:
    if device is None or host is None or device >= host - MOST_ACCURACY_LOSS:
        return []
    return [f"Its accuracy on the target is {device:.2%}, on the host {host:.2%}."]


def _warn_when_close(
    context: RunContext, model: ExportedModel, outcome: Outcome, limit_ms: float
) -> None:
    latency = outcome.latency
    if latency is not None and latency.span_ms[1] > limit_ms:
        context.progress.warning(
            f"{model.candidate.architecture} is within the limit by its median, but the 95 % "
            f"interval of the median reaches {latency.span_ms[1]:.4g} ms."
        )
