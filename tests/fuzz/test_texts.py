"""Fuzzing of what is text: journals, answers of boards, target files, predictor files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_runtime.protocol import (
    VERSION,
    Checked,
    Ended,
    Failed,
    Job,
    JobModel,
    PassEnded,
    Started,
    Timed,
    write_record,
)
from device_runtime.validation import ProtocolError
from edgenas.cli.tables import read_predictor
from edgenas.predictors.linear import sealed as sealing
from edgenas.predictors.tables.regression import TableRegression
from edgenas.targets import config
from edgenas.targets.jobs.journal import Follower
from edgenas.targets.remote.connection import Connection
from edgenas.targets.table import target_file
from helpers.fuzzing import JUNK, contents, documents, fuzz, guarded, text_of
from helpers.verified_run import SETTINGS

ALONE = replace(SETTINGS, anchor=None)
JOB = Job(VERSION, "measure", "onnxruntime", 1, (), (JobModel("m", "a" * 64),), ALONE)
RECORDS = [
    write_record(record)
    for record in (
        Started(VERSION, JOB.job_id, "onnxruntime", "1", {"cores": 2}),
        Checked("m", "CPUExecutionProvider", (), None, 9_000_000, 1.0),
        *(
            record
            for index in range(3)
            for record in (Timed(index, "m", (5, 6, 7)), PassEnded(index, 0.1, {}, {}))
        ),
        Failed("m", "timing", "it ended"),
        Ended("finished"),
    )
]


@fuzz()
@given(st.data())
def test_journals(data: st.DataObject) -> None:
    lines = list(RECORDS)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(lines) - 1))
        if data.draw(st.booleans()):
            record = json.loads(RECORDS[place % len(RECORDS)])
            record.pop("crc32", None)  # what an earlier runtime writes, or a forger leaves out
            lines[place] = text_of(data.draw(documents(record)))
        else:
            lines.insert(place, data.draw(st.sampled_from(RECORDS)))
    journal = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")
    if data.draw(st.booleans()):
        journal = data.draw(contents(journal))
    with guarded():
        follower = Follower(JOB, "board", "the journal")
        follower.feed(journal)
        follower.state.unfinished()


@fuzz()
@given(st.data())
def test_jobs(data: st.DataObject) -> None:
    from device_runtime.protocol import parse_job

    with guarded(ProtocolError):
        parse_job(text_of(data.draw(documents(json.loads(JOB.to_json())))))


class Board:
    """A link to a board that says what it is told to, whatever it is asked."""

    def __init__(self, said: bytes) -> None:
        self.said = said
        self.status_event = SimpleNamespace(wait=lambda seconds: True)

    def run(self, command: str) -> Board:
        return self

    def recv(self, size: int) -> bytes:
        piece, self.said = self.said[:size], self.said[size:]
        return piece

    def send(self, content: bytes) -> int:
        return len(content)

    def settimeout(self, seconds: float) -> None: ...

    def recv_stderr_ready(self) -> bool:
        return False

    def recv_exit_status(self) -> int:
        return 1


@fuzz()
@given(st.data())
def test_answers_of_boards(data: st.DataObject) -> None:
    answers = [{"hello": 1}, {"bytes": 3, "size": 3}, {"bytes": 0, "error": {"message": "no"}}]
    said = b"login banner\nedgenas-python 3 11\n"
    for number, answer in enumerate(answers):
        given_ = data.draw(documents(answer)) if data.draw(st.booleans()) else answer
        said += text_of(given_).encode() + b"\n" + b"abc" * (number == 1)
    said = data.draw(contents(said)) if data.draw(st.booleans()) else said
    with guarded():
        connection = Connection("board", Board(said), "python3", "")  # type: ignore[arg-type]
        for _ in answers:
            connection.ask("read", b"", 1.0, {})


TARGET = {
    "kind": "ssh",
    "engine": "onnxruntime",
    "threads": 1,
    "affinity": [0, 1],
    "scheme": "u8s8",
    "connection": {"host": "pi", "user": "ada", "port": 22},
    "board": {"python": "python3", "cache_dir": "~/x", "silence_s": 20.0},
    "measuring": {"warmup_ms": 10.0, "min_runs": 5},
    "limits": {"budget_s": 60.0, "timeout_s": 5.0},
}
TABLE = {
    "kind": "table",
    "path": "t.csv",
    "architecture": ["a", "b*"],
    "categorical": ["a"],
    "join": "u.csv",
    "join_on": ["a"],
    "responses": {"latency_ms": {"column": "ms", "unit": "ms"}, "accuracy": "acc"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def toml_of(document: Any) -> str:
    """Return TOML of what may be no TOML: tables, then values as JSON writes them."""
    if not isinstance(document, dict):
        return text_of(document)
    plain = {key: value for key, value in document.items() if not isinstance(value, dict)}
    lines = [f"{json.dumps(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in document.items():
        if isinstance(value, dict):
            inside = (f"{json.dumps(name)} = {_value(one)}" for name, one in value.items())
            lines += [f"[{json.dumps(key)}]", *inside]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, float):
        return repr(value)
    return text_of(value)


@fuzz()
@given(st.data())
def test_target_files(folder: Path, data: st.DataObject) -> None:
    valid, read = data.draw(
        st.sampled_from([(TARGET, config.read), (TABLE, target_file.read), (TARGET, config.find)])
    )
    text = toml_of(data.draw(documents(valid))).encode("utf-8", "surrogatepass")
    path = folder / "target.toml"
    path.write_bytes(data.draw(contents(text)) if data.draw(st.booleans()) else text)
    with guarded():
        read(str(path) if read is config.find else path)  # type: ignore[operator, arg-type]


ROWS = {
    "a": np.random.default_rng(0).uniform(1, 9, 30).round(2),
    "b": np.arange(30.0) % 7,
    "c": np.array(["x", "y", "z"] * 10),
}


@pytest.fixture(scope="module")
def predictors() -> list[Any]:
    rows = {**ROWS, "ms": 2 * ROWS["a"] + ROWS["b"] + (ROWS["c"] == "x")}
    fits = [TableRegression(terms).fit(rows, "ms") for terms in ("auto", "a + C(c) + I(b**2)")]
    return [json.loads(json.dumps(fit.to_json())) for fit in fits]


FORMULAS = st.recursive(
    st.sampled_from(["a", "b", "C(c)", "Q('a')", "9", "exec", "'a'", "a.b"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/:~"), inner).map(" ".join),
        st.tuples(inner, st.just("**"), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("I({})".format),
        inner.map("log({})".format),
        inner.map("-{}".format),
    ),
    max_leaves=12,
)


@fuzz()
@given(st.data())
def test_predictor_files(predictors: list[Any], folder: Path, data: st.DataObject) -> None:
    """A forger seals what is forged: the seals of the file and of the regression in it fit."""
    forged = data.draw(documents(data.draw(st.sampled_from(predictors))))
    if isinstance(forged, dict) and data.draw(st.integers(0, 3)) == 0:
        forged["formula"] = data.draw(st.one_of(FORMULAS, JUNK))
    text = text_of(forged)
    path = folder / "predictor.json"
    path.write_text(_sealed(text))
    with guarded(), np.errstate(all="ignore"):
        read = read_predictor(path)
        read.get_prediction(ROWS)
        read.outside(ROWS)
        read.report()


def _sealed(text: str) -> str:
    try:
        document = json.loads(text)
        for inside in (document.get("regression"), document):
            if isinstance(inside, dict):
                inside.pop("sha256", None)
                inside["sha256"] = sealing._seal(inside)
        return json.dumps(document)
    except (ValueError, AttributeError, RecursionError, UnicodeEncodeError):
        return text
