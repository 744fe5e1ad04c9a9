"""A lock that one process holds while it works on a file or folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from edgenas.core.errors import RunFolderError
from edgenas.core.files.regular import require_regular


@contextlib.contextmanager
def locked_file(lock: Path, held: Path, option: str) -> Iterator[None]:
    """Hold the file `lock`, made with its folder if need be, while working on `held`.

    Raises
    ------
    RunFolderError : another process holds it, or it cannot be written; names `option`.
    """
    require_regular(lock, RunFolderError)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        # In a folder that somebody else made it may be a link, or a pipe.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        stream = os.fdopen(os.open(lock, flags, 0o644), "r+b", buffering=0)
    except OSError as problem:
        raise RunFolderError(
            f"Cannot write to {held}: {problem.strerror}.",
            f"Choose another {option}; what is there already, copy to where it can be written.",
        ) from problem
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise RunFolderError(
                f"Another edgenas is working in {held}.",
                f"Wait for it, or choose another {option}.",
            ) from problem
        except OSError as problem:
            raise RunFolderError(
                f"{held} cannot be locked: {problem.strerror}. Its file system keeps no locks.",
                f"Choose another {option}, on a disk of this machine.",
            ) from problem
        yield
