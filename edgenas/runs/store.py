"""The store: measurements and evaluations of a run, in SQLite, appended as they come in."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from device_runtime.json_text import read_json_text
from edgenas.core.errors import RunFolderError
from edgenas.core.files.regular import require_regular
from edgenas.core.records import Architecture, Evaluation, Measurement, Record, canonical, from_json

FORMAT_VERSION = 1
SCHEMA = """
CREATE TABLE measurements (
    id INTEGER PRIMARY KEY, architecture TEXT NOT NULL, target TEXT NOT NULL,
    status TEXT NOT NULL, written TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, document TEXT NOT NULL
);
CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY, architecture TEXT NOT NULL, supernet_sha256 TEXT NOT NULL,
    written TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, document TEXT NOT NULL,
    UNIQUE (architecture, supernet_sha256)
);
"""
_BEST = """
SELECT e.architecture, json_extract(e.document, '$.int8_accuracy') AS accuracy, m.ms
FROM evaluations e JOIN (
    SELECT architecture, max(id), json_extract(document, '$.outcome.latency.median_ms') AS ms
    FROM measurements GROUP BY architecture
) m ON e.architecture = m.architecture
WHERE m.ms <= ? AND e.supernet_sha256 = (SELECT supernet_sha256 FROM evaluations ORDER BY id DESC)
ORDER BY accuracy DESC, m.ms LIMIT 1
"""

# By what SQLite says: its numbers are not told before Python 3.11.
_REMEDIES = {
    "locked": "Close the program that has it open",
    "disk is full": "Free some space",
    "readonly": "Let it be written: see its owner and its mode",
    "unable to open": "Let its folder be written: see its owner and its mode",
}


class Store:
    """Every method opens, commits and closes: what was added is on the disk when it returns.

    wait_s : for another program that writes to it.
    """

    def __init__(self, path: Path, wait_s: float = 30.0) -> None:
        self.path = path
        self._wait_s = wait_s

    def add_measurement(self, measurement: Measurement) -> None:
        """Append a measurement; a failed one too, with its reason."""
        row = (measurement.architecture.key, measurement.target, measurement.outcome.status)
        with self._open() as database:
            database.execute(
                "INSERT INTO measurements (architecture, target, status, document) "
                "VALUES (?, ?, ?, ?)",
                (*row, canonical(measurement)),
            )

    def measurements(self, target: str) -> list[Measurement]:
        """Return the newest measurement of each architecture on `target`, oldest first."""
        with self._open() as database:
            rows = database.execute(
                "SELECT document FROM measurements WHERE id IN (SELECT max(id) FROM measurements "
                "WHERE target = ? GROUP BY architecture) ORDER BY id",
                (target,),
            ).fetchall()
        return [self._record(row[0], Measurement) for row in rows]

    def add_evaluation(self, evaluation: Evaluation) -> None:
        """Add an evaluation; one of the same architecture and supernet is replaced."""
        with self._open() as database:
            database.execute(
                "INSERT OR REPLACE INTO evaluations (architecture, supernet_sha256, document) "
                "VALUES (?, ?, ?)",
                (
                    evaluation.architecture.key,
                    evaluation.supernet_sha256,
                    canonical(evaluation),
                ),
            )

    def evaluations(self, supernet_sha256: str) -> dict[Architecture, Evaluation]:
        """Return the evaluations made with one supernet, oldest first."""
        with self._open() as database:
            rows = database.execute(
                "SELECT document FROM evaluations WHERE supernet_sha256 = ? ORDER BY id",
                (supernet_sha256,),
            ).fetchall()
        records = [self._record(row[0], Evaluation) for row in rows]
        return {record.architecture: record for record in records}

    def best_within(self, limit_ms: float | None) -> tuple[Architecture, float, float] | None:
        """Return the most accurate network that was evaluated with the newest supernet and whose
        median latency is at most `limit_ms`, with its accuracy and that latency; None without one.

        Only reads: it makes no store, and waits for no writer.
        """
        limit = math.inf if limit_ms is None else limit_ms
        with self._connected(f"{self.path.absolute().as_uri()}?mode=ro", 0.0, uri=True) as database:
            self._check(database)
            row = database.execute(_BEST, (limit,)).fetchone()
        if row is None or not all(isinstance(value, float) for value in row[1:]):
            return None
        return self._record(row[0], Architecture), row[1], row[2]

    def _record(self, document: str, kind: type[Record]) -> Record:
        try:
            value = read_json_text(document)
        except (ValueError, TypeError) as problem:
            raise self._damaged(problem) from problem
        return from_json(value, kind, f"A row of {self.path}", RunFolderError)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._connected(str(self.path), self._wait_s, uri=False) as database:
            self._prepare(database)
            with database:
                yield database

    @contextmanager
    def _connected(self, where: str, wait_s: float, *, uri: bool) -> Iterator[sqlite3.Connection]:
        try:
            require_regular(self.path, RunFolderError)
            database = sqlite3.connect(where, timeout=wait_s, uri=uri)
            try:
                yield database
            finally:
                database.close()
        except sqlite3.OperationalError as problem:
            raise self._unusable(problem) from problem
        except (sqlite3.DatabaseError, UnicodeDecodeError) as problem:  # a name in it is no text
            raise self._damaged(problem) from problem

    def _check(self, database: sqlite3.Connection) -> int:
        """Refuse a store of a newer format, or with what is no table; return its format."""
        version: int = database.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT_VERSION:
            raise RunFolderError(
                f"{self.path} has store format {version}; this edgenas reads {FORMAT_VERSION}.",
                "Upgrade edgenas, or start a new run with another --out.",
            )
        database.execute("PRAGMA trusted_schema = OFF")
        odd = database.execute(
            "SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index') "
            "OR sql LIKE 'CREATE VIRTUAL%'"
        ).fetchone()
        if odd is not None:  # it could stand for rows without an end
            raise sqlite3.DatabaseError(f"it has '{odd[0]}', which is no table of edgenas")
        return version

    def _prepare(self, database: sqlite3.Connection) -> None:
        version = self._check(database)
        if version == 0:
            database.executescript(
                f"BEGIN; {SCHEMA} PRAGMA user_version = {FORMAT_VERSION}; COMMIT;"
            )

    def _unusable(self, problem: sqlite3.OperationalError) -> RunFolderError:
        """Return the error of a store that is there, perhaps whole, and cannot be used now."""
        said = str(problem)
        remedies = (remedy for word, remedy in _REMEDIES.items() if word in said)
        remedy = next(remedies, "See that its disk works and has room")
        return RunFolderError(
            f"Cannot use {self.path}: {said}.", f"{remedy}, then run again with --resume."
        )

    def _damaged(self, problem: Exception) -> RunFolderError:
        return RunFolderError(
            f"{self.path} is damaged: {problem}.",
            "Move it away and run again with --resume: what it held is measured anew.",
        )
