"""Open a run folder: make it or go on with it, hold its lock, and find the last one."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas import __version__
from edgenas.config import RunConfig, no_run, resumed, with_supernet, write_config
from edgenas.errors import InputError, RunFolderError
from edgenas.progress import Progress, Silent
from edgenas.run_context import RunContext
from edgenas.run_folder import RunFolder

if TYPE_CHECKING:
    from edgenas.targets.config import Access


@contextlib.contextmanager
def open_run(
    path: Path,
    asked: dict[str, Any],
    progress: Progress,
    resume: bool,
    *,
    create: bool = True,
    access: Access | None = None,
) -> Iterator[RunContext]:
    """Open a run folder, or make one, and hold its lock.

    Parameters
    ----------
    asked : the options that the user gave; the rest is the run's own, or the default.
    resume : whether a run that is there already may be gone on with.
    create : whether a run that is not there yet is made.
    access : what the user allows a remote target.

    Raises
    ------
    RunFolderError : it cannot be written, is another's, in use, of a newer version, or damaged.
    """
    folder = RunFolder(path)
    asked = with_supernet(asked)
    new = not folder.config.exists()
    if not new:
        if not resume:
            raise RunFolderError(
                f"{path} holds a run already.", "Go on with --resume, or choose another --out."
            )
        config = resumed(folder, asked)
    elif not create:
        raise no_run(path)
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunFolderError(
            f"{path} exists and is not a run folder.", "Choose an empty or new folder with --out."
        )
    else:
        config = RunConfig(**asked)
    with locked(folder):
        write_config(folder, config, __version__)
        try:
            yield RunContext(folder, config, progress, access)
        except InputError:
            if new:
                _discard_unless_worked_in(folder)
            raise


def _discard_unless_worked_in(folder: RunFolder) -> None:
    """Remove a run that refused what it was given, so that the corrected command may use --out."""
    written = {folder.config, folder.notes, folder.lock, folder.profile, folder.data}
    if written.issuperset(folder.path.iterdir()):
        for path in written:
            path.unlink(missing_ok=True)
        # A mount point or somebody's working folder stays, empty.
        with contextlib.suppress(OSError):
            folder.path.rmdir()


def helps() -> bool:
    """Whether `torchrun` started this process to share the work of another, the first one."""
    return os.environ.get("RANK", "0") != "0"


@contextlib.contextmanager
def beside_run(
    path: Path, asked: dict[str, Any], access: Access | None = None
) -> Iterator[RunContext]:
    """Open a run folder whose lock the first of several processes holds; nothing is written to it.

    Raises
    ------
    RunFolderError : there is no run, or it is of a newer version, or damaged.
    """
    folder = RunFolder(path)
    config = resumed(folder, with_supernet(asked))
    yield RunContext(folder, config, Silent(), access)


@contextlib.contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Make the folder if need be and hold its lock; `RunFolderError` if another process does."""
    with locked_file(folder.lock, folder.path, "--out"):
        yield


@contextlib.contextmanager
def locked_file(lock: Path, held: Path, option: str) -> Iterator[None]:
    """Hold the file `lock`, made with its folder if need be, while working on `held`.

    Raises
    ------
    RunFolderError : another process holds it, or it cannot be written; names `option`.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = lock.open("w")
    except OSError as problem:
        raise RunFolderError(
            f"Cannot write to {held}: {problem.strerror}.", f"Choose another {option}."
        ) from problem
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            raise RunFolderError(
                f"Another edgenas is working in {held}.",
                f"Wait for it, or choose another {option}.",
            ) from problem
        yield


def new_run_path(parent: Path = Path("runs")) -> Path:
    """Return a run folder's path that is not there yet, named by the time."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    candidates = (parent / (stamp + suffix) for suffix in ("", *(f"-{i}" for i in range(2, 100))))
    return next(path for path in candidates if not path.exists())


def newest_run_path(parent: Path = Path("runs")) -> Path:
    """Return the run folder in `parent` that was started last.

    Raises
    ------
    RunFolderError : there is none.
    """
    names = ("run.json", "boards.json")
    files = (path for name in names for path in parent.glob(f"*/{name}"))
    found = sorted(files, key=lambda path: path.stat().st_mtime)
    if not found:
        raise RunFolderError(
            f"There is no run to resume in {parent}/.", "Name its folder with --out DIR."
        )
    return found[-1].parent
