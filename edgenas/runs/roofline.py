"""How far a model is from what its machine can do: micro-models timed beside it, in one job."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from edgenas.core.errors import InputError, MeasurementError
from edgenas.core.progress import Progress
from edgenas.core.records import Interval, Latency, OperatorProfile, Outcome
from edgenas.core.records.roofline import FileWork, LayerWork, MicroTiming, Numbers, Roof, Roofline
from edgenas.explain.roofline import call_us, limits, parts, solve, with_times
from edgenas.int8.work import onnx_file, tflite_file
from edgenas.int8.work.micro_models import LAUNCH, MicroModel, micro_models
from edgenas.runs.models.latency import random_model
from edgenas.runs.models.roofline_file import keep
from edgenas.runs.open import open_run
from edgenas.runs.own_models.bench import PROFILED_RUNS, machines_of
from edgenas.runs.own_models.file import Shapes, file_key, open_models
from edgenas.runs.profile import deployable
from edgenas.targets.base import MeasureSettings, ModelFile
from edgenas.targets.config import Access
from edgenas.targets.jobs.job_target import JobTarget

VERSION = 1
# Power is another question, and would take a minute for each micro-model.
SETTINGS = MeasureSettings(energy_s=0.0)


@dataclass(frozen=True)
class _Place:
    """Where to measure. engine : None for the target's own, or the usual one of the file."""

    target: str
    engine: str | None
    access: Access


@dataclass(frozen=True)
class Chain:
    """A micro-model in both lengths: files to send, and what their layers are."""

    model: MicroModel
    files: tuple[ModelFile, ModelFile]
    short: FileWork
    long: FileWork

    @property
    def repeated(self) -> LayerWork:
        """The layer that the longer file has more of."""
        more = Counter(replace(one, name="") for one in self.long.layers)
        more.subtract(replace(one, name="") for one in self.short.layers)
        return max(more, key=lambda work: more[work])


def roofline(
    what: Path,
    target: str | None,
    engine: str | None,
    access: Access,
    progress: Progress,
    *,
    shapes: Shapes,
    settings: MeasureSettings = SETTINGS,
) -> Roofline:
    """Measure what a machine can do, and hold each layer of `what` against it.

    what : a run folder, whose winner (else its first candidate) is taken, on its own target and
        engine unless others are named; or an .onnx or .tflite file. Of a run on its own target the
        result is kept beside the model, where `explain` and `report` find it.

    Raises
    ------
    InputError : there is no such model, nothing runs it, or the target is an FPGA.
    TargetError : the target cannot be reached. MeasurementError : a model gave no time.
    """
    if not what.is_dir():
        place = _Place(target or "local", engine, access)
        return _of_file(what, place, shapes, settings, progress)
    with open_run(what, {}, progress, resume=True, create=False, access=access) as context:
        if "export" not in context.source.steps:
            raise InputError("A measured table has no layers.", "Name a model file.")
        path, usual, usual_engine = deployable(what, progress)
        if target is None and engine is None:
            engine = usual_engine
        place = _Place(target or usual, engine, access)
        found = _of_file(path, place, shapes, settings, progress)
        keep(context, found)
    return found


def _of_file(
    path: Path, place: _Place, shapes: Shapes, settings: MeasureSettings, progress: Progress
) -> Roofline:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (model,) = open_models([path], shapes, scratch)
        work = file_work(
            model.path.read_bytes(), model.path.suffix.lower(), model.label, model.shapes
        )
        engines = [] if place.engine is None else [place.engine]
        ((machine, _),) = machines_of(place.target, [model], engines, place.access)
        numbers = numbers_of(work)
        chains = [chain_of(one, machine, numbers, scratch) for one in micro_models(numbers)]
        sent = model.to_send(file_key(model.label, 0))
        every = [sent, *(file for chain in chains for file in chain.files)]
        outcomes = machine.measure(every, settings, scratch / "job", progress)
        own, latency = timed(outcomes, sent.key, model.label)
        if own.estimated:
            raise InputError(
                f"The target '{machine.name}' is estimated, not measured: it has no roofline.",
                "Of its runs, edgenas explain RUN says which layer holds the pipeline up.",
            )
        roof = roof_of(machine, chains, outcomes, own, numbers)
        profile, missing = _profiled(machine, sent, scratch, progress)
    layers = limits(work.layers, roof)
    if profile is not None:
        layers = with_times(layers, profile.operators, latency.median_ms - roof.call_us / 1e3)
        if all(one.measured_us is None for one in layers):
            missing = "The engine names the operators otherwise than the file does."
    return Roofline(
        "edgenas-roofline",
        VERSION,
        datetime.now(timezone.utc).isoformat(timespec="seconds"),
        model.label,
        model.sha256,
        roof,
        Interval(latency.median_ms, *latency.span_ms),
        layers,
        parts(layers, roof, latency.median_ms),
        missing,
        _doubts(outcomes, every),
        work.not_covered,
    )


