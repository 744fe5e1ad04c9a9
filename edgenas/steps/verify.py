"""verify: run the exported models on the target against the promise. Writes verification.json."""

from __future__ import annotations

import numpy as np

from edgenas.host_engine import accuracy, logits
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
from edgenas.targets.base import MeasureSettings, ModelFile, Preprocess

# The device may differ from the host by rounding, not by more: see docs/decisions.md.
LEAST_AGREEMENT = 0.99
MOST_ACCURACY_LOSS = 0.01


def run(context: RunContext, rounds: int = 1) -> Verification:
    """Measure the search's exported candidates, run them on all test images, and judge them.

    The measurements are added to the store, so that the next fit knows them.
    """
    limit_ms = context.search_result().limit_ms
    models = context.exported_models()
    files = [
        ModelFile(
            model.candidate.architecture.short_name,
            context.folder.models / model.int8_file,
            model.sha256,
        )
        for model in models
    ]
    settings = MeasureSettings(anchor=files[0].key, seed=context.config.seed)
    outcomes = context.target.measure(
        files, settings, context.job_dir("verify", files), context.progress
    )
    verified = []
    for model, file in zip(models, files, strict=True):
        outcome = outcomes[file.key]
        context.store.add_measurement(
            Measurement(
                model.candidate.architecture,
                context.target.name,
                model.sha256,
                model.int8_bytes,
                "trained",
                outcome,
            )
        )
        verified.append(_verify(context, model, file, outcome, limit_ms))
    result = Verification(
        context.target.name, limit_ms, context.config.confidence, rounds, tuple(verified)
    )
    write_json(context.folder.verification, to_json(result))
    return result


def _verify(
    context: RunContext, model: ExportedModel, file: ModelFile, outcome: Outcome, limit_ms: float
) -> VerifiedModel:
    test = context.dataset.test.resized(model.candidate.architecture.resolution)
    images = context.dataset.normalize(test.images)
    host = logits(file.path.read_bytes(), images)
    fp32 = logits((context.folder.models / model.fp32_file).read_bytes(), images)
    host_accuracy = accuracy(host, test.labels)
    inference = context.target.infer(
        file,
        np.ascontiguousarray(test.images.transpose(0, 3, 1, 2)),
        Preprocess(model.mean, model.std),
        context.job_dir("infer", [file]),
        context.progress,
    )
    device_accuracy = agreement = None
    if inference.logits is not None:
        device_accuracy = accuracy(inference.logits, test.labels)
        agreement = accuracy(inference.logits, host.argmax(1))
    reasons = _latency_reasons(outcome, limit_ms)
    if device_accuracy is None or agreement is None:
        reasons.append(f"It did not run on the images: {inference.outcome.reason}")
    else:
        reasons += _output_reasons(device_accuracy, host_accuracy, agreement)
    if not reasons:
        _warn_when_close(context, model, outcome, limit_ms)
    return VerifiedModel(
        model=model,
        passed=not reasons,
        reasons=tuple(reasons),
        outcome=outcome,
        fp32_accuracy=accuracy(fp32, test.labels),
        int8_accuracy=host_accuracy,
        device_accuracy=device_accuracy,
        agreement=agreement,
        n_images=len(test),
    )


def _latency_reasons(outcome: Outcome, limit_ms: float) -> list[str]:
    if outcome.latency is None:
        return [f"It was not measured: {outcome.reason}"]
    if outcome.latency.median_ms > limit_ms:
        return [
            f"It takes {outcome.latency.median_ms:.4g} ms, over the limit of {limit_ms:.4g} ms."
        ]
    return []


def _output_reasons(device: float, host: float, agreement: float) -> list[str]:
    reasons = []
    if agreement < LEAST_AGREEMENT:
        reasons.append(
            f"The target chose the host's class on {agreement:.1%} of the images, "
            f"less than {LEAST_AGREEMENT:.0%}."
        )
    if device < host - MOST_ACCURACY_LOSS:
        reasons.append(f"Its accuracy on the target is {device:.2%}, on the host {host:.2%}.")
    return reasons


def _warn_when_close(
    context: RunContext, model: ExportedModel, outcome: Outcome, limit_ms: float
) -> None:
    latency = outcome.latency
    if latency is not None and latency.ci95_ms[1] > limit_ms:
        context.progress.warning(
            f"{model.candidate.architecture} is within the limit by its median, but the 95 % "
            f"interval of the median reaches {latency.ci95_ms[1]:.4g} ms."
        )
