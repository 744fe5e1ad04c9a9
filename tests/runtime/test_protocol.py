"""The protocol: what is refused, and what survives a round trip."""

from __future__ import annotations

import ast
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from device_runtime import protocol
from device_runtime.journal import Journal, JournalBusyError
from device_runtime.protocol import ProtocolError
from device_runtime.readings import Operator, Powered, Profiled, Sensed
from helpers.jobs import JOB, SETTINGS, SHA256

RUNTIME = Path(protocol.__file__).parent
RECORDS = [
    protocol.Started(protocol.VERSION, "0" * 64, "onnxruntime", "1.0", {"cores": 2}),
    protocol.Checked("a", "CPU", (0, 1), 1000, None, 0.5),
    protocol.Timed(0, "a", (1000, 1200)),
    protocol.Timed(0, "a", (1000,), Sensed(1500.0, 51.5, ("throttled now",)), Sensed(), 20),
    protocol.PassEnded(0, 1.5, {"governor": None}, {}, 1.25),
    protocol.Failed("a", "timing", 'SIGSEGV: "…" \U0001f4a5'),
    protocol.Inferred("a", 0, 10, 4, SHA256),
    Profiled("a", 5, (Operator("x", "Conv", "CPU", 12.5, "uint8", "uint8"),)),
    Powered("a", "RAPL", 2.0, 100, (5000.0, 5100.5), (1000.0,)),
    protocol.Ended("budget"),
]


@pytest.mark.parametrize("path", sorted(RUNTIME.rglob("*.py")), ids=lambda path: path.stem)
def test_runtime_is_python_3_8(path: Path) -> None:
    ast.parse(path.read_text("utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_record_survives_its_line(record: protocol.Record) -> None:
    line = protocol.write_record(record)
    assert "\n" not in line
    assert protocol.parse_record(line) == record


def test_every_record_type_is_tried_above() -> None:
    assert {type(record) for record in RECORDS} == set(protocol._RECORDS.values())


def test_job_survives_its_text_and_its_identity_is_stable() -> None:
    job = protocol.parse_job(json.dumps(JOB))
    assert protocol.parse_job(job.to_json()) == job
    assert protocol.parse_job(job.to_json()).job_id == job.job_id
    reordered = protocol.parse_job(json.dumps(dict(reversed(JOB.items()))))
    assert reordered.job_id == job.job_id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 1}, "version is 1, this side speaks 2"),
        ({"kind": "remove"}, "kind is 'remove'"),
        ({"engine": "os; rm"}, "not an engine's name"),
        ({"engine": "../base"}, "not an engine's name"),
        ({"threads": True}, "not of the right type"),
        ({"threads": 0}, "threads"),
        ({"affinity": [-1]}, "negative core"),
        ({"models": []}, "no models"),
        ({"models": [{"key": "../a", "sha256": SHA256}]}, "file-name-safe"),
        ({"models": [{"key": "a", "sha256": "1"}]}, "64 hexadecimal"),
        ({"models": [{"key": "a", "sha256": SHA256}] * 2}, "same key"),
        ({"models": [{"key": "a", "sha256": SHA256, "path": "/etc"}]}, "unknown key 'path'"),
        ({"settings": {**SETTINGS, "anchor": "b"}}, "anchor 'b'"),
        ({"settings": {**SETTINGS, "min_passes": 1}}, "min_passes"),
        ({"settings": {**SETTINGS, "run_ms": "fast"}}, "settings.run_ms is 'fast'"),
        ({"kind": "infer"}, "images belong"),
        ({"extra": 1}, "unknown key 'extra'"),
    ],
)
def test_wrong_job_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        protocol.parse_job(json.dumps({**JOB, **change}))


