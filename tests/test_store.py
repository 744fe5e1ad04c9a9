"""The store keeps what was added, refuses what it does not know, and says what is damaged."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas import plugins
from edgenas.errors import RunFolderError
from edgenas.records import Architecture, Evaluation, Latency, Measurement, Outcome
from edgenas.store import Store


def architectures(count: int) -> list[Architecture]:
    space = plugins.load("spaces", "mbv3-tiny").create(10, 1, 16)
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(count)]


def measurement(architecture: Architecture, median_ms: float | None) -> Measurement:
    latency = None
    if median_ms is not None:
        latency = Latency(median_ms, median_ms, (median_ms, median_ms), ((1, 2),), (1.0,), True)
    status, reason = ("failed", "killed by SIGSEGV") if latency is None else ("ok", "")
    outcome = Outcome(status, reason, "onnxruntime", "1", "CPU", {"cores": 2}, latency, 10)
    return Measurement(architecture, "board", "ab" * 32, 100, "random", outcome)


def test_the_newest_measurement_of_each_architecture_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    first, second = architectures(2)
    store.add_measurement(measurement(first, 1.0))
    store.add_measurement(measurement(second, None))
    store.add_measurement(measurement(first, 1.5))
    assert store.measurements("board") == [measurement(second, None), measurement(first, 1.5)]
    assert store.measurements("another board") == []


def test_evaluations_belong_to_one_supernet(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    architecture = architectures(1)[0]
    old = Evaluation(architecture, "old", 0.9, 0.8, 100)
    store.add_evaluation(old)
    store.add_evaluation(replace(old, supernet_sha256="new", int8_accuracy=0.7))
    store.add_evaluation(replace(old, int8_accuracy=0.85))
    assert store.evaluations("old")[architecture].int8_accuracy == 0.85
    assert store.evaluations("new")[architecture].int8_accuracy == 0.7


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).measurements("board")
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(RunFolderError, match="format 99"):
        Store(path).measurements("board")


def test_a_damaged_store_is_named_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(RunFolderError, match=r"store\.sqlite is damaged"):
        Store(path).measurements("board")
    assert path.read_bytes().startswith(b"not a database")


@pytest.mark.parametrize("edit", ["[1]", '{"architecture": 3}', "not json", "{}"])
def test_an_edited_row_is_refused(tmp_path: Path, edit: str) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).add_measurement(measurement(architectures(1)[0], 1.0))
    database = sqlite3.connect(path)
    with database:
        database.execute("UPDATE measurements SET document = ?", (edit,))
    database.close()
    with pytest.raises(RunFolderError, match=r"store\.sqlite"):
        Store(path).measurements("board")


def test_a_missing_latency_is_null_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).add_measurement(measurement(architectures(1)[0], None))
    database = sqlite3.connect(path)
    document = json.loads(database.execute("SELECT document FROM measurements").fetchone()[0])
    database.close()
    assert document["outcome"]["latency"] is None
    assert document["outcome"]["reason"] == "killed by SIGSEGV"
