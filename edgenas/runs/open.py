"""Open a run folder: make it or go on with it, hold its lock, and find the last one."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas import __version__
from edgenas.core import plugins
from edgenas.core.errors import InfeasibleError, InputError, RunFolderError
from edgenas.core.files.lock import locked_file
from edgenas.core.files.run_folder import RunFolder, write_bytes
from edgenas.core.goals import require_units
from edgenas.core.progress import Progress, Silent
from edgenas.core.records.goals import SCORE
from edgenas.runs import progress_file
from edgenas.runs.config import (
    RunConfig,
    begun,
    earlier_run,
    no_run,
    read_config,
    resumed,
    write_config,
)
from edgenas.runs.run import RunContext

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
    whole: bool = False,
    access: Access | None = None,
) -> Iterator[RunContext]:
    """Open a run folder, or make one, and hold its lock.

    Parameters
    ----------
    asked : the options that the user gave; the rest is the run's own, or the default.
    resume : whether a run that is there already may be gone on with.
    create : whether a run that is not there yet is made.
    whole : whether every step is run, so that the time left is that of the search.
    access : what the user allows a remote target.

    Raises
    ------
    RunFolderError : it cannot be written, is another's, in use, of a newer version, or damaged.
    """
    folder = RunFolder(path)
    new = not folder.config.exists()
    if not new:
        if not resume:
            raise RunFolderError(
                f"{path} holds a run already.", "Go on with --resume, or choose another --out."
            )
        config = resumed(folder, asked)
    elif not create:
        raise no_run(path)
    else:
        require_new(folder)
        config = begun(asked)
    require_units(asked.get("constraints", ()), config.known)
    with locked(folder), progress_file.kept(folder, progress, whole=whole) as told:
        before, content = None, b""
        if not new:
            before, content = read_config(folder), folder.config.read_bytes()
        context = RunContext(folder, config, told, access)
        try:
            _check(context, before, asked)
            write_config(folder, config, __version__)
            yield context
        except (InputError, InfeasibleError) as refusal:
            if before is None and isinstance(refusal, InputError):
                _discard_unless_worked_in(folder)
            full = isinstance(refusal.__cause__, OSError)  # or unwritable: that refuses no option
            if before not in (None, config) and not full:
                write_bytes(folder.config, content)
            raise


def require_new(folder: RunFolder) -> None:
    """Raise `RunFolderError` if something is where a run is to begin."""
    path = folder.path
    if path.exists() and (not path.is_dir() or folder.others()):
        raise RunFolderError(
            f"{path} exists and is not a run folder.", "Choose an empty or new folder with --out."
        )


def _check(context: RunContext, before: RunConfig | None, asked: dict[str, Any]) -> None:
    """Refuse options that the run cannot go by, before they are stored.

    before : the configuration of a run that is there already.

    Raises
    ------
    InputError : an option means nothing to a table, an optimizer has no such reward, the run cannot
        learn from that other run, or a response is asked for that its target does not give.
    DataError : the images are others than those that the run began with.
    """
    config = context.config
    context.source.check_options(asked)
    if before is None or (config.optimizer, config.reward) != (before.optimizer, before.reward):
        config.search_options(plugins.load("optimizers", config.optimizer))
    if before is None or config.warm_start != before.warm_start:
        earlier_run(config, context.folder)
    if before is None:
        return
    if config.data != before.data and context.folder.data.exists():
        context.source.check_unchanged()
    for name in sorted(config.responses - before.responses - {SCORE}):
        context.source.check_given(name)


def _discard_unless_worked_in(folder: RunFolder) -> None:
    """Remove a run that refused what it was given, so that the corrected command may use --out."""
    written = {folder.config, folder.notes, folder.lock, folder.profile, folder.data}
    written.add(folder.progress)
    if (written | folder.brought()).issuperset(folder.path.iterdir()):
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
    config = resumed(folder, asked)
    yield RunContext(folder, config, Silent(), access)


@contextlib.contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Make the folder if need be and hold its lock; `RunFolderError` if another process does."""
    with locked_file(folder.lock, folder.path, "--out"):
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
    names = (RunFolder.config.name, RunFolder.boards.name)
    files = (path for name in names for path in parent.glob(f"*/{name}"))
    found = sorted(files, key=lambda path: path.stat().st_mtime)
    if not found:
        raise RunFolderError(
            f"There is no run to resume in {parent}/.", "Name its folder with --out DIR."
        )
    return found[-1].parent
