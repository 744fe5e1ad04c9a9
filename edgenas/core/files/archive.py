"""Zip archives that somebody else made, read within bounds and never unpacked onto the disk."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

MOST_FILES = 20_000
MOST_BYTES = 2**30
# What is small may unpack to this much whatever its ratio; beyond it, a ratio above this is a bomb.
USUAL_BYTES, MOST_RATIO = 2**24, 100
# Python imports from no other, and those of bzip2 and LZMA unpack without a bound.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_NAMES = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "LZMA"}
_ENCRYPTED = 0x1


@contextmanager
def open_archive(path: Path, most_bytes: int = MOST_BYTES) -> Iterator[zipfile.ZipFile]:
    """Open an archive whose list of contents is sound: names, methods and sizes.

    Raises
    ------
    ValueError : in one line, it is no zip, is damaged, or is not within bounds; also from what is
        read of it in the `with` block. OSError : the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, path.stat().st_size, most_bytes)
            yield archive
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
        UnicodeDecodeError,
        OverflowError,
        IndexError,
    ) as problem:
        raise ValueError(" ".join(str(problem).split())[:200] or "it is cut short") from problem


def read_archive(path: Path, most_bytes: int = MOST_BYTES) -> dict[str, bytes]:
    """Return the files of an archive by name; raises as `open_archive` does."""
    with open_archive(path, most_bytes) as archive:
        return {one.filename: archive.read(one) for one in archive.infolist() if not one.is_dir()}


def _check(archive: zipfile.ZipFile, packed_bytes: int, most_bytes: int) -> None:
    entries = archive.infolist()
    if len(entries) > MOST_FILES:
        raise ValueError(f"it has more than {MOST_FILES} files")
    if len({entry.filename for entry in entries}) < len(entries):
        raise ValueError("it has two files of one name")
    for entry in entries:
        if entry.flag_bits & _ENCRYPTED:
            raise ValueError(f"{entry.filename[:80]!r} in it is encrypted")
        if entry.compress_type not in _METHODS:
            method = _NAMES.get(entry.compress_type, f"method {entry.compress_type}")
            raise ValueError(
                f"{entry.filename[:80]!r} in it is packed by {method}, where only deflate is read"
            )
        if _escapes(entry.filename):
            raise ValueError(f"{entry.filename[:80]!r} in it names a place outside of it")
        if entry.compress_size > packed_bytes:  # Python would make room for all of it first
            raise ValueError(f"{entry.filename[:80]!r} in it is said to be longer than the whole")
    total = sum(entry.file_size for entry in entries)
    if total > most_bytes:
        raise ValueError(f"it unpacks to more than {most_bytes >> 20} MiB")
    if total > max(USUAL_BYTES, MOST_RATIO * packed_bytes):
        raise ValueError(f"it unpacks to more than {MOST_RATIO} times its size")


def _escapes(name: str) -> bool:
    path = PurePosixPath(name)
    drive = len(name) > 1 and name[1] == ":"
    return path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or drive
