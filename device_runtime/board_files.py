"""What edgenas keeps on a board, in one folder of its own (see `own_folder`).

`blobs/<sha256>` are files as sent, `packages/<name>/` unpacked archives, `jobs/<name>/` job
folders (see `protocol`), `scratch/` what engines keep for themselves. What is not whole yet has a
name that ends in `-part`. A package's name ends in the hash of its files.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tarfile
import time
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Set, Tuple

from device_runtime import own_folder

FOLDER = "edgenas-board"  # in the folder that the target file names
BLOCK_BYTES = 1 << 20  # of a file in one answer

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}\Z")
_JOB_FILE = re.compile(r"(images\.npy|models/[A-Za-z0-9_][A-Za-z0-9._-]{0,127})\Z")
_BLOB = re.compile(r"[0-9a-f]{64}(-part)?\Z")
_KINDS = {
    "blobs": _BLOB,
    "packages": _NAME,
    "jobs": _NAME,
    "scratch": re.compile(""),  # engines choose the names
}
_COMPILED = "__pycache__"  # what Python makes of a package's files, beside them
_BLOB_DAYS = 7


class BoardFiles:
    """The folder of that name in `parent`, made when it is first needed, and looked at before."""

    def __init__(self, parent: Path) -> None:
        self.folder = parent / FOLDER
        self._is_own = False
        self._verified: Set[str] = set()

    @property
    def root(self) -> Path:
        """The folder, which is edgenas's own.

        Raises
        ------
        ForeignFolderError : it is not.
        """
        if not self._is_own:
            own_folder.make(self.folder)
            self._is_own = True
        return self.folder

    @property
    def scratch(self) -> Path:
        return self._kind("scratch")

    def job(self, name: str) -> Path:
        return self._inside("jobs", name)

    def package(self, name: str) -> Path:
        return self._inside("packages", name)

    def _blob(self, name: str) -> Path:
        return self._inside("blobs", name)

    def _inside(self, kind: str, name: str) -> Path:
        require(_NAME.match(name), name)
        return self._kind(kind) / name

    def _kind(self, kind: str) -> Path:
        folder = self.root / kind
        if own_folder.is_there(folder):
            own_folder.require_folder(folder)
        else:
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def has_package(self, name: str) -> bool:
        """Return whether the package is here as it was sent; what differs is removed."""
        folder = self.package(name)
        if name in self._verified:
            return True
        if not own_folder.is_there(folder):
            return False
        try:
            whole = _tree_digest(folder) == name.rpartition("-")[2]
        except OSError:
            whole = False
        if whole:
            self._verified.add(name)
        else:
            self.drop(name)
        return whole

    def verified(self, name: str) -> Path:
        """Return the folder of a package whose files are those that were sent, and this user's.

        Raises
        ------
        OSError : they are not; the package is removed.
        """
        if not self.has_package(name):
            raise OSError(f"the package {name[:40]} is not as it was sent: it has to be sent again")
        return self.package(name)

    def drop(self, package: str) -> None:
        """Remove a package."""
        self._verified.discard(package)
        _remove(self.package(package))

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
        if _sha256(part) != name:
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
                if _tree_digest(part) != package.rpartition("-")[2]:
                    raise OSError(f"the archive of {package[:40]} does not hold its files")
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
        for blob in self._kind("blobs").iterdir():
            status = blob.lstat()
            used = status.st_nlink > 1 or status.st_mtime >= oldest
            if not used and _BLOB.match(blob.name) and stat.S_ISREG(status.st_mode):
                blob.unlink()

    def kept_bytes(self) -> int:
        """Return the size of all that is kept here."""
        if not own_folder.is_there(self.folder):
            return 0
        files = (path.lstat() for path in self.root.glob("**/*"))
        return sum(status.st_size for status in files if stat.S_ISREG(status.st_mode))

    def clean(self) -> Tuple[bool, List[str]]:
        """Remove what edgenas keeps here; return whether there was any, and names of what is left.

        What has no name that edgenas gives stays, and the folder with it.

        Raises
        ------
        ForeignFolderError : the folder is not edgenas's own; nothing is removed.
        """
        if not own_folder.is_there(self.folder):
            return False, []
        own_folder.require(self.folder)
        for kind, named in _KINDS.items():
            folder = self.folder / kind
            if own_folder.is_there(folder) and not folder.is_symlink():
                for path in folder.iterdir():
                    if named.match(path.name):
                        _remove(path)
                if not any(folder.iterdir()):
                    folder.rmdir()
        left = sorted(path.name for path in self.folder.iterdir() if path.name != own_folder.MARKER)
        if not left:
            own_folder.remove(self.folder)
        self._is_own = False
        self._verified.clear()
        return True, left


def content_digest(files: Iterable[Tuple[str, str]]) -> str:
    """Return the SHA-256 of a tree of files, given as their paths in it and SHA-256s."""
    whole = hashlib.sha256()
    for path, digest in sorted(files):
        whole.update(f"{path} {digest}\n".encode())
    return whole.hexdigest()


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


def _remove(path: Path) -> None:
    """Remove a folder with all in it, or a file; what a link leads to stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path), ignore_errors=True)
    elif own_folder.is_there(path):
        path.unlink()


def _tree_digest(folder: Path) -> str:
    """Return the `content_digest` of a folder's files.

    Raises
    ------
    OSError : one of them is a link or no file, is another user's, or may be written by others.
    """
    return content_digest(
        (path.relative_to(folder).as_posix(), _sha256(path)) for path in _own_files(folder)
    )


def _own_files(folder: Path) -> Iterator[Path]:
    own_folder.require_folder(folder)
    for path in folder.iterdir():
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            files = list(_own_files(path))
            yield from files if path.name != _COMPILED else []
            continue
        require(
            stat.S_ISREG(status.st_mode)
            and status.st_uid == os.geteuid()
            and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH),
            str(path),
        )
        yield path


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