def test_job_without_a_key_is_refused() -> None:
    with pytest.raises(ProtocolError, match="job has no key 'threads'"):
        protocol.parse_job(json.dumps({k: v for k, v in JOB.items() if k != "threads"}))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "not json",
        "[]",
        "7",
        '{"type":"reboot"}',
        '{"type":{"a":[1]},"why":"finished"}',
        '{"type":[],"why":"finished"}',
        '{"type":"timed","index":0,"key":"a"}',
        '{"type":"timed","index":0,"key":"a","samples_ns":[]}',
        '{"type":"timed","index":0,"key":"a","samples_ns":[100,-5]}',
        '{"type":"timed","index":0,"key":"a","samples_ns":[100,0]}',
        '{"type":"timed","index":0,"key":"a","samples_ns":[100,NaN]}',
        '{"type":"timed","index":0,"key":"a","samples_ns":[100,1.5]}',
        '{"type":"timed","index":0,"key":"a","samples_ns":[100,true]}',
        '{"type":"timed","index":0,"key":"a","samples_ns":[99999999999999999999]}',
        '{"type":"timed","index":0,"key":"a","samples_ns":"100"}',
        '{"type":"timed","index":0,"key":"a","samples_ns":[100],"note":"x"}',
        '{"type":"timed","index":0,"key":"a","samples_ns":[100],"waited_ns":-1}',
        '{"type":"timed","index":0,"key":"a","samples_ns":[100],"before":{"mhz":0}}',
        '{"type":"timed","index":0,"key":"a","samples_ns":[100],"before":{"celsius":1e9}}',
        '{"type":"timed","index":0,"key":"a","samples_ns":[100],"before":{"throttle_flags":[1]}}',
        '{"type":"pass","index":0,"seconds":-1,"before":{},"after":{}}',
        '{"type":"pass","index":0,"seconds":1e999,"before":{},"after":{}}',
        '{"type":"pass","index":0,"seconds":1,"before":{"temperature":1e999},"after":{}}',
        '{"type":"pass","index":0,"seconds":1,"before":[],"after":{}}',
        '{"type":"pass","index":0,"seconds":1' + "0" * 400 + ',"before":{},"after":{}}',
        '{"type":"pass","index":0,"seconds":1,"before":{"busy_s":[1' + "0" * 400 + ']},"after":{}}',
        '{"type":"failed","key":"a","stage":"timing","reason":"\\ud800"}',
        '{"type":"pass","index":0,"seconds":1,"before":{"\\ud800":1},"after":{}}',
        '{"type":"profiled","key":"a","runs":5,"operators":[]}',
        '{"type":"profiled","key":"a","runs":5,"operators":[{"name":"x","type":"","provider":"",'
        '"mean_us":-1,"takes":"","gives":""}]}',
        '{"type":"powered","key":"a","sensor":"x","seconds":1,"runs":0,"active_mw":[],"idle_mw":[]}',
        '{"type":"powered","key":"a","sensor":"x","seconds":1,"runs":1,"active_mw":[-1],'
        '"idle_mw":[]}',
        '{"type":"ended","why":"bored"}',
        "[" * 100_000,
    ],
)
def test_wrong_record_is_refused(line: str) -> None:
    with pytest.raises(ProtocolError):
        protocol.parse_record(line)


def test_every_damaged_character_of_a_line_is_noticed() -> None:
    line = protocol.write_record(RECORDS[3])
    for place, was in enumerate(line):
        damaged = f"{line[:place]}{'0' if was != '0' else '1'}{line[place + 1 :]}"
        with pytest.raises(ProtocolError):
            protocol.parse_record(damaged)


def test_checksum_is_the_crc_32_of_the_line_without_it() -> None:
    line = '{"type":"ended","why":"finished","crc32":"82624a9c"}'
    assert protocol.write_record(protocol.Ended("finished")) == line
    assert protocol.parse_record(line) == protocol.Ended("finished")


def test_lines_of_runtimes_before_checksums_are_read() -> None:
    line = '{"type":"ended","why":"finished"}'
    assert protocol.parse_record(line) == protocol.Ended("finished")


@pytest.mark.parametrize("seal", ["null", '""', '"82624A9C"', '"82624a9d"', "2187479708"])
def test_checksum_that_does_not_fit_is_refused(seal: str) -> None:
    with pytest.raises(ProtocolError, match="checksum"):
        protocol.parse_record(f'{{"type":"ended","why":"finished","crc32":{seal}}}')


# ---------------------------------------------------------------- the journal file


def test_torn_last_line_is_cut_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append(RECORDS[0])
    journal.append(RECORDS[1])
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"type":"timed","index":0,"key":"a","samp')
    journal = Journal(path)
    assert journal.records == RECORDS[:2]
    assert path.read_bytes() == whole
    journal.append(RECORDS[2])
    journal.close()
    reopened = Journal(path)
    assert reopened.records == RECORDS[:3]
    reopened.close()


def test_damaged_line_is_named_and_left(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    content = protocol.write_record(RECORDS[0]) + "\ngarbage\n" + protocol.write_record(RECORDS[-1])
    path.write_text(content + "\n", encoding="utf-8")
    with pytest.raises(ProtocolError, match="journal line 2"):
        Journal(path)
    assert path.read_text(encoding="utf-8") == content + "\n"


def test_one_runtime_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_runtime.journal._LOCK_WAIT_S", 0.1)
    first = Journal(tmp_path / "journal.jsonl")
    with pytest.raises(JournalBusyError):
        Journal(tmp_path / "journal.jsonl")
    first.close()
    Journal(tmp_path / "journal.jsonl").close()


def test_settings_are_those_of_the_host() -> None:
    from edgenas.targets.base import MeasureSettings

    assert list(asdict(MeasureSettings())) == list(SETTINGS)
    assert protocol.Settings(**asdict(MeasureSettings()))
