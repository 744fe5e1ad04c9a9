"""Replaying a bundle finds every figure that does not follow from what the target wrote down."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
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
from edgenas.challenges import evidence
from edgenas.challenges.replay import replay
from edgenas.cli.main import run as edgenas
from edgenas.errors import RunFolderError
from edgenas.records import (
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
from edgenas.run_folder import RunFolder, write_json

MODEL = "a" * 64
SETTINGS = Settings(1.0, 1.0, 3, 2, 9, 0.1, 0.1, 0.05, 0.05, 0.0, 60.0, 60.0, "anchor", 0)
RNG = np.random.default_rng(0)
SAMPLES = tuple(tuple(int(x) for x in RNG.normal(2e6, 1e5, 20)) for _ in range(5))
ANCHOR = tuple(tuple(int(x) for x in RNG.normal(1e6, 5e4, 20)) for _ in range(5))
LOGITS = RNG.standard_normal((40, 4)).astype(np.float32)
HOST = LOGITS.argmax(1)
SCALE = 0.05
REFERENCE = LOGITS.copy()
REFERENCE[:10, 1] += np.float32(2 * SCALE)
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


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
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


def bundle(run: RunFolder) -> Path:
    files = evidence.collect(run, LABELS, computed())
    return evidence.write(files, run.path / "evidence.zip")


def statuses(path: Path) -> dict[str, str]:
    return {check.figure: check.status for check in replay(path)}


def test_all_figures_of_an_honest_verdict_follow(run: RunFolder) -> None:
    path = bundle(run)
    checks = replay(path)
    assert {check.status for check in checks} == {"follows"}
    assert {check.figure for check in checks if "parity" not in check.figure} == {
        *("median_ms", "p90_ms", "ci95_ms lower", "ci95_ms upper", "samples", "drift"),
        *("peak_rss_bytes", "device_accuracy", "agreement", "int8_accuracy", "fp32_accuracy"),
        "passed",
    }
    assert len([check for check in checks if "parity" in check.figure]) == 3 * 6
    assert path.read_bytes() == bundle(run).read_bytes()
    names = set(zipfile.ZipFile(path).namelist())
    assert not any("images" in name or name.endswith("/m") for name in names)


def faster(model: VerifiedModel) -> VerifiedModel:
    told = model.outcome.latency
    assert told is not None
    return replace(model, outcome=replace(model.outcome, latency=replace(told, median_ms=1.5)))


def made_up(model: VerifiedModel) -> VerifiedModel:
    told = model.outcome.latency
    assert told is not None
    halved = tuple(tuple(sample // 2 for sample in samples) for samples in told.samples_ns)
    return replace(model, outcome=replace(model.outcome, latency=replace(told, samples_ns=halved)))


def drifting(model: VerifiedModel) -> VerifiedModel:
    told = model.outcome.latency
    assert told is not None
    doubled = tuple(2 * factor for factor in told.drift)
    return replace(model, outcome=replace(model.outcome, latency=replace(told, drift=doubled)))


def lighter(model: VerifiedModel) -> VerifiedModel:
    return replace(model, outcome=replace(model.outcome, peak_rss_bytes=5_000_000))


def with_row(model: VerifiedModel, place: str, **told: Any) -> VerifiedModel:
    record = model.parity
    assert record is not None
    rows = [replace(one, **told) if one.place == place else one for one in record.engines]
    return replace(model, parity=replace(record, engines=tuple(rows)))


def nearer(model: VerifiedModel) -> VerifiedModel:
    return with_row(model, "target", mean_steps=0.0)


def surer(model: VerifiedModel) -> VerifiedModel:
    interval = row("host", LOGITS).accuracy
    return with_row(model, "host", accuracy=replace(interval, lower=0.7))


@pytest.mark.parametrize(
    ("lie", "differing"),
    [
        (faster, {"median_ms"}),
        (made_up, {"samples", "median_ms", "p90_ms", "ci95_ms lower", "ci95_ms upper"}),
        (drifting, {"drift", "median_ms", "p90_ms", "ci95_ms lower", "ci95_ms upper"}),
        (lambda model: replace(model, device_accuracy=0.9), {"device_accuracy"}),
        (lambda model: replace(model, agreement=0.9), {"agreement"}),
        (lambda model: replace(model, fp32_accuracy=0.9), {"fp32_accuracy"}),
        (lighter, {"peak_rss_bytes"}),
        (nearer, {"parity of target: mean_steps"}),
        (surer, {"parity of host: accuracy, lower"}),
        (lambda model: replace(model, int8_accuracy=0.76), {"int8_accuracy"}),
        (lambda model: replace(model, reasons=("too slow",)), {"passed"}),
    ],
)
def test_a_figure_that_does_not_follow_is_named(
    run: RunFolder, lie: Callable[[VerifiedModel], VerifiedModel], differing: set[str]
) -> None:
    write_verdict(run, lie(verdict()))
    found = statuses(bundle(run))
    assert {figure for figure, status in found.items() if status == "differs"} == differing


def timed_beside(run: RunFolder, samples: tuple[tuple[int, ...], ...]) -> str:
    """Let a job have timed the float file beside the int8 one; return its key."""
    key = f"{verdict().model.candidate.architecture.short_name}-fp32"
    models = (JobModel("anchor", "b" * 64), JobModel("m", MODEL), JobModel(key, "f" * 64))
    job = Job(VERSION, "measure", "onnxruntime", 1, (), models, SETTINGS)
    records: list[Record] = []
    for index in range(5):
        records += [
            Timed(index, "anchor", ANCHOR[index]),
            Timed(index, "m", SAMPLES[index]),
            Timed(index, key, samples[index]),
            PassEnded(index, 1.0, {}, {}),
        ]
    write_job(run.jobs / "verify-2" / "measure-1", job, records)
    return key


def test_the_latency_of_the_float_file_follows_from_the_journal(run: RunFolder) -> None:
    slower = tuple(tuple(3 * sample for sample in samples) for samples in SAMPLES)
    median_ms = 3 * latency().median_ms
    write_verdict(run, replace(verdict(), fp32_latency_ms=median_ms))
    assert statuses(bundle(run))["fp32_latency_ms"] == "unknown"
    timed_beside(run, slower)
    assert statuses(bundle(run))["fp32_latency_ms"] == "follows"
    write_verdict(run, replace(verdict(), fp32_latency_ms=1.1 * median_ms))
    found = statuses(bundle(run))
    assert {figure for figure, status in found.items() if status == "differs"} == {
        "fp32_latency_ms"
    }


def test_a_pass_over_the_limit_does_not_follow(run: RunFolder) -> None:
    write_verdict(run, verdict(), limit_ms=1.9)
    assert statuses(bundle(run))["passed"] == "differs"


def test_a_pass_beyond_the_tolerance_does_not_follow(run: RunFolder) -> None:
    far = evidence.Computed(LOGITS, REFERENCE + np.float32(3 * SCALE), HOST)
    files = evidence.collect(run, LABELS, {MODEL: far})
    path = evidence.write(files, run.path / "evidence.zip")
    checks = {check.figure: check for check in replay(path)}
    assert checks["passed"].status == "differs"
    assert "its outputs are not right" in checks["passed"].why
    assert checks["parity of target: mean_steps"].status == "differs"


def test_what_the_bundle_lacks_is_unknown_never_right(run: RunFolder) -> None:
    files = evidence.collect(run, LABELS, {})
    for name in [name for name in files if name.startswith("jobs/verify")]:
        del files[name]
    sums = [line for line in files["SHA256SUMS"].decode().splitlines() if line[66:] in files]
    files["SHA256SUMS"] = "\n".join(sums).encode()
    found = statuses(evidence.write(files, run.path / "evidence.zip"))
    unknown = {figure for figure, status in found.items() if status == "unknown"}
    assert {figure for figure in unknown if "parity" not in figure} == {
        *("samples", "peak_rss_bytes", "agreement", "int8_accuracy", "fp32_accuracy")
    }
    assert len([figure for figure in unknown if "parity" in figure]) == 3 * 6


def test_a_changed_bundle_is_refused(run: RunFolder) -> None:
    files = evidence.collect(run, LABELS, computed())
    document: Any = json.loads(files["verification.json"])
    document["limit_ms"] = 99.0
    changed = {**files, "verification.json": json.dumps(document).encode()}
    with pytest.raises(RunFolderError, match=r"verification\.json was changed"):
        replay(evidence.write(changed, run.path / "changed.zip"))
    with pytest.raises(RunFolderError, match="was added or removed"):
        replay(evidence.write({**files, "more": b""}, run.path / "added.zip"))
    without = {name: content for name, content in files.items() if name != "SHA256SUMS"}
    with pytest.raises(RunFolderError, match="no SHA256SUMS"):
        replay(evidence.write(without, run.path / "without.zip"))


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x05\x06" + b"\0" * 18])
def test_garbage_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "evidence.zip"
    path.write_bytes(content)
    with pytest.raises(RunFolderError, match="cannot be used"):
        replay(path)
    with pytest.raises(RunFolderError, match="cannot be used"):
        replay(tmp_path / "nothing.zip")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("outcome", "latency", "drift"), [1.0]),
        (("outcome", "latency", "samples_ns"), []),
        (("outcome", "latency", "samples_ns", 0), []),
        (("outcome", "latency", "samples_ns", 0, 0), 10**30),
        (("outcome", "latency", "drift", 0), 0.0),
        (("model", "candidate", "architecture", "expand_ratios"), []),
        (("parity", "engines"), []),
    ],
)
def test_a_verdict_that_cannot_be_is_one_clear_line(
    run: RunFolder, place: tuple[Any, ...], value: Any
) -> None:
    document: Any = json.loads(run.verification.read_text())
    inside = document["models"][0]
    for name in place[:-1]:
        inside = inside[name]
    inside[place[-1]] = value
    files = evidence.collect(run, LABELS, computed())
    files["verification.json"] = json.dumps(document).encode()
    sums = [
        f"{hashlib.sha256(files[n]).hexdigest()}  {n}\n" for n in sorted(files) if n != "SHA256SUMS"
    ]
    files["SHA256SUMS"] = "".join(sums).encode()
    with pytest.raises(RunFolderError, match=r"verification\.json in the bundle is not valid"):
        replay(evidence.write(files, run.path / "lying.zip"))


def test_a_broken_journal_is_one_clear_line(run: RunFolder) -> None:
    (run.jobs / "verify-1" / "measure-1" / "journal.jsonl").write_text("{}\n")
    with pytest.raises(RunFolderError, match="is no journal"):
        replay(bundle(run))


def test_the_evidence_in_a_package_replays_as_the_zip_does(run: RunFolder, tmp_path: Path) -> None:
    path = bundle(run)
    package = tmp_path / "package"
    with zipfile.ZipFile(path) as packed:
        packed.extractall(package / "evidence")
    (package / "card.json").write_text("{}")
    assert replay(package) == replay(package / "evidence") == replay(path)
    (package / "evidence" / "verification.json").write_text("{}")
    with pytest.raises(RunFolderError, match=r"verification\.json was changed"):
        replay(package)
    with pytest.raises(RunFolderError, match="cannot be used: it has no SHA256SUMS"):
        replay(tmp_path)


def test_the_terminal_names_what_differs_and_why_the_rest_is_unknown(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_verdict(run, replace(verdict(), agreement=0.9))
    monkeypatch.setattr("sys.argv", ["edgenas", "verify", "--replay", str(bundle(run))])
    with pytest.raises(SystemExit) as ended:
        edgenas()
    out = capsys.readouterr().out
    assert ended.value.code == 1
    assert "  differs: agreement: stated 0.9, the evidence gives 1.0\n" in out
    assert "  6 cannot be worked out again. It was made before predictors were kept.\n" in out
    assert "    predicted latency_ms, predicted accuracy\n" in out
    assert out.endswith("29 follow from the evidence, 1 not, 6 cannot be worked out again\n")


def test_jobs_of_another_edgenas_are_left_out_and_what_rests_on_them_is_unknown(
    run: RunFolder,
) -> None:
    (run.jobs / "verify-0").mkdir()
    (run.jobs / "verify-0" / "job.json").write_text('{"protocol": 1}')
    assert set(statuses(bundle(run)).values()) == {"follows"}
    (run.jobs / "verify-1" / "measure-1" / "job.json").write_text('{"protocol": 1}')
    found = statuses(bundle(run))
    assert {found["samples"], found["peak_rss_bytes"]} == {"unknown"}
    assert found["median_ms"] == "follows"


def test_hashes_are_those_of_the_files(run: RunFolder) -> None:
    files = evidence.collect(run, LABELS, computed())
    for line in files["SHA256SUMS"].decode().splitlines():
        assert hashlib.sha256(files[line[66:]]).hexdigest() == line[:64]
