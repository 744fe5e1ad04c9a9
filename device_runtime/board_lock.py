"""The lock of a board: one measurement at a time, whichever host or user asked for it.

A file in the machine's folder for temporary files, held by `flock`: it is free again the moment
its holder ends, however that was, and after every reboot.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Optional

_TRY_S = 0.5  # another agent that only looks holds it for a moment
_END_S = 10.0


class BoardLock:
    """The machine's lock, and what its holder wrote into it: job, host, since, pid."""

    def __init__(self) -> None:
        self._path = Path(tempfile.gettempdir()) / "edgenas-board.lock"

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
        _write(file, {**self.holder_text(), "pid": pid})

    def holder(self) -> Dict[str, Any]:
        """Return what the holder wrote; empty if nobody holds it."""
        if not self._path.exists():
            return {}
        file = self._open()
        try:
            return {} if _locked(file, fcntl.LOCK_SH) else self.holder_text()
        finally:
            os.close(file)

    def held_for(self, job: str) -> bool:
        return self.holder().get("job") == job

    def holder_text(self) -> Dict[str, Any]:
        try:
            text = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return text if isinstance(text, dict) else {}

    def end_holder(self) -> None:
        """End the holder and what it started; insist if it does not stop by itself."""
        pid = self.holder().get("pid")
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + _END_S
            if isinstance(pid, int) and pid > 1:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, number)
            while self.holder():
                if time.monotonic() > deadline:
                    break
                time.sleep(0.05)
            else:
                return

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def _is_current(self, file: int) -> bool:
        """Return whether the file is still the one at the path: another may have removed it."""
        try:
            return os.fstat(file).st_ino == self._path.stat().st_ino
        except FileNotFoundError:
            return False

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        with contextlib.suppress(FileNotFoundError):
            return os.open(str(self._path), flags)  # another user's: a sticky folder allows no more
        with contextlib.suppress(FileExistsError):
            file = os.open(str(self._path), flags | os.O_CREAT | os.O_EXCL, 0o666)
            os.fchmod(file, 0o666)
            return file
        return os.open(str(self._path), flags)


def _locked(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(file: int, holder: Dict[str, Any]) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(holder).encode(), 0)
