"""A run whose evidence was bundled, as the product writes it, and what its replay says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from device_runtime.protocol import (
    VERSION,
    Checked,
    Ended,
    Images,
    Inferred,
    Job,
    JobModel,
    PassEnded,
    Record,
    Settings,
    Started,
    Timed,
    write_record,
)
from edgenas.core.files.run_folder import RunFolder, write_json
from edgenas.core.records import (
    Architecture,
    Candidate,
    EngineParity,
    ExportedModel,
    Interval,
    Latency,
    Outcome,
    ParityRecord,
    Verification,
    VerifiedModel,
    to_json,
)
from edgenas.runs.evidence import bundle as evidence

MODEL = "a" * 64
SETTINGS = Settings(1.0, 1.0, 3, 2, 9, 0.1, 0.1, 0.05, 0.05, 0.0, 60.0, 60.0, "anchor", 0)
RNG = np.random.default_rng(0)
SAMPLES = tuple(tuple(int(x) for x in RNG.normal(2e6, 1e5, 20)) for _ in range(5))
ANCHOR = tuple(tuple(int(x) for x in RNG.normal(1e6, 5e4, 20)) for _ in range(5))
LOGITS = RNG.standard_normal((40, 4)).astype(np.float32)
HOST = LOGITS.argmax(1)
SCALE = 0.05
REFERENCE = LOGITS.copy()
LABELS = np.where(np.arange(40) < 30, HOST, (HOST + 1) % 4)  # 30 of 40 right


def drift() -> list[float]:
    medians = [float(np.median(samples)) for samples in ANCHOR]
    return [median / float(np.median(medians)) for median in medians]


def computed() -> dict[str, evidence.Computed]:
    return {MODEL: evidence.Computed(LOGITS, REFERENCE, HOST)}


def row(place: Any, logits: np.ndarray) -> EngineParity:
    """Return a row of the parity table, worked out here."""
    steps = np.abs(logits.astype(float) - REFERENCE) / SCALE
    classes = logits.argmax(1)
    right = int((classes == LABELS).sum())
    interval = Interval(right / 40, *proportion_confint(right, 40, method="wilson"))
    agreement = float((classes == REFERENCE.argmax(1)).mean())
    return EngineParity(
        place, "onnxruntime", interval, agreement, float(steps.max()), float(steps.mean())
    )


def parity() -> ParityRecord:
    rows = row("reference", REFERENCE), row("host", LOGITS), row("target", LOGITS)
    return ParityRecord(rows, 40, SCALE, 0.99, 1.5, "it rounds")


def latency() -> Latency:
    """Return the latency by the formula of the design, worked out here."""
    normalised = [np.array(s) / f / 1e6 for s, f in zip(SAMPLES, drift(), strict=True)]
    medians = [float(np.median(samples)) for samples in normalised]
    half = 2.776445 * float(np.std(medians, ddof=1)) / 5**0.5
    median = float(np.median(np.concatenate(normalised)))
    p90 = float(np.quantile(np.concatenate(normalised), 0.9))
    return Latency(median, p90, (median - half, median + half), SAMPLES, tuple(drift()), True)


def write_job(folder: Path, job: Job, records: list[Record]) -> None:
    folder.mkdir(parents=True)
    start = Started(VERSION, job.job_id, "onnxruntime", "1.31.1", {})
    lines = [write_record(record) + "\n" for record in (start, *records, Ended("finished"))]
    (folder / "job.json").write_text(job.to_json())
    (folder / "journal.jsonl").write_text("".join(lines))


def verdict() -> VerifiedModel:
    choice = ((3,),)
    candidate = Candidate(
        Architecture("tiny", 8, choice, choice), Interval(0.8, 0.7, 0.9), Interval(2.0, 1.9, 2.1)
    )
    model = ExportedModel(
        *(candidate, "m.int8.onnx", "m.fp32.onnx", MODEL, 100, "u8s8", (0.5,), (0.5,)),
        *(("a", "b", "c", "d"), 0.8, 0.8, 40, "c" * 64),
    )
    outcome = Outcome("ok", "", "onnxruntime", "1.31.1", "CPUExecutionProvider", {}, latency())
    outcome = replace(outcome, peak_rss_bytes=9_000_000)
    return VerifiedModel(model, True, (), outcome, 0.75, 0.75, 0.75, 1.0, 40, parity=parity())


def write_run(path: Path) -> RunFolder:
    """Write a run whose one network was timed in five passes and run on 40 images."""
    folder = RunFolder(path)
    models = (JobModel("anchor", "b" * 64), JobModel("m", MODEL))
    timing = Job(VERSION, "measure", "onnxruntime", 1, (), models, SETTINGS)
    records: list[Record] = [Checked("m", "CPUExecutionProvider", (), None, 9_000_000, 1.0)]
    for index in range(5):
        records += [
            Timed(index, "anchor", ANCHOR[index]),
            Timed(index, "m", SAMPLES[index]),
            PassEnded(index, 1.0, {}, {}),
        ]
    write_job(folder.jobs / "verify-1" / "measure-1", timing, records)
    images = Images("d" * 64, (0.5,), (0.5,))
    infer = Job(
        VERSION, "infer", "onnxruntime", 1, (), models[1:], replace(SETTINGS, anchor=None), images
    )
    parts: list[Record] = [Inferred("m", 0, 25, 4, "e" * 64), Inferred("m", 25, 15, 4, "e" * 64)]
    write_job(folder.jobs / "infer-1" / "infer-1", infer, parts)
    for first, rows in ((0, LOGITS[:25]), (25, LOGITS[25:])):
        np.save(folder.jobs / "infer-1" / "infer-1" / f"logits-{first}.npy", rows)
    write_verdict(folder, verdict())
    return folder


def write_verdict(folder: RunFolder, model: VerifiedModel, limit_ms: float = 5.0) -> None:
    write_json(folder.verification, to_json(Verification("local", limit_ms, 0.95, 1, (model,))))
