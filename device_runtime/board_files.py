"""What edgenas keeps on a board, in one folder.

`blobs/<sha256>` are files as sent, `packages/<name>/` unpacked archives, `jobs/<name>/` job
folders (see `protocol`). What is not whole yet has a name that ends in `-part`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

BLOCK_BYTES = 1 << 20  # of a file in one answer

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}\Z")
_JOB_FILE = re.compile(r"(images\.npy|models/[A-Za-z0-9_][A-Za-z0-9._-]{0,127})\Z")
_BLOB_DAYS = 7


class BoardFiles:
    """The folder `root`, made when it is first needed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def job(self, name: str) -> Path:
        return self._inside("jobs", name)

    def package(self, name: str) -> Path:
        return self._inside("packages", name)

    def _blob(self, name: str) -> Path:
        return self._inside("blobs", name)

    def _inside(self, kind: str, name: str) -> Path:
        require(_NAME.match(name), name)
        return self.root / kind / name

    def blob_size(self, name: str) -> int:
        """Return the bytes that have arrived; -1 if the blob is whole."""
        if self._blob(name).exists():
            return -1
        part = self._blob(name + "-part")
        return part.stat().st_size if part.exists() else 0

    def put(self, pieces: Iterator[bytes], blobs: List[List[Any]]) -> None:
        """Take blobs, [sha256, offset, size] each: their bytes from the offset on, in a row.

        What arrived before a cut is kept, and is the next offset.
        """
        spare = b""
        for name, offset, size in blobs:
            left = size - offset
            part = self._blob(name + "-part")
            part.parent.mkdir(parents=True, exist_ok=True)
            with part.open("r+b" if offset else "wb") as file:
                file.seek(offset)
                file.truncate()
                while left > 0:
                    spare = spare or next(pieces)
                    file.write(spare[:left])
                    left, spare = left - len(spare[:left]), spare[left:]
                file.flush()
                os.fsync(file.fileno())  # its name says that it is whole, also after a power cut
            self._seal(part, name)

    def _seal(self, part: Path, name: str) -> None:
        digest = hashlib.sha256()
        with part.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
        if digest.hexdigest() != name:
            part.unlink()
            raise OSError("a file arrived damaged: its SHA-256 differs")
        part.replace(self._blob(name))

    def unpack(self, blob: str, package: str) -> None:
        """Unpack a blob, a .tar.gz of plain files, and drop it."""
        final = self.package(package)
        # an agent whose link was cut may still be unpacking the same
        part = self.package(f"{package}-part-{os.getpid()}")
        try:
            if not final.is_dir():
                _extract(self._blob(blob), part)
                os.sync()  # one for some thousand files: each by itself takes minutes on a card
                part.rename(final)
        finally:
            shutil.rmtree(str(part), ignore_errors=True)
        if self._blob(blob).exists():
            self._blob(blob).unlink()

    def place(self, job: str, text: str, files: Dict[str, str]) -> None:
        """Make a job's folder: its text, and for each file, by name, the blob that it is."""
        folder = self.job(job)
        (folder / "models").mkdir(parents=True, exist_ok=True)
        for name, blob in files.items():
            require(_JOB_FILE.match(name), name)
            path = folder / name
            if not path.exists():
                os.link(str(self._blob(blob)), str(path))
        with (folder / "job.json").open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def prune(self) -> None:
        """Drop blobs that no job uses and that have been here for long."""
        oldest = time.time() - _BLOB_DAYS * 86400
        for blob in (self.root / "blobs").glob("*"):
            status = blob.stat()
            if status.st_nlink == 1 and status.st_mtime < oldest:
                blob.unlink()


def require(holds: Any, name: str) -> None:
    """Raise `OSError` unless `name` may be used."""
    if not holds:
        raise OSError(f"{name!r} is not a name that may be used here")


def read_block(path: Path, offset: int) -> bytes:
    """Return a file's bytes from `offset` on, 1 MiB at most; none if it is not there."""
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(BLOCK_BYTES)


def _extract(archive: Path, folder: Path) -> None:
    with tarfile.open(str(archive), "r:gz") as files:
        for member in files:
            path = Path(member.name)
            require(
                member.isfile() and not path.is_absolute() and ".." not in path.parts, str(path)
            )
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            content = files.extractfile(member)
            assert content is not None  # a plain file
            with (folder / path).open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
