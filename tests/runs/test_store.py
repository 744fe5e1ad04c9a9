"""The store keeps what was added, refuses what it does not know, and says what is damaged."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from edgenas.core.errors import RunFolderError
from edgenas.core.records import Evaluation
from edgenas.runs.store import Store
from helpers.stored import architectures, measurement


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


def test_a_store_that_another_program_has_open_is_no_full_disk(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite", wait_s=0.1)
    (architecture,) = architectures(1)
    store.add_measurement(measurement(architecture, 1.0))
    other = sqlite3.connect(store.path)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RunFolderError, match="database is locked") as refused:
        store.add_measurement(measurement(architecture, 1.0))
    other.close()
    assert refused.value.hint.startswith("Close the program that has it open, then")
    assert len(store.measurements("board")) == 1


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


def test_a_view_in_the_place_of_a_table_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).measurements("board")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id"
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE measurements")
        database.execute(
            f"CREATE VIEW measurements AS {endless}, 'board' AS target, '' AS document, "
            "i AS architecture FROM n"
        )
    database.close()
    with pytest.raises(RunFolderError, match="'measurements', which is no table of edgenas"):
        Store(path).measurements("board")


def test_a_store_whose_names_are_no_text_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).measurements("board")
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE meas", b"CREATE TABLE \xb5eas"))
    with pytest.raises(RunFolderError, match="is damaged"):
        Store(path).measurements("board")
