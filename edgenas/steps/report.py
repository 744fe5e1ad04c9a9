"""report: what the run found, as one self-contained page. Writes report.html."""

from __future__ import annotations

from edgenas import int8_layers, pathology, warm_start
from edgenas.records import DeviceProfile, Measurement, VerifiedModel, from_json, to_json
from edgenas.reporting.document import (
    EnvironmentReport,
    MeasuredLatency,
    PredictorReport,
    ReportData,
    VerifiedCandidate,
)
from edgenas.reporting.page import render
from edgenas.reproduction import command
from edgenas.run_context import RunContext
from edgenas.run_folder import read_json, write_bytes
from edgenas.versions import installed


def run(context: RunContext) -> str:
    """Write the page from the files of the run; return its path."""
    write_bytes(context.folder.report, render(report_data(context)).encode())
    return str(context.folder.report)


def report_data(context: RunContext) -> ReportData:
    """Return everything that the page and the terminal's summary show."""
    verification, result, notes = context.verified(), context.search_result(), context.notes()
    winner, taken = verification.winner, warm_start.stored(context)
    shown = winner or verification.models[0]
    shown_candidate = _candidate(context, shown)
    folder = context.folder
    return ReportData(
        run=str(folder.path),
        target=verification.target,
        status="fail" if winner is None else "pass",
        limit_ms=result.limit_ms,
        confidence=result.confidence,
        command=command(context),
        seed=context.config.seed,
        environment=_environment(context, shown),
        data=context.data_card,
        reasons=() if winner else shown.reasons,
        winner=shown_candidate,
        candidates=tuple(_candidate(context, model) for model in verification.models),
        search=result,
        rounds=verification.rounds,
        measurements=tuple(context.measurements()),
        evaluations=tuple(context.evaluations()),
        predictors=_explanation(context),
        configuration=to_json(context.config),
        versions=installed(),
        seconds=notes.seconds,
        files={"Report": str(folder.report), "Model": shown_candidate.model or ""},
        warnings=notes.warnings,
        reused=notes.reused,
        int8_layers=int8_layers.stored(context),
        pathologies=pathology.sentences(context),
        warm_start=() if taken is None else warm_start.sentences(taken),
    )


def _candidate(context: RunContext, verified: VerifiedModel) -> VerifiedCandidate:
    model, latency = verified.model, verified.outcome.latency
    return VerifiedCandidate(
        predicted=model.candidate,
        passed=verified.passed,
        reasons=verified.reasons,
        measured_latency_ms=None
        if latency is None
        else MeasuredLatency(latency.median_ms, latency.p90_ms, latency.ci95_ms),
        fp32_accuracy=verified.fp32_accuracy,
        int8_accuracy=verified.int8_accuracy,
        fp32_latency_ms=verified.fp32_latency_ms,
        device_accuracy=verified.device_accuracy,
        agreement=verified.agreement,
        parity=verified.parity,
        n_images=verified.n_images,
        synthetic=verified.synthetic,
        peak_rss_bytes=verified.outcome.peak_rss_bytes,
        model=str(context.folder.models / model.int8_file),
        model_bytes=model.int8_bytes,
        sha256=model.sha256,
        measured=verified.measured,
    )


def _environment(context: RunContext, shown: VerifiedModel) -> EnvironmentReport:
    path = context.folder.require(context.folder.profile, "probe")
    outcome = shown.outcome
    drift = [factor for measurement in context.measurements() for factor in _drift(measurement)]
    return EnvironmentReport(
        profile=from_json(read_json(path), DeviceProfile, str(path)),
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


def _explanation(context: RunContext) -> tuple[PredictorReport, ...]:
    path = context.folder.require(context.folder.explanation, "explain")
    return from_json(read_json(path), tuple[PredictorReport, ...], str(path))
