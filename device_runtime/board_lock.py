"""The lock of a board: one measurement at a time, whichever host or user asked for it.

A file in /tmp, held by `flock`: it is free again the moment its holder ends, however that was, and
after every reboot. Every user may write to it, so what it says is only ever shown, or checked: a
process that it names is ended only if that is a runtime of this user that holds the lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import stat
import time
from pathlib import Path
from typing import Any, Dict, Optional

PATH_VARIABLE = "EDGENAS_BOARD_LOCK"  # for several boards on one machine, as in tests

_PATH = "/tmp/edgenas-board.lock"  # one for all users, whatever their TMPDIR is
_TRY_S = 0.5  # another agent that only looks holds it for a moment
_END_S = 10.0
_MOST_BYTES = 4096
_PROCESSES = Path("/proc")


class BoardLock:
    """The machine's lock, and what its holder wrote into it: job, host, since, pid."""

    def __init__(self) -> None:
        self._path = Path(os.environ.get(PATH_VARIABLE) or _PATH)

    def take(self, holder: Dict[str, Any]) -> Optional[int]:
        """Return an open file that holds the lock, for a process to inherit; None if it is held."""
        deadline = time.monotonic() + _TRY_S
        while True:
            file = self._open()
            if _locked(file, fcntl.LOCK_EX) and self._is_current(file):
                _write(file, holder)
                return file
            os.close(file)
            if time.monotonic() > deadline:
                return None
            time.sleep(0.02)

    def set_pid(self, file: int, pid: int) -> None:
        _write(file, {**_read(file), "pid": pid})

    def holder(self) -> Dict[str, Any]:
        """Return what the holder wrote; empty if nobody holds it."""
        try:
            file = self._open(make=False)
        except FileNotFoundError:
            return {}
        try:
            return {} if _locked(file, fcntl.LOCK_SH) else {"host": "somebody", **_read(file)}
        finally:
            os.close(file)

    def held_for(self, folder: Path) -> bool:
        """Return whether a runtime of this user holds it that works in the job folder."""
        return self._runtime(folder) is not None

    def end_holder(self, folder: Path) -> None:
        """End the runtime that works in the job folder; insist if it does not stop by itself."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + _END_S
            pid = self._runtime(folder)
            if pid is None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)
            while self._runtime(folder) is not None:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.05)

    def remove(self) -> None:
        """Remove the file, if it is this user's."""
        with contextlib.suppress(FileNotFoundError, PermissionError):
            self._path.unlink()

    def _runtime(self, folder: Path) -> Optional[int]:
        """Return the holder's process if it is this user's, and runs the job in `folder`.

        It leads a process group, its last word is the folder, and the lock is among its open files.
        """
        pid = self.holder().get("pid")
        if type(pid) is not int or pid <= 1:
            return None
        process = _PROCESSES / str(pid)
        try:
            words = (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            ours = process.stat().st_uid == os.geteuid() and os.getpgid(pid) == pid
            lock = self._path.lstat()
            held = any(_is_file(entry, lock) for entry in (process / "fd").iterdir())
        except OSError:
            return None
        named = words[-1] == os.fsencode(str(folder)) and b"device_runtime" in words
        return pid if ours and held and named else None

    def _is_current(self, file: int) -> bool:
        """Return whether the file is still the one at the path: another may have removed it."""
        try:
            return os.fstat(file).st_ino == self._path.lstat().st_ino
        except FileNotFoundError:
            return False

    def _open(self, make: bool = True) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            # Another user's: a sticky folder allows no more than that.
            file = os.open(str(self._path), flags)
        except FileNotFoundError:
            if not make:
                raise
            with contextlib.suppress(FileExistsError):
                file = os.open(str(self._path), flags | os.O_CREAT | os.O_EXCL, 0o666)
                os.fchmod(file, 0o666)
                return file
            file = os.open(str(self._path), flags)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError(f"{self._path} should be a file, the lock of this board: remove it")
        return file


def _is_file(entry: Path, wanted: os.stat_result) -> bool:
    try:
        found = entry.stat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)


def _locked(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: int) -> Dict[str, Any]:
    try:
        said = json.loads(os.pread(file, _MOST_BYTES, 0).decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _write(file: int, holder: Dict[str, Any]) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(holder).encode(), 0)
