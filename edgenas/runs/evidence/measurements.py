"""Replay: every figure of a verdict worked out again from the raw evidence, without a board."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from device_runtime.protocol import JOURNAL_FILE, Job, ProtocolError, RecordReader
from device_runtime.summary import JobState
from edgenas.core.errors import RunFolderError
from edgenas.core.records import Latency, Verification, VerifiedModel
from edgenas.runs.evidence import bundle
from edgenas.runs.evidence.figures import Check, fraction, number
from edgenas.runs.evidence.parity import off_limits, parity_checks

Files = Mapping[str, bytes]

_ROUNDING = 1e-9
_T_TABLE = 1e-3  # the runtime has Student's t to three decimals


def replay(path: Path) -> tuple[Check, ...]:
    """Return a check of every figure of the verdict in the bundle `path`.

    Raises
    ------
    RunFolderError : the bundle is damaged, or was changed after it was made.
    """
    files = bundle.read(path)
    verification = bundle.verification_of(files)
    return tuple(
        check
        for verified in verification.models
        for check in _of_model(verified, verification, files)
    )


def _of_model(verified: VerifiedModel, verdict: Verification, files: Files) -> Iterator[Check]:
    name, latency = verified.model.int8_file, verified.outcome.latency
    reasons = 0
    if latency is None:
        reasons += 1
        yield Check(name, "latency_ms", "unknown", None, None, verified.outcome.reason)
    else:
        yield from _of_latency(name, latency)
        yield from _of_journal(name, verified.model.sha256, latency, files)
        if verdict.limit_ms is not None:
            reasons += float(np.median(_normalised(latency))) > verdict.limit_ms
    yield from _of_energy(verified, files)
    yield from _of_float(verified, files)
    yield from _of_memory(verified, files)
    device = _logits(verified.model.sha256, files)
    yield from _of_accuracy(verified, files, device)
    yield from parity_checks(verified, files, device)
    reasons += off_limits(verified, files, device)
    stated = float(verified.passed)
    if reasons and verified.passed:
        why = "It does not meet the limit, or its outputs are not right."
        yield Check(name, "passed", "differs", stated, 0.0, why)
    elif verified.passed == bool(verified.reasons):
        yield Check(name, "passed", "differs", stated, None, "Verdict and reasons contradict.")
    else:
        yield Check(name, "passed", "follows", stated, stated)


def _of_latency(name: str, latency: Latency) -> Iterator[Check]:
    """The median of all samples / drift, their 90 % quantile, and median -+ t s / sqrt(n)."""
    from scipy.special import stdtrit

    together = _normalised(latency)
    median = float(np.median(together))
    yield number(name, "median_ms", latency.median_ms, median)
    yield number(name, "p90_ms", latency.p90_ms, float(np.quantile(together, 0.9)))
    medians = [
        float(np.median(samples)) / drift / 1e6
        for samples, drift in zip(latency.samples_ns, latency.drift, strict=False)
    ]
    n = len(medians)
    if n < 2 or latency.ci95_ms is None:
        yield Check(name, "ci95_ms", "unknown", None, None, "One pass has no spread.")
        return
    half = float(stdtrit(n - 1, 0.975)) * float(np.std(medians, ddof=1)) / math.sqrt(n)
    slack = _T_TABLE * half
    for side, stated, end in (
        ("lower", latency.ci95_ms[0], median - half),
        ("upper", latency.ci95_ms[1], median + half),
    ):
        yield number(name, f"ci95_ms {side}", stated, end, slack)


def _of_journal(name: str, sha256: str, latency: Latency, files: Files) -> Iterator[Check]:
    """Hold the verdict's samples and drift against what the target wrote down itself."""
    n, found = sum(map(len, latency.samples_ns)), False
    for folder, job in bundle.jobs_of(files, sha256, "measure"):
        found = True
        state = _state(files, folder, job)
        key = next(model.key for model in job.models if model.sha256 == sha256)
        summary = state.latency(key)
        if summary is not None and state.samples_ns(key) == latency.samples_ns:
            yield Check(name, "samples", "follows", n, n)
            same = np.allclose(summary.drift, latency.drift, rtol=_ROUNDING, atol=0)
            greatest = float(np.max(latency.drift)), float(np.max(summary.drift))
            yield Check(name, "drift", "follows" if same else "differs", *greatest)
            return
    if found:
        yield Check(name, "samples", "differs", n, None, "No journal has these samples.")
    else:
        yield Check(name, "samples", "unknown", n, None, "The bundle has no journal of it.")


