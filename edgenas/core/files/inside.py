"""Files below a folder that others may have written: no link is followed on the way to them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgenas.core.errors import RunFolderError


def read_inside(root: Path, name: str, most_bytes: int) -> bytes:
    """Return the content of the file `name`, a path relative to `root`, of regular folders alone.

    Raises
    ------
    RunFolderError : it is not there, is no regular file, leads out of `root`, is reached by a link,
        or is longer than `most_bytes`.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise RunFolderError(f"{name!r} is not the name of a file in {root}.")
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    opened: list[int] = []
    try:
        opened.append(os.open(root, flags | os.O_DIRECTORY))
        for part in parts[:-1]:
            opened.append(os.open(part, flags | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened[-1]))
        opened.append(os.open(parts[-1], flags | os.O_NOFOLLOW, dir_fd=opened[-1]))
        state = os.fstat(opened[-1])
        if not stat.S_ISREG(state.st_mode) or state.st_size > most_bytes:
            raise RunFolderError(f"{root / name} is no file, or longer than {most_bytes} bytes.")
        with os.fdopen(opened.pop(), "rb") as stream:
            return stream.read(most_bytes)
    except OSError as problem:
        raise RunFolderError(f"Cannot read {root / name}: {problem.strerror}.") from problem
    finally:
        for descriptor in opened:
            os.close(descriptor)


def is_plain_file(path: Path) -> bool:
    """Return whether `path` is a regular file, and no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
