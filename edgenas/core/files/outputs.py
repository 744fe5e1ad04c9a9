"""Files that the user names to be written: what one of them may replace.

An output never replaces an input, nor anything that is not a regular file. A file that is there
already is replaced if edgenas wrote it, which its content tells (each kind of output has a test for
that: a seal, a header, metadata), if it is empty, or if the user says --overwrite.

A command asks here before it reads its inputs, so that no work is lost to an output that cannot be
written.
"""

from __future__ import annotations

import errno
import stat
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from edgenas.core.errors import InputError
from edgenas.core.files.run_folder import unwritable

Written = Callable[[Path], bool]  # whether edgenas wrote the file; it may raise what readers raise

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def claim(
    path: Path,
    option: str,
    is_written: Written,
    *,
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
) -> Path:
    """Return where to write what the user wants at `path`: where it leads, if it is a link.

    option : that names it, for messages. is_written : see the module.

    Raises
    ------
    InputError : something is there that may not be replaced. RunFolderError : no file can be made
        there.
    """
    try:
        here = path.resolve() if path.is_symlink() else path
        status = here.stat()
    except FileNotFoundError:
        require_writable(here)
        return here
    except (OSError, RuntimeError) as problem:  # no folder, a circle of links
        raise InputError(
            f"Cannot write {path}: {getattr(problem, 'strerror', None) or problem}.",
            f"Choose another file with {option}.",
        ) from problem
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for test, name in _KINDS if test(status.st_mode)), "no file")
        raise InputError(
            f"{path} is {kind}, which no output replaces.", f"Choose a file with {option}."
        )
    for given in inputs:
        if given.exists() and given.samefile(here):
            raise InputError(
                f"{path} is an input: it would be lost.", f"Choose another file with {option}."
            )
    if not (overwrite or status.st_size == 0 or wrote(here, is_written)):
        raise InputError(
            f"{path} is there already, and edgenas did not write it, or not as it is now.",
            f"Choose another file with {option}, or replace it with --overwrite.",
        )
    require_writable(here)
    return here


def claim_folder(folder: Path, option: str) -> Path:
    """Return the folder that the user wants files in, which may not be there yet.

    Raises
    ------
    InputError : something else is there. RunFolderError : no file can be made in it.
    """
    if is_there(folder) and not folder.is_dir():
        raise InputError(f"{folder} is no folder.", f"Choose a folder with {option}.")
    require_writable(folder / "output")
    return folder


def require_writable(path: Path) -> None:
    """Raise `RunFolderError` unless a file can be made at `path`, and the folders that it lacks.

    The file system is asked by a file that is gone at once: what a mode says is not what a mount, a
    quota or a full disk allows, nor what the administrator may.
    """
    try:
        folder = next(parent for parent in path.absolute().parents if is_there(parent))
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder")
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        raise unwritable(path, problem) from problem


def is_there(path: Path) -> bool:
    """Return whether anything is at the path, also a link that leads nowhere."""
    return path.exists() or path.is_symlink()


def wrote(path: Path, is_written: Written) -> bool:
    """Return whether edgenas wrote the file that is at the path."""
    try:
        return is_written(path)
    except (OSError, ValueError, InputError):
        return False
