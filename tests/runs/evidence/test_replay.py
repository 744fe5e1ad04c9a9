"""Replaying a bundle finds every figure that does not follow from what the target wrote down."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_runtime.protocol import (
    VERSION,
    Failed,
    Job,
    JobModel,
    PassEnded,
    Record,
    Timed,
    parse_record,
    write_record,
)
from edgenas.challenges import anonymity
from edgenas.cli.main import run as edgenas
from edgenas.core.errors import RunFolderError
from edgenas.core.files.run_folder import RunFolder, write_json
from edgenas.core.records import (
    VerifiedModel,
)
from edgenas.runs.config import limits_of
from edgenas.runs.evidence import bundle as evidence
from edgenas.runs.evidence.limits import limit_checks
from edgenas.runs.evidence.measurements import replay
from helpers.verified_run import (
    ANCHOR,
    HOST,
    LABELS,
    LOGITS,
    MODEL,
    REFERENCE,
    SAMPLES,
    SCALE,
    SETTINGS,
    computed,
    latency,
    row,
    verdict,
    write_job,
    write_run,
    write_verdict,
)

REFERENCE[:10, 1] += np.float32(2 * SCALE)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return write_run(tmp_path / "run")


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


def test_a_journal_in_which_a_line_lost_its_checksum_is_refused(run: RunFolder) -> None:
    journal = run.jobs / "verify-1" / "measure-1" / "journal.jsonl"
    lines = journal.read_text().splitlines()
    without = [re.sub(r',"crc32":"[0-9a-f]{8}"', "", line) for line in lines]
    journal.write_text("".join(f"{line}\n" for line in without))  # of a runtime before checksums
    assert set(statuses(bundle(run)).values()) == {"follows"}
    lines[2] = without[2]
    journal.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(RunFolderError, match="line 3: it has no checksum, and lines before it"):
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
    assert out.endswith("29 follow from the evidence, 1 not, 7 cannot be worked out again\n")


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


def test_a_journal_without_names_is_whole_and_keeps_its_cut_line() -> None:
    failed = Failed("m", "check", "Cannot read /home/ada/.cache on board-7.lan")
    timed = Timed(0, "m", (5, 6))
    text = f'{write_record(failed)}\n{write_record(timed)}\n{{"type":"ti'
    files = {"jobs/a/journal.jsonl": text.encode()}
    found = anonymity.anonymous(files, {"/home/ada", "board-7.lan"})["jobs/a/journal.jsonl"]
    first, second, cut = found.decode().split("\n")
    assert parse_record(first) == replace(
        failed, reason="Cannot read (left out)/.cache on (left out)"
    )
    assert (parse_record(second), cut) == (timed, '{"type":"ti')


def test_a_journal_of_before_checksums_without_names_has_none_either() -> None:
    failed = Failed("m", "check", "Cannot read /home/ada/.cache")
    text = "".join(
        f"{write_record(record, sealed=False)}\n" for record in (failed, Timed(0, "m", (5, 6)))
    )
    files = {"jobs/a/journal.jsonl": text.encode()}
    found = anonymity.anonymous(files, {"/home/ada"})["jobs/a/journal.jsonl"].decode()
    assert found == text.replace("/home/ada", "(left out)")


def test_an_anonymous_bundle_names_nobody_and_its_figures_follow(run: RunFolder) -> None:
    said = {"target": "ada@board-7.lan", "data": "imagefolder:/home/ada/faces", "seed": 3}
    limits = {"max_latency_ms": 5.0, "constraints": ["accuracy>=0.1"]}
    config = {"edgenas_run": 1, "version": "1", "config": {**said, **limits}}
    write_json(run.config, config)
    write_json(run.profile, {"target": "ada@board-7.lan"})
    write_json(run.models / "m.json", {"class_names": ["a"]})
    verdict_ = json.loads(run.verification.read_text())
    verdict_["target"] = "ada@board-7.lan"
    verdict_["models"][0]["outcome"]["reason"] = "No /home/ada/x on board-7.lan for ada."
    write_json(run.verification, verdict_)
    private = anonymity.private_words(said, run.path, {"ada", "board-7.lan"})
    files = evidence.collect(run, LABELS, computed(), private)
    for name, content in files.items():
        assert not re.search(rb"\bada\b|board-7|/home|faces", content), name
    assert not {"profile.json", "models/m.json"} & set(files)
    path = evidence.write(files, run.path / "evidence.zip")
    assert {check.status for check in replay(path)} == {"follows"}
    kept = {check.figure: check.stated for check in limit_checks(path, limits_of)}
    assert kept["limit_ms"] == 5.0
    lines = anonymity.contents(files)
    assert any("raw samples" in line and line.startswith("6 files") for line in lines)
