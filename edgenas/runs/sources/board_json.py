"""What the JSON document of a board's search says of its networks."""

from __future__ import annotations

from typing import Any

from edgenas.core.records import Candidate, Verification, VerifiedModel, to_json
from edgenas.core.records.choice import reason
from edgenas.explain.slow_kernels import find
from edgenas.predictors.base import FittedPredictor
from edgenas.runs.run import RunContext
from edgenas.runs.start import warm_start


def document(context: RunContext) -> dict[str, Any]:
    """Return what the document of a board's search says alone.

    Accuracies are fractions 0 to 1, latencies milliseconds. `winner` is null unless a candidate
    passed; what failed, and why, is among the `candidates`.
    """
    result, verification = context.search_result(), context.verified()
    predictors = context.predictors()
    winner, taken = context.winner(), warm_start.stored(context)
    profile = context.profile()
    networks = [candidate.architecture for candidate in result.candidates]
    return {
        "target": verification.target,
        "engine": context.target.engine,
        "engine_decision": None if profile is None else to_json(profile.engine_decision),
        "constraint": {"latency_ms": verification.limit_ms, "confidence": result.confidence},
        "objectives": list(result.objectives),
        "constraints": list(result.constraints),
        "winner": None if winner is None else _verified(context, winner, winner),
        "score": context.config.score,
        "choice": None if winner is None else _choice(context, verification),
        "baseline": None
        if verification.baseline is None
        else {
            "method": verification.baseline.method,
            "accuracy": verification.baseline.answers.accuracy,
            "n_images": verification.baseline.answers.n_images,
            "image_size": verification.baseline.image_size,
            "n_fitted": verification.baseline.n_fitted,
        },
        "networks_alike": to_json(verification.networks),
        "candidates": [_verified(context, model, winner) for model in verification.models],
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
        "warm_start": None
        if taken is None
        else to_json(taken) | {"says": list(warm_start.sentences(taken, context.config.known))},
    }


def _choice(context: RunContext, verification: Verification) -> dict[str, Any] | None:
    """Return why the winner is the winner; differences are fractions."""
    choice = verification.choice
    if choice is None:
        return None
    return {
        "decided_by": choice.decided_by,
        "reason": reason(choice, context.config.known[verification.objective].label),
        "passed": choice.passed,
        "alike": choice.alike,
        "less_accurate_than_best": to_json(choice.behind),
        "weighed": to_json(choice.weighed),
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "architecture": to_json(candidate.architecture),
        "predicted_latency_ms": to_json(candidate.latency_ms),
        "predicted_accuracy": to_json(candidate.accuracy),
        "predicted": {name: to_json(value) for name, value in candidate.responses.items()},
    }


def _verified(
    context: RunContext, verified: VerifiedModel, winner: VerifiedModel | None
) -> dict[str, Any]:
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
        "estimated": verified.outcome.estimated,
        "fp32_latency_ms": verified.fp32_latency_ms,
        "val_accuracy": model.val_int8_accuracy,
        "n_val_images": model.n_val,
        "fp32_accuracy": verified.fp32_accuracy,
        "int8_accuracy": verified.int8_accuracy,
        "device_accuracy": verified.device_accuracy,
        "agreement": verified.agreement,
        "classes": None
        if verified.confusion is None
        else to_json(verified.confusion.worst_first(model.class_names)),
        "parity": to_json(verified.parity),
        "finetuned": to_json(model.finetuned),
        "weights": model.weights,
        "n_images": verified.n_images,
        "synthetic_images": verified.synthetic,
        "peak_rss_bytes": verified.outcome.peak_rss_bytes,
        "measured": dict(verified.measured),
        "input": to_json(model.input),
        "model": str(context.folder.models / model.int8_file),
        "sha256": model.sha256,
        "passed": verified.passed,
        "winner": winner is not None
        and model.candidate.architecture == winner.model.candidate.architecture,
        "reasons": list(verified.reasons),
    }


def _errors(predictor: FittedPredictor) -> dict[str, Any]:
    held_out = predictor.heldout
    errors = ("rmse", "mape", "kendall_tau", "coverage", "confidence")
    return {"n": predictor.n} | {
        name: None if held_out is None else getattr(held_out, name) for name in errors
    }
