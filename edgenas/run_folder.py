"""The run folder: where each step's files are, written atomically, and whose folder it is."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenas.errors import RunFolderError

FORMAT_VERSION = 1


@dataclass(frozen=True)
class RunFolder:
    """The files of one run. Only this class knows their names."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "run.json"

    @property
    def store(self) -> Path:
        return self.path / "store.sqlite"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    @property
    def notes(self) -> Path:
        return self.path / "notes.json"

    @property
    def data(self) -> Path:
        return self.path / "data.json"

    @property
    def profile(self) -> Path:
        return self.path / "profile.json"

    @property
    def table(self) -> Path:
        return self.path / "table.json"

    @property
    def looked_up(self) -> Path:
        return self.path / "looked_up.json"

    @property
    def supernet(self) -> Path:
        return self.path / "supernet.safetensors"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def predictors(self) -> Path:
        return self.path / "predictors"

    @property
    def kept_predictors(self) -> Path:
        """Predictors that a search used, each named by its SHA-256."""
        return self.predictors / "kept"

    @property
    def search(self) -> Path:
        return self.path / "search.json"

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def jobs(self) -> Path:
        return self.path / "jobs"

    @property
    def verification(self) -> Path:
        return self.path / "verification.json"

    @property
    def explanation(self) -> Path:
        return self.path / "explanation.json"

    @property
    def warm_start(self) -> Path:
        return self.path / "warm_start.json"

    @property
    def submission(self) -> Path:
        return self.path / "submission"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def require(self, path: Path, step: str) -> Path:
        """Return `path` if it is there; else say which step makes it."""
        if not path.exists():
            raise RunFolderError(
                f"{self.path} has no {path.name} yet.", f"Run: edgenas {step} {self.path}"
            )
        return path


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step: a reader sees the old file or the new one.

    Raises
    ------
    RunFolderError : the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink()
            raise
    except OSError as problem:
        raise RunFolderError(
            f"Cannot write {path}: {problem.strerror or problem}.",
            "Free some space or choose another folder, then run again with --resume.",
        ) from problem


def write_json(path: Path, document: Any) -> None:
    """Write `document` as indented JSON, atomically; NaN and infinity are refused."""
    write_bytes(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path, hint: str = "The file is damaged: remove it and run again.") -> Any:
    """Return the parsed JSON of `path`; `RunFolderError`, with `hint`, if it cannot be read."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise RunFolderError(f"There is no file {path}.") from None
    except OSError as problem:
        raise unreadable(path, problem) from problem
    except (ValueError, RecursionError) as problem:
        raise RunFolderError(f"Cannot read {path}: {problem}.", hint) from problem


def require_readable(path: Path) -> None:
    """Raise `RunFolderError` if `path` is there and cannot be read.

    A reader of a format of its own says of such a file that it is missing, or damaged.
    """
    try:
        with path.open("rb"):
            return
    except FileNotFoundError:
        return
    except OSError as problem:
        raise unreadable(path, problem) from problem


def unreadable(path: Path, problem: OSError) -> RunFolderError:
    """Return the error of a file that is there, perhaps whole, and cannot be read."""
    return RunFolderError(
        f"Cannot read {path}: {problem.strerror}.", "Let it be read: see its owner and its mode."
    )
