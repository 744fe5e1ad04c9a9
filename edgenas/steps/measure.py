"""measure: time sampled subnets as int8 on the target. Appends measurements to the store."""

from __future__ import annotations

import hashlib

from edgenas import plugins
from edgenas.errors import MeasurementError
from edgenas.graph.lower import lower
from edgenas.graph.random_state import random_state
from edgenas.graph.ranges import random_ranges
from edgenas.records import Architecture, Measurement
from edgenas.run_context import RunContext
from edgenas.run_folder import write_bytes
from edgenas.targets.base import MeasureSettings, ModelFile

EXPORTER = "onnx"


def run(context: RunContext) -> int:
    """Measure what is missing of the run's first `samples` architectures; return how many.

    The models carry random weights: latency and memory do not depend on their values, and a board
    can be measured before anything is trained.

    Raises
    ------
    MeasurementError : not one model could be measured; the message has the first reason.
    """
    measured = {m.architecture for m in context.measurements() if m.outcome.status == "ok"}
    wanted = context.sampled(context.config.samples)
    missing = [architecture for architecture in wanted if architecture not in measured]
    if len(missing) < len(wanted):
        context.reuse(f"{len(wanted) - len(missing)} of {len(wanted)} measurements")
    if missing:
        _measure(context, missing)
    return len(missing)


def _measure(context: RunContext, architectures: list[Architecture]) -> None:
    models = [_model(context, architecture) for architecture in architectures]
    settings = MeasureSettings(anchor=models[len(models) // 2].key, seed=context.config.seed)
    outcomes = context.target.measure(
        models, settings, context.job_dir("measure", models), context.progress
    )
    for architecture, model in zip(architectures, models, strict=True):
        measurement = Measurement(
            architecture=architecture,
            target=context.target.name,
            model_sha256=model.sha256,
            model_bytes=model.path.stat().st_size,
            weights="random",
            outcome=outcomes[model.key],
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


def _model(context: RunContext, architecture: Architecture) -> ModelFile:
    exporter = plugins.load("exporters", EXPORTER)
    layers = context.space.layers(architecture)
    graph = lower(layers, random_state(layers, context.config.seed))
    content = exporter.emit(
        graph, random_ranges(graph, context.config.seed), scheme=context.target.scheme
    )
    path = context.folder.jobs / "models" / (architecture.short_name + exporter.FILE_SUFFIX)
    write_bytes(path, content)
    return ModelFile(architecture.short_name, path, hashlib.sha256(content).hexdigest())