def _of_energy(verified: VerifiedModel, files: Files) -> Iterator[Check]:
    """Hold the stated energy against the power samples in the journals, if any is stated."""
    stated = verified.outcome.energy
    if stated is None:
        return
    name, sha256 = verified.model.int8_file, verified.model.sha256
    known = []
    for folder, job in bundle.jobs_of(files, sha256, "measure"):
        key = next(model.key for model in job.models if model.sha256 == sha256)
        found = _state(files, folder, job).energy(key)
        known += [found.energy_mj] if found else []
    if not known:
        yield Check(name, "energy_mj", "unknown", stated.energy_mj, None, "No journal has it.")
        return
    yield number(name, "energy_mj", stated.energy_mj, min(known, key=_distance(stated.energy_mj)))


def _distance(stated: float) -> Callable[[float], float]:
    return lambda replayed: abs(replayed - stated)


def _of_float(verified: VerifiedModel, files: Files) -> Iterator[Check]:
    """Hold the float file's median, if stated, against the jobs that timed the int8 one too."""
    stated, figure = verified.fp32_latency_ms, "fp32_latency_ms"
    if stated is None:
        return
    name = verified.model.int8_file
    key = f"{verified.model.candidate.architecture.short_name}-fp32"
    known = []
    for folder, job in bundle.jobs_of(files, verified.model.sha256, "measure"):
        found = _state(files, folder, job).latency(key) if key in job.keys else None
        known += [found.median_ms] if found else []
    if not known:
        yield Check(name, figure, "unknown", stated, None, "No journal has it.")
        return
    yield number(name, figure, stated, min(known, key=_distance(stated)))


def _of_accuracy(
    verified: VerifiedModel, files: Files, device: np.ndarray | None
) -> Iterator[Check]:
    """Hold accuracies and agreement against the logits; device : those of the target."""
    name, sha256 = verified.model.int8_file, verified.model.sha256
    labels = bundle.array_of(files, bundle.LABELS)
    chosen = None if device is None else device.argmax(1)
    logits = bundle.array_of(files, f"{bundle.HOST}/{sha256}.npy")
    host = None if logits is None else logits.argmax(1)
    fp32 = bundle.array_of(files, f"{bundle.FLOAT}/{sha256}.npy")
    yield fraction(name, "device_accuracy", verified.device_accuracy, chosen, labels)
    yield fraction(name, "agreement", verified.agreement, chosen, host)
    yield fraction(name, "int8_accuracy", verified.int8_accuracy, host, labels)
    yield fraction(name, "fp32_accuracy", verified.fp32_accuracy, fp32, labels)


def _of_memory(verified: VerifiedModel, files: Files) -> Iterator[Check]:
    """Hold the stated memory, if any, against what the target wrote down."""
    stated, name = verified.outcome.peak_rss_bytes, verified.model.int8_file
    if stated is None:
        return
    known = []
    for folder, job in bundle.jobs_of(files, verified.model.sha256, "measure"):
        key = next(model.key for model in job.models if model.sha256 == verified.model.sha256)
        checked = _state(files, folder, job).checked.get(key)
        known += [checked.peak_rss_bytes] if checked and checked.peak_rss_bytes else []
    if not known:
        yield Check(name, "peak_rss_bytes", "unknown", stated, None, "No journal has it.")
        return
    yield number(name, "peak_rss_bytes", stated, min(known, key=_distance(stated)))


def _logits(sha256: str, files: Files) -> np.ndarray | None:
    """Return the logits [n, classes] that the target gave for the model, None without them."""
    whole = None
    for folder, job in bundle.jobs_of(files, sha256, "infer"):
        parts = _state(files, folder, job).inferred
        arrays = [bundle.array_of(files, folder + part.file) for part in parts]
        known = [values for values in arrays if values is not None and values.ndim == 2]
        if known and len(known) == len(parts):
            whole = np.concatenate(known)
    return whole


def _state(files: Files, folder: str, job: Job) -> JobState:
    """Return what the journal in `folder` says of `job`."""
    name, state, reader = folder + JOURNAL_FILE, JobState(job), RecordReader()
    lines = files.get(name, b"").decode("utf-8", "replace").splitlines()
    for place, line in enumerate(lines, 1):
        try:
            state.apply(reader.read(line))
        except ProtocolError as problem:
            raise RunFolderError(
                f"{name} in the bundle is no journal, line {place}: {problem}."
            ) from problem
    return state


def _normalised(latency: Latency) -> np.ndarray:
    """Return all samples divided by their pass's drift, milliseconds."""
    passes = zip(latency.samples_ns, latency.drift, strict=False)
    return np.concatenate([np.asarray(samples, float) / drift / 1e6 for samples, drift in passes])