def file_work(content: bytes, suffix: str, label: str, shapes: Shapes) -> FileWork:
    """Return the layers of a model file.

    Raises
    ------
    InputError : no layer of it computes anything that is known.
    """
    if suffix == ".onnx":
        work = onnx_file.read_work(content, shapes)
    else:
        work = tflite_file.read_work(content)
    if not any(layer.macs for layer in work.layers):
        raise InputError(
            f"{label} has no convolution and no matrix product that can be read.",
            "Time it as a whole: edgenas bench MODEL --operators",
        )
    return work


def numbers_of(work: FileWork) -> Numbers:
    """Return in which numbers most of a file's multiply-accumulates are."""
    narrow = sum(one.macs for one in work.layers if max(one.weight_bits, one.activation_bits) <= 8)
    return "int8" if 2 * narrow >= sum(one.macs for one in work.layers) else "float32"


def chain_of(model: MicroModel, machine: JobTarget, numbers: Numbers, folder: Path) -> Chain:
    """Write both lengths of a micro-model for the machine's engine below `folder`."""
    short, long = (
        random_model(
            folder,
            f"{model.name.replace(' ', '-')}-{length}",
            model.layers(length),
            machine,
            0,
            int8=numbers == "int8",
            n_images=1,
        )
        for length in (model.short, model.long)
    )
    works = (
        file_work(file.path.read_bytes(), file.path.suffix, file.key, {}) for file in (short, long)
    )
    return Chain(model, (short, long), *works)


def timed(outcomes: Mapping[str, Outcome], key: str, label: str) -> tuple[Outcome, Latency]:
    """Return what a model's outcome says, and its latency; `MeasurementError` without one."""
    outcome = outcomes[key]
    if outcome.latency is None:
        reason = outcome.reason.strip().partition("\n")[0][:300]
        raise MeasurementError(f"{label} gave no time: {reason}.")
    return outcome, outcome.latency


def roof_of(
    machine: JobTarget,
    chains: Sequence[Chain],
    outcomes: Mapping[str, Outcome],
    own: Outcome,
    numbers: Numbers,
) -> Roof:
    """Return what the timed chains tell of the machine. own : of the model beside them.

    Raises
    ------
    MeasurementError : a chain gave no time, or the times contradict each other.
    """
    timings = {}
    for chain in chains:
        short, long = (
            timed(outcomes, file.key, f"The micro-model {chain.model.about}")[1].median_ms
            for file in chain.files
        )
        timings[chain.model.name] = MicroTiming(
            chain.model.name, chain.model.about, chain.model.short, chain.model.long, short, long
        )
    rates = solve(timings, {chain.model.name: chain.repeated for chain in chains})
    smallest = next(chain for chain in chains if chain.model.name == LAUNCH)
    return Roof(
        machine.name,
        machine.engine,
        own.engine_version,
        own.provider,
        str(own.environment.get("machine", {}).get("cpu") or ""),
        own.environment.get("threads"),
        numbers,
        rates.gmacs_per_s,
        rates.cached_gb_per_s,
        rates.memory_gb_per_s,
        rates.memory_from_bytes,
        rates.launch_us,
        call_us(timings[LAUNCH].short_ms, smallest.short.layers, rates),
        tuple(timings.values()),
        rates.unit_ns,
    )


def _profiled(
    machine: JobTarget, sent: ModelFile, scratch: Path, progress: Progress
) -> tuple[OperatorProfile | None, str]:
    """Return the profile by operator; None, and why, where the engine has none."""
    try:
        return machine.profile(sent, PROFILED_RUNS, scratch / "job", progress), ""
    except MeasurementError as problem:
        return None, f"{problem.message} {problem.hint}".strip()


def _doubts(outcomes: Mapping[str, Outcome], every: Sequence[ModelFile]) -> tuple[str, ...]:
    """Return what makes the times less sure, in sentences."""
    found = []
    latencies = [latency for file in every if (latency := outcomes[file.key].latency) is not None]
    rejected = sum(one.stands_on_rejected for one in latencies)
    if rejected:
        found.append(f"{rejected} of {len(every)} times stand on passes of a busy or hot machine.")
    wide = sum(not one.converged for one in latencies)
    if wide:
        found.append(f"{wide} of {len(every)} times have a wider interval than was asked for.")
    return tuple(found)
