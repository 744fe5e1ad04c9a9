"""Files that others wrote or named: only regular ones are read."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edgenas.core.errors import EdgeNasError, InputError

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def irregular(path: Path) -> str:
    """Return what `path` is, in words, if reading it may never end; else, or if it is not, ""."""
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode), "")
    except OSError:  # whoever opens it says why
        return ""


def require_regular(path: Path, error: type[EdgeNasError] = InputError) -> None:
    """Raise `error` if `path` is a named pipe, a socket or a device."""
    kind = irregular(path)
    if kind:
        raise error(f"Cannot read {path}: it is {kind}, not a file.", "Name a regular file.")


@contextlib.contextmanager
def utf8_name(path: Path) -> Iterator[str]:
    """Yield a name for a file that libraries which take UTF-8 alone can open; the file is there.

    Raises
    ------
    OSError : the file cannot be opened.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            yield f"/dev/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        yield os.fspath(path)
