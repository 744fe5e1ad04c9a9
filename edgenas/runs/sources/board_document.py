"""The report of a board's search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgenas.core.records import (
    Architecture,
    DeviceProfile,
    Measurement,
    VerifiedModel,
    to_json,
)
from edgenas.core.records.choice import reason
from edgenas.core.versions import installed
from edgenas.explain import slow_kernels
from edgenas.reporting.document import (
    EnvironmentReport,
    MeasuredLatency,
    ReportData,
    VerifiedCandidate,
)
from edgenas.reporting.pages.report import render
from edgenas.runs.artifacts import Explanation
from edgenas.runs.command_line import command
from edgenas.runs.frontier.budgets import budgets, drawn_networks
from edgenas.runs.frontier.stored import FrontPoint, read_front
from edgenas.runs.models import int8_layers, roofline_file
from edgenas.runs.run import RunContext
from edgenas.runs.start import warm_start
from edgenas.runs.verdict import pass_conditions


def page(context: RunContext) -> str:
    """Return the page, from the files of the run."""
    return render(report_data(context))


def report_data(context: RunContext) -> ReportData:
    """Return everything that the page and the terminal's summary show."""
    verification, result, notes = context.verified(), context.search_result(), context.notes()
    verdict, winner, taken = context.verdict(), context.winner(), warm_start.stored(context)
    choice = None if winner is None else verification.choice
    objective = context.config.known[verification.objective]
    shown = winner or verification.models[0]
    shown_candidate = _candidate(context, shown)
    folder = context.folder
    return ReportData(
        run=str(folder.path),
        target=verification.target,
        status=verdict.status,
        limit_ms=verification.limit_ms,
        confidence=result.confidence,
        command=command(context),
        seed=context.config.seed,
        environment=_environment(context, shown),
        data=context.data_card,
        reasons=shown.reasons if verdict.status == "fail" else (),
        winner=shown_candidate,
        candidates=tuple(_candidate(context, model) for model in verification.models),
        search=result,
        rounds=verification.rounds,
        measurements=tuple(context.measurements()),
        conditions=pass_conditions.read(context.folder),
        evaluations=tuple(context.evaluations()),
        predictors=context.read(Explanation),
        configuration=to_json(context.config),
        versions=installed(),
        seconds=notes.seconds,
        files={"Report": str(folder.report), "Model": shown_candidate.model or ""},
        warnings=notes.warnings,
        reused=notes.reused,
        plan=notes.plan,
        int8_layers=int8_layers.stored(context),
        roofline=roofline_file.stored(context),
        pathologies=slow_kernels.sentences(context, context.target.engine, context.winners()),
        warm_start=() if taken is None else warm_start.sentences(taken, context.config.known),
        reservations=verdict.reservations,
        outdated=verdict.outdated,
        next_command=verdict.next_command,
        baseline=verification.baseline,
        networks=verification.networks,
        choice="" if choice is None else reason(choice, objective.label),
        decided_by="" if choice is None else choice.decided_by,
        **_interactive(context, shown_candidate.predicted.architecture),
    )


def _interactive(context: RunContext, winner: Architecture) -> dict[str, Any]:
    """Return what the page answers by itself: networks by budget, and networks as blocks."""
    result = context.search_result()
    if not result.frontier:
        return {}
    by_name = {
        str(one.architecture): one.architecture for one in (*result.frontier, *result.candidates)
    }
    front = read_front(context.folder.path)

    def changes(point: FrontPoint) -> Sequence[str]:
        other = point.architecture
        return () if other is None else context.space.changes(winner, other)

    limit_ms = None if result.limit_ms is None else context.verified().limit_ms
    found = budgets(front, "latency_ms", str(winner), changes, limit_ms)
    choices = () if found is None else found.choices
    smallest, largest = (context.space.smallest(), context.space.largest())
    wanted = [("winner", winner), ("smallest", smallest), ("largest", largest)]
    wanted += [("", by_name[one.network]) for one in choices if one.network in by_name]
    latency = next((p for p in context.read(Explanation) if p.response == "latency_ms"), None)
    breakdown = () if latency is None else latency.breakdown
    int8 = int8_layers.stored(context)
    return {
        "budgets": found,
        "drawn": drawn_networks(context.space, wanted, breakdown, int8),
    }


def _candidate(context: RunContext, verified: VerifiedModel) -> VerifiedCandidate:
    model, latency = verified.model, verified.outcome.latency
    return VerifiedCandidate(
        predicted=model.candidate,
        passed=verified.passed,
        reasons=verified.reasons,
        measured_latency_ms=None
        if latency is None
        else MeasuredLatency(latency.median_ms, latency.p90_ms, latency.ci95_ms),
        estimated=verified.outcome.estimated,
        fp32_accuracy=verified.fp32_accuracy,
        int8_accuracy=verified.int8_accuracy,
        fp32_latency_ms=verified.fp32_latency_ms,
        device_accuracy=verified.device_accuracy,
        val_answers=model.answers,
        device_answers=verified.device_answers,
        confusion=verified.confusion,
        agreement=verified.agreement,
        parity=verified.parity,
        n_images=verified.n_images,
        synthetic=verified.synthetic,
        peak_rss_bytes=verified.outcome.peak_rss_bytes,
        model=str(context.folder.models / model.int8_file),
        model_bytes=model.int8_bytes,
        sha256=model.sha256,
        measured=verified.measured,
        input=model.input,
    )


def _environment(context: RunContext, shown: VerifiedModel) -> EnvironmentReport:
    outcome = shown.outcome
    drift = [factor for measurement in context.measurements() for factor in _drift(measurement)]
    return EnvironmentReport(
        profile=context.read(DeviceProfile),
        engine=outcome.engine,
        engine_version=outcome.engine_version,
        provider=outcome.provider,
        scheme=shown.model.scheme,
        threads=outcome.environment.get("threads"),
        governor=outcome.environment.get("governor"),
        drift=(min(drift), max(drift)) if drift else None,
    )


def _drift(measurement: Measurement) -> tuple[float, ...]:
    latency = measurement.outcome.latency
    return () if latency is None else latency.drift
