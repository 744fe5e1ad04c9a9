"""Model files of any make, measured side by side on any targets and engines."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from edgenas.core.errors import EdgeNasError, InputError, MeasurementError
from edgenas.core.files.run_folder import read_json
from edgenas.core.intervals import ratio
from edgenas.core.progress import Progress
from edgenas.core.records import (
    Bench,
    BenchChange,
    BenchRow,
    Interval,
    OperatorProfile,
    Outcome,
    from_json,
)
from edgenas.core.records.bench import ChangeVerdict
from edgenas.runs.own_models.file import ENGINES, OwnModel, Shapes, file_key, open_models
from edgenas.targets.base import MeasureSettings
from edgenas.targets.config import Access, find, resolve
from edgenas.targets.jobs.job_target import JobTarget

VERSION = 1
PROFILED_RUNS = 30
_LONGEST_REASON = 300


def bench(
    paths: Sequence[Path],
    targets: Sequence[str],
    engines: Sequence[str],
    access: Access,
    progress: Progress,
    *,
    shapes: Shapes,
    operators: bool = False,
    settings: MeasureSettings | None = None,
) -> Bench:
    """Measure model files on every target, in every engine that takes them.

    The files of one target and engine are timed in one job, in interleaved passes, as a search
    times its networks; engines of a target come one after the other. Without `engines` a file runs
    on its target file's engine if that takes it, else on the usual one of its format.
    operators : also time each operator.

    Raises
    ------
    InputError : a file is no model, no engine takes it, or a target is unknown.
    TargetError : a target cannot be reached. MeasurementError : its runtime stopped early.
    """
    with tempfile.TemporaryDirectory() as scratch:
        models = open_models(paths, shapes, Path(scratch))
        machines: list[tuple[JobTarget, list[OwnModel]]] = [
            (machine, ran)
            for target in targets
            for machine, ran in machines_of(target, models, engines, access)
        ]
        rows = [
            row
            for number, (machine, ran) in enumerate(machines)
            for row in _rows(
                machine,
                ran,
                settings,
                Path(scratch) / f"job-{number}",
                progress,
                operators=operators,
            )
        ]
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Bench("edgenas-bench", VERSION, now, tuple(rows))


def machines_of(
    target: str, models: Sequence[OwnModel], engines: Sequence[str], access: Access
) -> Iterator[tuple[JobTarget, list[OwnModel]]]:
    """Yield the target with each engine, and the models that run there."""
    usual = find(target).engine
    by_engine: dict[str, list[OwnModel]] = {engine: [] for engine in engines}
    for model in models:
        takes = [engine for engine in engines if model.runs_on(engine)]
        if not engines:
            takes = [usual if model.runs_on(usual) else ENGINES[model.path.suffix.lower()][0]]
        if not takes:
            names = " or ".join(ENGINES[model.path.suffix.lower()])
            raise InputError(
                f"No engine that was named takes {model.label}.", f"Add --engine {names}."
            )
        for engine in takes:
            by_engine.setdefault(engine, []).append(model)
    for engine, ran in by_engine.items():
        if not ran:
            raise InputError(f"The engine {engine} takes none of the files.", "Leave it out.")
        machine = resolve(target, access, engine=None if engine == usual else engine)
        if not isinstance(machine, JobTarget):
            raise InputError(f"Target '{machine.name}' runs no models.")
        yield machine, ran


def _rows(
    machine: JobTarget,
    models: Sequence[OwnModel],
    settings: MeasureSettings | None,
    job_dir: Path,
    progress: Progress,
    *,
    operators: bool,
) -> list[BenchRow]:
    sent = [model.to_send(file_key(model.label, at)) for at, model in enumerate(models)]
    outcomes = machine.measure(sent, settings or MeasureSettings(), job_dir, progress)
    rows = []
    for model, file in zip(models, sent, strict=True):
        profile, missing = None, ""
        if operators and outcomes[file.key].latency is not None:
            try:
                profile = replace(
                    machine.profile(file, PROFILED_RUNS, job_dir, progress), model=model.label
                )
            except MeasurementError as problem:
                missing = f"{problem.message} {problem.hint}".strip()
        rows.append(_row(model, machine, outcomes[file.key], profile, missing))
    return rows


def _row(
    model: OwnModel,
    machine: JobTarget,
    outcome: Outcome,
    profile: OperatorProfile | None,
    missing: str,
) -> BenchRow:
    latency = outcome.latency
    # of an engine's own message, without the folder of the job
    reason = outcome.reason.replace(str(model.path), model.label).strip().partition("\n")[0]
    reason = re.sub(r"\S*/models/m\d+-", "", reason)
    environment = outcome.environment
    return BenchRow(
        model=model.label,
        sha256=model.sha256,
        model_bytes=model.n_bytes,
        target=machine.name,
        engine=machine.engine,
        status=outcome.status,
        shapes=model.shapes,
        reason=reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…",
        engine_version=outcome.engine_version,
        provider=outcome.provider,
        machine=str(environment.get("machine", {}).get("cpu") or ""),
        threads=environment.get("threads"),
        median_ms=latency.median_ms if latency else None,
        p90_ms=latency.p90_ms if latency else None,
        ci95_ms=latency.ci95_ms if latency else None,
        converged=latency is not None and latency.converged,
        passes=len(latency.samples_ns) if latency else 0,
        rejected_passes=len(latency.rejected) if latency else 0,
        stands_on_rejected=latency is not None and latency.stands_on_rejected,
        peak_rss_bytes=outcome.peak_rss_bytes,
        energy=outcome.energy,
        profile=profile,
        profile_missing=missing,
    )


def read_baseline(path: Path) -> Bench:
    """Return what `edgenas bench --json` printed into `path`.

    Raises
    ------
    InputError : it is no such file, or of a later edgenas.
    """
    hint = "Make one with: edgenas bench MODEL --json > FILE"
    try:
        document = read_json(path)
    except EdgeNasError as problem:
        raise InputError(problem.message, hint) from problem
    if not isinstance(document, dict) or document.get("kind") != "edgenas-bench":
        raise InputError(f"{path} was not written by edgenas bench.", hint)
    document.pop("changes", None)
    baseline = from_json(document, Bench, f"The baseline {path}")
    if baseline.version > VERSION:
        raise InputError(f"The baseline {path} is of a later edgenas.", hint)
    return baseline


def against(now: Bench, then: Bench, allowed: float) -> list[BenchChange]:
    """Return each measured row against the baseline's row of the same model, target and engine.

    allowed : fraction by which a model may be slower. It is slower only if the whole 95 % interval
    of the ratio of the medians is beyond it. The intervals know of what differs between passes, not
    of what differs between days: another clock or another load.

    Raises
    ------
    InputError : no row can be compared, or one was measured on another processor.
    """
    before = {(row.model, row.target, row.engine): row for row in then.rows}
    if not any((row.model, row.target, row.engine) in before for row in now.rows):
        known = "; ".join(" on ".join(key[:2]) for key in before) or "nothing"
        raise InputError(
            f"The baseline has none of these models on these targets and engines, only {known}."
        )
    return [
        _change(row, before.get((row.model, row.target, row.engine)), allowed) for row in now.rows
    ]


def _change(now: BenchRow, then: BenchRow | None, allowed: float) -> BenchChange:
    ends = (now.model, now.target, now.engine)
    if then is not None and now.machine != then.machine:
        raise InputError(
            f"{now.target} was another machine: {then.machine or 'unknown'} in the baseline, "
            f"{now.machine or 'unknown'} now.",
            "Measure the baseline on this one.",
        )
    if then is not None and dict(now.shapes) != dict(then.shapes):
        raise InputError(
            f"{now.model} had inputs of another shape in the baseline.",
            "Give it the same --shape, or measure the baseline again.",
        )
    if now.median_ms is None:
        return BenchChange(*ends, "not measured", now.reason or "it gave no time")
    if then is None or then.median_ms is None:
        return BenchChange(*ends, "new", "the baseline has no time of it")
    times = None
    if now.latency_ms is not None and then.latency_ms is not None:
        times = ratio(now.latency_ms, then.latency_ms)
    plain = now.median_ms / then.median_ms
    if times is None:
        return BenchChange(*ends, "undecided", f"{plain:.3f} times the baseline, without interval")
    verdict, word = _decide(times, 1 + allowed)
    said = f"{times.mean:.3f} times the baseline ({times.lower:.3f} to {times.upper:.3f}): {word}"
    return BenchChange(*ends, verdict, said, times)


def _decide(times: Interval, most: float) -> tuple[ChangeVerdict, str]:
    if times.lower > most:
        return "slower", f"more than the {most - 1:.0%} that is allowed"
    if times.upper > most:
        return "undecided", "the interval reaches over what is allowed"
    return "kept", "within what is allowed"


def parse_shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return shapes by input name from texts such as "1x3x224x224" or "image=1x3x224x224".

    Raises
    ------
    InputError : a text is no shape, or names an input twice.
    """
    parsed: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        parts = sizes.replace(",", "x").split("x")
        if not all(part.isascii() and part.isdigit() and 0 < int(part) < 2**31 for part in parts):
            raise InputError(f"{json.dumps(text)} is no shape.", "Write --shape NAME=1x3x224x224.")
        if name in parsed:
            raise InputError(f"The input {name or 'alone'} has two shapes.", "Give it one.")
        parsed[name] = tuple(map(int, parts))
    return parsed
