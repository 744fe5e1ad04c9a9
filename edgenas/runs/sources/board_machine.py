"""The machine of a run: what it is, and how long subnets take on it as int8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from edgenas.core.counted import counted
from edgenas.core.errors import MeasurementError, TargetError
from edgenas.core.records import Architecture, DeviceProfile, Measurement
from edgenas.explain.slow_kernels import kernel_networks
from edgenas.int8.engines.scheme import Scheme, default_scheme
from edgenas.optimize import plan as design
from edgenas.optimize.plan import with_usual_kernels
from edgenas.runs.models.engine_check import check_engine, warn_of_fallback
from edgenas.runs.models.latency import latency_model
from edgenas.runs.run import RunContext
from edgenas.runs.start import fastest_engine
from edgenas.targets.base import MeasureSettings
from edgenas.targets.jobs import rejected

# The design chooses among the first so many of the run's random sequence …
POOL = 300
# … and always takes its first three, the smallest, the largest and the anchor, the largest without
# unusual kernel sizes, and the smallest with each kernel size.
FIRST = 3


def probe(context: RunContext) -> DeviceProfile:
    """Probe the run's target; its problems become warnings.

    Where neither the user nor the target file names an engine, the first probe of a run takes the
    fastest with the scheme that is fastest there, and the run keeps both.
    """
    known = context.profile()
    profile = context.target.probe()
    if known is not None and context.folder.store.exists():
        _require_same_machine(context, known, profile)
    if known is not None:
        profile = replace(profile, engine_decision=known.engine_decision)
    elif not context.folder.store.exists():
        profile = _decided(context, profile)
    context.write(profile)
    for problem in profile.problems:
        context.progress.warning(problem)
    return profile


def _require_same_machine(
    context: RunContext, known: DeviceProfile, profile: DeviceProfile
) -> None:
    """Refuse a machine that is not the one whose measurements the run has."""
    before = {"model": known.board, "cpu": known.cpu, "machine": known.machine}
    if profile.other_machine(before):
        was, now = (one.board or one.cpu or one.machine for one in (known, profile))
        raise TargetError(
            f"'{context.target.name}' is another machine than the run in {context.folder.path} "
            f"measured: it was {was}, and is {now}.",
            "Start a new run with another --out; --warm-start lets it learn from this one.",
        )


def _decided(context: RunContext, profile: DeviceProfile) -> DeviceProfile:
    decided = fastest_engine.decide(context, profile)
    if decided is None:
        return profile
    decision, target = decided
    context.progress.message(decision.reason)
    if target is not context.target:
        usual = default_scheme(profile.machine, target.engine)
        other = None if target.scheme == usual else cast("Scheme", target.scheme)
        context.take_target(target, other)
        profile = target.probe()
    return replace(profile, engine_decision=decision)


def plan(context: RunContext) -> tuple[list[Architecture], int]:
    """Return the subnets to measure, so that `samples` are, and how many of these are measured."""
    measured = {m.architecture for m in context.measurements() if m.outcome.status == "ok"}
    sampled = context.sampled(max(POOL, context.config.samples))
    largest = with_usual_kernels(context.space, sampled[1])
    kernels = kernel_networks(context.space).values()
    always = list(dict.fromkeys((*sampled[:FIRST], largest, *kernels)))
    usual = (with_usual_kernels(context.space, one) for one in sampled)
    pool = list(dict.fromkeys((*always, *sampled, *usual)))
    missing = design.plan(context.space, pool, len(always), measured, context.config.samples)
    return missing, len(measured.intersection(pool))


def measure(context: RunContext, architectures: Sequence[Architecture]) -> None:
    """Time subnets with random weights, and add their measurements to the store.

    The run's anchor is timed in every pass of every job, and normalises the drift within it.

    Raises
    ------
    ExportError : the pre-check finds what the engine will not compute in int8.
    MeasurementError : not one model could be measured; the message has the first reason.
    """
    check_engine(context)
    by_architecture = {
        architecture: latency_model(context, architecture)
        for architecture in (context.anchor(), *architectures)
    }
    models = list(by_architecture.values())
    settings = MeasureSettings(
        anchor=models[0].key, seed=context.config.seed, budget_s=context.config.device_time_s
    )
    outcomes = context.target.measure(
        models, settings, context.job_dir("measure", models), context.progress
    )
    warn_of_fallback(context, outcomes.values())
    if said := rejected.warning(context.target.name, outcomes.values()):
        context.progress.warning(said)
    anchor = outcomes[models[0].key].latency
    anchor_ms = None if anchor is None else anchor.median_ms
    for architecture in architectures:
        model = by_architecture[architecture]
        measurement = Measurement(
            architecture=architecture,
            target=context.target.name,
            model_sha256=model.sha256,
            model_bytes=model.path.stat().st_size,
            weights="random",
            outcome=outcomes[model.key],
            anchor_ms=anchor_ms,
        )
        context.store.add_measurement(measurement)
        if measurement.outcome.status == "failed":
            context.progress.warning(
                f"{architecture} was not measured: {measurement.outcome.reason}"
            )
    if all(outcome.status == "failed" for outcome in outcomes.values()):
        raise MeasurementError(
            f"None of {counted(len(models), 'model')} could be measured on "
            f"'{context.target.name}': {outcomes[models[0].key].reason}",
            f"Look at the target with: edgenas probe --target {context.config.target}",
        )
