"""The run folder: where each step's files are, written atomically, and whose folder it is."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, overload

from device_runtime.json_text import MOST_BYTES, read_json_text
from edgenas.core.errors import RunFolderError
from edgenas.core.files.regular import require_regular

FORMAT_VERSION = 1
_PART = ".edgenas-part"  # ends the name of a file that is not whole yet
_FULL = (errno.ENOSPC, errno.EDQUOT)
_STARTING_S = 2.0  # in which another process surely locks the part that it has made


class Place:
    """Where something of a run is in its folder, and what it holds.

    name : of the file or folder; NAME stands for a network, a metric or a hash, where each has one.
    step : what makes it, for who misses it; "" where a reader does without.
    """

    def __init__(self, name: str, holds: str, step: str = "") -> None:
        self.name, self.holds, self.step = name, holds, step

    def of(self, folder: RunFolder, name: str = "") -> Path:
        """Return the path in a run folder."""
        return folder.path / self.name.replace("NAME", name)


class File(Place):
    """A file or folder of a run: the path, where it is read from a `RunFolder`."""

    @overload
    def __get__(self, folder: None, owner: type) -> File: ...
    @overload
    def __get__(self, folder: RunFolder, owner: type) -> Path: ...
    def __get__(self, folder: RunFolder | None, owner: type) -> File | Path:
        return self if folder is None else self.of(folder)


class FileOfEach(Place):
    """A file that each network, metric or hash has: a function from the name to the path."""

    @overload
    def __get__(self, folder: None, owner: type) -> FileOfEach: ...
    @overload
    def __get__(self, folder: RunFolder, owner: type) -> Callable[[str], Path]: ...
    def __get__(self, folder: RunFolder | None, owner: type) -> FileOfEach | Callable[[str], Path]:
        return self if folder is None else partial(self.of, folder)


@dataclass(frozen=True)
class RunFolder:
    """The files of one run. Only this class knows their names."""

    path: Path

    config = File("run.json", "what the run was asked to do, and the version that began it")
    lock = File(".lock", "held while a process works in the folder")
    data = File("data.json", "what the images are: classes, counts, hashes")
    profile = File("profile.json", "what the target is, and which engine was taken", "probe")
    store = File("store.sqlite", "measurements and evaluations, with raw samples (SQLite)")
    jobs = File("jobs", "a folder for each job of the target: models, journal, logits")
    supernet = File("supernet.safetensors", "the weights that all networks share", "train")
    frozen = File(
        "linear_classifier.safetensors",
        "ImageNet's weights with a linear classifier, before training",
    )
    imported = File(
        "imported.safetensors", "of `edgenas shrink` or `grow`: the network that it began with"
    )
    checkpoint = File("checkpoint.safetensors", "of a training that is not finished")
    predictors = File("predictors", "what was fitted, and in `kept/` what searches used", "fit")
    predictor = FileOfEach("predictors/NAME.json", "the fitted predictor of a metric", "fit")
    kept_predictors = File("predictors/kept", "predictors that a search used")
    kept_predictor = FileOfEach("predictors/kept/NAME.json", "one of them, by its SHA-256")
    search = File("search.json", "limits, candidates and frontier of the last search", "optimize")
    models = File("models", "exported files, their cards, graphs and costs by layer", "export")
    card = FileOfEach(
        "models/NAME.json", "what an exported network is: files, hashes, input", "export"
    )
    graph = FileOfEach(
        "models/NAME.graph.safetensors", "its lowered network, with the ranges", "export"
    )
    int8_layers = FileOfEach(
        "models/NAME.layers.json", "what int8 costs each of its layers", "explain"
    )
    roofline = FileOfEach(
        "models/NAME.roofline.json", "how far each of its layers is from the machine's limits"
    )
    growth = File("grown.json", "what growing a network came to, and what was trained beside it")
    grown = FileOfEach("models/NAME.grown.safetensors", "the weights of the network that it kept")
    noise_by_node = FileOfEach(
        "node_data/NAME.int8-noise.json", "int8 noise by layer, as Model Explorer's node data"
    )
    time_by_node = FileOfEach("node_data/NAME.time.json", "time by layer, as such data")
    annotated = FileOfEach(
        "node_data/NAME.netron.onnx", "a copy of the .onnx file whose layers tell both in Netron"
    )
    verification = File(
        "verification.json", "what was measured of the candidates, and the verdict", "verify"
    )
    explanation = File("explanation.json", "what each choice costs", "explain")
    warm_start = File("warm_start.json", "what was taken from an earlier run")
    progress = File(
        "progress.json", "what a process that works on the run does now; gone at its end"
    )
    notes = File("notes.json", "seconds and warnings of the steps, and what was reused")
    table = File("table.json", "of a measured table: its columns, counts and hashes", "probe")
    looked_up = File("looked_up.json", "of a measured table: the rows that were looked up")
    submission = File("submission", "what `edgenas submit` made", "submit")
    report = File("report.html", "the report, one self-contained page", "report")
    space = File("space", "the run's copy of the file that `--space` named, or `shrink` wrote")
    boards = File("boards.json", "of several boards: what was asked; in `boards/` a run of each")
    comparison = File("comparison.json", "of several boards: what failed, and engines compared")

    @classmethod
    def files(cls) -> dict[str, Place]:
        """Return all files and folders of a run, by what they are called here."""
        return {name: one for name, one in vars(cls).items() if isinstance(one, Place)}

    def space_file(self, named: str) -> Path:
        """The run's copy of the file that --space `named`."""
        return self.space / Path(named).name

    def others(self) -> list[Path]:
        """Return what lies in the folder besides its lock, what a run may begin with, and what
        failed writes left.
        """
        known = {self.lock, *self.brought()}
        return [path for path in self.path.iterdir() if path not in known and not _is_part(path)]

    def brought(self) -> set[Path]:
        """Return what `edgenas shrink` put into the folder before the run began."""
        return {self.imported, self.space} if self.imported.exists() else set()

    def require_inside(self) -> None:
        """Refuse a folder in which a link leads out of it: a step would write where that leads.

        Raises
        ------
        RunFolderError : there is such a link; names it.
        """
        root = Path(os.path.realpath(self.path))
        for folder, folders, files in os.walk(root):
            for name in (*folders, *files):
                path = Path(folder, name)
                if path.is_symlink() and root not in Path(os.path.realpath(path)).parents:
                    raise RunFolderError(
                        f"{self.path} has a link that leads out of it: {path.relative_to(root)}.",
                        "Put what is meant in the link's place, or remove the link.",
                    )

    def require(self, path: Path, step: str) -> Path:
        """Return `path` if it is there; else say which step makes it."""
        if not path.exists():
            raise RunFolderError(
                f"{self.path} has no {path.name} yet.", f"Run: edgenas {step} {self.path}"
            )
        return path


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write `content` to `path` in one step: a reader sees the old file or the new one.

    durable : it is on the disk when this returns; else the disk is left quiet.

    Raises
    ------
    RunFolderError : the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale_parts(path)
        handle, temporary = tempfile.mkstemp(_PART, f".{path.name}.", path.parent)
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
                Path(temporary).chmod(0o644)
                Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise unwritable(path, problem) from problem


