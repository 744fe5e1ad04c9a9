"""A model file that somebody else made, on a target: accuracy, parity and latency."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.core.errors import InputError
from edgenas.core.metrics import REGISTRY
from edgenas.core.progress import Progress
from edgenas.core.records import Answers, Outcome
from edgenas.core.records.goals import Limit
from edgenas.core.records.verified_file import FileReference, VerifiedFile
from edgenas.int8.checks.parity import MOST_ACCURACY_LOSS, class_distance, compare, distance
from edgenas.int8.checks.parity import disagreement as other_classes
from edgenas.int8.engines.facts import find_engine, what_ran
from edgenas.int8.engines.host import logits, version
from edgenas.optimize.limits import broken
from edgenas.runs.own_models.data import Examples, Given, read_examples
from edgenas.runs.own_models.file import ENGINES, OwnModel, file_key, open_models
from edgenas.runs.own_models.network import OwnNetwork, read_network
from edgenas.runs.own_models.quantized import accuracy_of, answers_of
from edgenas.runs.verdict.near_limit import further
from edgenas.runs.verdict.reservations import of_outcome
from edgenas.targets.base import MeasureSettings, ModelFile, Preprocess
from edgenas.targets.config import Access, find, resolve
from edgenas.targets.jobs.job_target import JobTarget


@dataclass(frozen=True)
class VerifyAs:
    """What the user asks for. reference : the file that the model was made of."""

    target: str = "local"
    engine: str | None = None
    limit_ms: float | None = None
    reference: Path | None = None


def verify_file(
    path: Path, given: Given, wanted: VerifyAs, access: Access, progress: Progress
) -> VerifiedFile:
    """Run the model file at `path` on a target, on all test images or arrays, and time it.

    Raises
    ------
    InputError : the file, the images or the target cannot be used. TargetError : the target cannot
        be reached, or stopped early.
    """
    if given.data is None and given.inputs is None:
        raise InputError(
            "A file is verified on labelled images, or on arrays.",
            "Name them: --data imagefolder:DIR or --inputs FILE.npz",
        )
    with tempfile.TemporaryDirectory() as scratch:
        named = [path, *([wanted.reference] if wanted.reference else [])]
        model, *others = open_models(named, {}, Path(scratch))
        images = given.inputs is None
        network = read_network(model.path, model.label, images=images)
        examples = read_examples(given, network.wanted, progress, calibrate=int(images))
        if examples.labels is None and images:
            raise InputError(f"The images of {given.data} have no labels.")
        reference = _reference(others, network, examples)
        machine = _machine(model, wanted, access)
        return _Verification(machine, model, network, examples, Path(scratch), progress).result(
            wanted.limit_ms, reference
        )


def _machine(model: OwnModel, wanted: VerifyAs, access: Access) -> JobTarget:
    """Return the target with the engine that was named, or else one that takes the file."""
    usual = find(wanted.target).engine
    engine = wanted.engine or (
        usual if model.runs_on(usual) else ENGINES[model.path.suffix.lower()][0]
    )
    if not model.runs_on(engine):
        names = " or ".join(ENGINES[model.path.suffix.lower()])
        raise InputError(f"{engine} does not take {model.label}.", f"Use --engine {names}.")
    machine = resolve(wanted.target, access, engine=None if engine == usual else engine)
    if not isinstance(machine, JobTarget):
        raise InputError(f"Target '{machine.name}' runs no models.")
    return machine


def _reference(
    others: Sequence[OwnModel], network: OwnNetwork, examples: Examples
) -> tuple[OwnModel, np.ndarray] | None:
    """Return the reference and its scores, on this computer."""
    if not others:
        return None
    (one,) = others
    own = read_network(one.path, one.label, images=examples.made is not None)
    if (own.shape, own.classes) != (network.shape, network.classes):
        raise InputError(f"{one.label} takes or gives something else than the model.")
    host = find_engine(ENGINES[one.path.suffix.lower()][0]).host_engine
    return one, logits(own.content, examples.test, host).reshape(-1, own.classes)


@dataclass(frozen=True)
class _Verification:
    machine: JobTarget
    model: OwnModel
    network: OwnNetwork
    examples: Examples
    scratch: Path
    progress: Progress

    def result(
        self, limit_ms: float | None, reference: tuple[OwnModel, np.ndarray] | None
    ) -> VerifiedFile:
        file = self.model.to_send(file_key(self.model.label, 0))
        outcome = self._timed(file, limit_ms)
        values, how = self._sent()
        inference = self.machine.infer(file, values, how, self.scratch / "infer", self.progress)
        engine = what_ran(find_engine(self.machine.engine), inference.outcome.provider)
        reasons = [f"It was not measured: {outcome.reason}"] if outcome.latency is None else []
        host = device = parity = None
        if inference.logits is None:
            reasons.append(f"It did not run on the images: {inference.outcome.reason}")
        else:
            # a file that the target's process survived is run in this one
            host = logits(self.network.content, self.examples.test, engine.host_engine)
            host = host.reshape(-1, self.network.classes)
            device = inference.logits.reshape(host.shape)
            step = self.network.step_of(host)
            parity = compare(host, device, self.examples.labels, step, engine.name)
            reasons += [
                *other_classes(parity, "host"),
                *distance(parity, "host"),
                *class_distance(parity),
                *self._loss(device, host),
            ]
        if limit_ms is not None and outcome.latency is not None:
            limit = Limit("latency_ms", at_most=limit_ms)
            reasons += broken(limit, outcome.latency.median_ms, REGISTRY["latency_ms"])
        against = self._against(reference, device)
        return VerifiedFile(
            kind="edgenas-verified-file",
            model=self.model.label,
            sha256=self.model.sha256,
            target=self.machine.name,
            engine=self.machine.engine,
            status="fail" if reasons else "pass",
            reasons=tuple(reasons),
            reservations=(
                *self.examples.notes,
                *of_outcome(self.machine.name, outcome, limit_ms),
                *_behind(against),
            ),
            outcome=outcome,
            limit_ms=limit_ms,
            n_images=len(self.examples.test),
            input=self.examples.made,
            host_engine=version(engine.host_engine),
            host_accuracy=None if host is None else accuracy_of(self._answers(host)),
            accuracy=None if device is None else accuracy_of(self._answers(device)),
            agreement=None if parity is None else parity.agreement,
            mean_steps=None if parity is None else parity.mean_steps,
            max_steps=None if parity is None else parity.max_steps,
            reference=against,
        )

    def _sent(self) -> tuple[np.ndarray, Preprocess | None]:
        """Return what the target is sent, and how it becomes the input; None as it is."""
        made, pixels = self.examples.made, self.examples.pixels
        if made is None or pixels is None:
            return self.examples.test, None
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), Preprocess(made.mean, made.std)

    def _timed(self, file: ModelFile, limit_ms: float | None) -> Outcome:
        jobs = 0

        def measure(
            files: Sequence[ModelFile], most_passes: int, width: float
        ) -> dict[str, Outcome]:
            nonlocal jobs
            jobs += 1
            settings = MeasureSettings(max_passes=most_passes, relative_ci=width)
            return self.machine.measure(
                files, settings, self.scratch / f"time-{jobs}", self.progress
            )

        usual = MeasureSettings()
        first = measure([file], usual.max_passes, usual.relative_ci)
        return further(measure, first, [file], limit_ms, self.progress)[file.key]

    def _answers(self, scores: np.ndarray) -> Answers | None:
        return answers_of(scores, self.examples.labels)

    def _loss(self, device: np.ndarray, host: np.ndarray) -> list[str]:
        on_device, on_host = self._answers(device), self._answers(host)
        if on_device is None or on_host is None:
            return []
        there, here = on_device.accuracy, on_host.accuracy
        if there >= here - MOST_ACCURACY_LOSS:
            return []
        return [f"Its accuracy on the target is {there:.2%}, on the host {here:.2%}."]

    def _against(
        self, reference: tuple[OwnModel, np.ndarray] | None, device: np.ndarray | None
    ) -> FileReference | None:
        if reference is None or device is None:
            return None
        one, scores = reference
        before, after = self._answers(scores), self._answers(device)
        return FileReference(
            one.label,
            one.sha256,
            accuracy_of(before),
            None if before is None or after is None else after.ahead_of(before),
            float((scores.argmax(1) != device.argmax(1)).mean()),
        )


def _behind(reference: FileReference | None) -> list[str]:
    if reference is None or reference.change is None or reference.change.upper >= 0:
        return []
    change = reference.change
    return [
        f"It is measurably less accurate than {reference.model}: {100 * change.mean:+.1f} points "
        f"[{100 * change.lower:+.1f}, {100 * change.upper:+.1f}]."
    ]
