"""measure: time sampled subnets as int8 on the target. Appends measurements to the store."""

from __future__ import annotations

from edgenas.engine_check import check_engine, warn_of_fallback
from edgenas.errors import MeasurementError
from edgenas.latency_model import latency_model
from edgenas.measuring_plan import plan, with_usual_kernels
from edgenas.pathology import kernel_networks
from edgenas.records import Architecture, Measurement
from edgenas.run_context import RunContext
from edgenas.targets import rejected
from edgenas.targets.base import MeasureSettings

# The design chooses among the first so many of the run's random sequence …
POOL = 300
# … and always takes its first three, the smallest, the largest and the anchor, the largest without
# unusual kernel sizes, and the smallest with each kernel size.
FIRST = 3


def run(context: RunContext) -> int:
    """Measure until `samples` architectures are; return how many were missing.

    The models carry random weights. The run's anchor is timed in every pass of every job, and
    normalises the drift within it.

    Raises
    ------
    ExportError : the pre-check finds what the engine will not compute in int8.
    MeasurementError : not one model could be measured; the message has the first reason.
    """
    measured = {m.architecture for m in context.measurements() if m.outcome.status == "ok"}
    sampled = context.sampled(max(POOL, context.config.samples))
    largest = with_usual_kernels(context.space, sampled[1])
    kernels = kernel_networks(context.space).values()
    always = list(dict.fromkeys((*sampled[:FIRST], largest, *kernels)))
    usual = (with_usual_kernels(context.space, one) for one in sampled)
    pool = list(dict.fromkeys((*always, *sampled, *usual)))
    missing = plan(context.space, pool, len(always), measured, context.config.samples)
    known = len(measured.intersection(pool))
    if known:
        context.reuse(f"{known} of {known + len(missing)} measurements")
    if missing:
        _measure(context, missing)
    return len(missing)


def _measure(context: RunContext, architectures: list[Architecture]) -> None:
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
            f"None of {len(models)} models could be measured on '{context.target.name}': "
            f"{outcomes[models[0].key].reason}",
            f"Look at the target with: edgenas probe --target {context.config.target}",
        )
