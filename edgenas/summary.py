"""The JSON document of `edgenas search --json`; scripts depend on it: add fields, rename none."""

from __future__ import annotations

from typing import Any

from edgenas import warm_start
from edgenas.pathology import find
from edgenas.predictors.base import FittedPredictor
from edgenas.records import Candidate, VerifiedModel, to_json
from edgenas.run_context import RunContext


def summary(context: RunContext) -> dict[str, Any]:
    """Return the outcome of a verified run.

    Accuracies are fractions 0 to 1, latencies milliseconds. `winner` is null unless a candidate
    passed; what failed, and why, is among the `candidates`.
    """
    result, verification = context.search_result(), context.verified()
    predictors, notes = context.predictors(), context.notes()
    winner, taken = verification.winner, warm_start.stored(context)
    networks = [candidate.architecture for candidate in result.candidates]
    return {
        "status": "fail" if winner is None else "pass",
        "run": str(context.folder.path),
        "target": verification.target,
        "constraint": {"latency_ms": result.limit_ms, "confidence": result.confidence},
        "objectives": list(result.objectives),
        "constraints": list(result.constraints),
        "winner": None if winner is None else _verified(context, winner),
        "candidates": [_verified(context, model) for model in verification.models],
        "frontier": [_candidate(candidate) for candidate in result.frontier],
        "predictors": {name: _errors(one) for name, one in predictors.fitted.items()},
        "search": {
            "method": result.method,
            "optimal": result.optimal,
            "gap": result.gap,
            "evaluations": result.evaluations,
            "rounds": verification.rounds,
        },
        "pathologies": [
            {"kernel_size": one.kernel_size, "ratio": one.ratio, "work_ratio": one.work_ratio}
            | {"sentence": one.sentence(context.target.engine, networks)}
            for one in find(context)
        ],
        "seconds": {step: round(seconds, 3) for step, seconds in notes.seconds.items()},
        "warnings": list(notes.warnings),
        "reused": list(notes.reused),
        "warm_start": None
        if taken is None
        else to_json(taken) | {"says": list(warm_start.sentences(taken))},
        "report": str(context.folder.report) if context.folder.report.exists() else None,
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "architecture": to_json(candidate.architecture),
        "predicted_latency_ms": to_json(candidate.latency_ms),
        "predicted_accuracy": to_json(candidate.accuracy),
        "predicted": {name: to_json(value) for name, value in candidate.responses.items()},
    }


def _verified(context: RunContext, verified: VerifiedModel) -> dict[str, Any]:
    model, latency = verified.model, verified.outcome.latency
    measured = None
    if latency is not None:
        measured = {
            "median": latency.median_ms,
            "p90": latency.p90_ms,
            "ci95": None if latency.ci95_ms is None else list(latency.ci95_ms),
        }
    return {
        **_candidate(model.candidate),
        "measured_latency_ms": measured,
        "fp32_latency_ms": verified.fp32_latency_ms,
        "fp32_accuracy": verified.fp32_accuracy,
        "int8_accuracy": verified.int8_accuracy,
        "device_accuracy": verified.device_accuracy,
        "agreement": verified.agreement,
        "parity": to_json(verified.parity),
        "finetuned": to_json(model.finetuned),
        "n_images": verified.n_images,
        "synthetic_images": verified.synthetic,
        "peak_rss_bytes": verified.outcome.peak_rss_bytes,
        "measured": dict(verified.measured),
        "model": str(context.folder.models / model.int8_file),
        "sha256": model.sha256,
        "passed": verified.passed,
        "reasons": list(verified.reasons),
    }


def _errors(predictor: FittedPredictor) -> dict[str, Any]:
    held_out = predictor.heldout
    errors = ("rmse", "mape", "kendall_tau", "coverage", "confidence")
    return {"n": predictor.n} | {
        name: None if held_out is None else getattr(held_out, name) for name in errors
    }
