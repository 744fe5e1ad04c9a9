"""Running somebody else's program: for a time, with bounded output, and with nothing left behind.

A program runs with the user's rights unless bubblewrap (`bwrap`) is there to shut it in.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

Sandbox = Literal["auto", "off"]

UNCONFINED = (
    "The package ran with your rights: it could read, change and send whatever you can. Install "
    "bubblewrap (bwrap) to run packages without network and without write access to your files."
)
CONFINED = "The package ran in bubblewrap: no network, files read-only, a /tmp of its own."
MOST_FILE_BYTES = 2**28  # of one file that it writes
_KEPT_BYTES = 2**16  # of what it prints, the end
_PR_SET_CHILD_SUBREAPER = 36
_KILL_S = 10.0


@dataclass(frozen=True)
class Ended:
    """How a program ended. output, errors : the end of what it wrote to stdout and stderr."""

    status: int
    output: bytes
    errors: bytes


def confine(
    command: Sequence[str], read: Sequence[Path], write: Path, hidden: Sequence[Path]
) -> list[str] | None:
    """Return `command` as bubblewrap runs it; None where there is no bubblewrap that works.

    Without network, with every file read-only but those in `write`, and a /tmp of its own.
    read : what is to be seen although it lies in /tmp. hidden : folders that are to look empty.
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return None
    base = [bwrap, "--unshare-all", "--die-with-parent", "--new-session"]
    base += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    try:
        works = subprocess.run([*base, "true"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if works.returncode:
        return None
    for device in sorted(glob.glob("/dev/nvidia*") + glob.glob("/dev/nvhost*")):  # noqa: PTH207
        base += ["--dev-bind-try", device, device]
    for folder in hidden:
        base += ["--tmpfs", str(folder.resolve())]
    for path in read:
        base += ["--ro-bind", str(path.absolute()), str(path.absolute())]
    return [*base, "--bind", str(write.absolute()), str(write.absolute()), *command]


def finished(command: Sequence[str], folder: Path, limit_s: float) -> Ended:
    """Run `command` to its end, in `folder`, its own.

    It starts without what PYTHONPATH and its like would have it import.
    Whatever it started is ended with it, in other process groups and sessions too where the system
    is Linux.

    Raises
    ------
    OSError : it does not start. subprocess.TimeoutExpired : it is not ready after `limit_s`.
    """
    with (
        _adopting() as own,
        subprocess.Popen(
            command,
            cwd=folder,
            env={name: os.environ[name] for name in os.environ if not name.startswith("PYTHON")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process,
    ):
        _limit_files(process.pid)
        readers = [_Tail(stream) for stream in (process.stdout, process.stderr) if stream]
        try:
            process.wait(limit_s)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if sys.platform == "linux":
                _end(own)
            for reader in readers:
                reader.join(_KILL_S)
    output, errors = (reader.content for reader in readers)
    return Ended(process.returncode, output, errors)


class _Tail(threading.Thread):
    """Reads a stream to its end and keeps the last of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.content = b""
        self._stream = stream
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed while it is read
            while piece := os.read(self._stream.fileno(), _KEPT_BYTES):
                self.content = (self.content + piece)[-_KEPT_BYTES:]


def _limit_files(pid: int) -> None:
    if sys.platform == "linux":
        import resource

        with contextlib.suppress(OSError):  # it has ended
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (MOST_FILE_BYTES, MOST_FILE_BYTES))


@contextmanager
def _adopting() -> Iterator[set[int]]:
    """Let processes whose parents end become children of this one, so that none gets away.

    Yields the children that this process has already.
    """
    if sys.platform != "linux":
        yield set()
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield set(_below(os.getpid()))
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _below(pid: int) -> list[int]:
    """Return the processes that `pid` started, and those that these did; none without /proc."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int(path.read_text("utf-8", "replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = list(children.get(pid, ()))
    for one in found:  # grows as it is gone through
        found += children.get(one, ())
    return found


def _end(but: set[int]) -> None:
    """End what this process started, `but` some, and what that starts meanwhile."""
    deadline = time.monotonic() + _KILL_S
    while time.monotonic() < deadline:
        left = [pid for pid in _below(os.getpid()) if pid not in but]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.01)