def unwritable(path: Path, problem: OSError) -> RunFolderError:
    """Return the error of a file that cannot be written, with what helps in such a case."""
    if problem.errno in _FULL:
        remedy = "Free some space, then run again; a search goes on with --resume."
    else:
        remedy = "Choose another folder, or let this one be written: see its owner and its mode."
    return RunFolderError(f"Cannot write {path}: {problem.strerror or problem}.", remedy)


def write_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8, atomically; bytes of names that are not UTF-8 by their numbers."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def _is_part(path: Path) -> bool:
    """Whether `path` is a file that `write_bytes` has not finished."""
    return path.name.startswith(".") and path.name.endswith(_PART)


def _remove_stale_parts(path: Path) -> None:
    """Remove what writers of `path` left that were killed: their parts, which nobody holds."""
    pattern = re.compile(re.escape(f".{path.name}.") + r"[a-z0-9_]{8}" + re.escape(_PART))
    for part in path.parent.glob(f".*{_PART}"):
        if pattern.fullmatch(part.name) is None:
            continue
        with contextlib.suppress(OSError):
            if part.is_symlink() or time.time() - part.stat().st_mtime < _STARTING_S:
                continue
            handle = os.open(part, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # its writer lives: OSError
                part.unlink()
            finally:
                os.close(handle)


def write_json(path: Path, document: Any) -> None:
    """Write `document` as indented JSON, atomically; NaN and infinity are refused."""
    write_bytes(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path, hint: str = "The file is damaged: remove it and run again.") -> Any:
    """Return the parsed JSON of `path`; `RunFolderError`, with `hint`, if it cannot be read."""
    require_regular(path, RunFolderError)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RunFolderError(f"{path} is longer than {MOST_BYTES >> 20} MiB.", hint)
        return read_json_text(path.read_bytes())
    except FileNotFoundError:
        raise RunFolderError(f"There is no file {path}.") from None
    except OSError as problem:
        raise unreadable(path, problem) from problem
    except ValueError as problem:
        raise RunFolderError(f"Cannot read {path}: {problem}.", hint) from problem


def require_readable(path: Path) -> None:
    """Raise `RunFolderError` if `path` is there and cannot be read.

    A reader of a format of its own says of such a file that it is missing, or damaged.
    """
    require_regular(path, RunFolderError)
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
