"""A worker process seen from the runtime: start it, ask it, notice when it crashes or hangs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Optional

from device_runtime import interpreter, machine
from device_runtime.protocol import Job

_TAIL_BYTES = 600  # of stderr, in a failure's reason
_PACKAGE_PARENT = str(Path(__file__).resolve().parent.parent)


class WorkerError(Exception):
    """The worker could not do it: the engine's error, or a hang that was ended."""


class WorkerDiedError(WorkerError):
    """The worker process ended by itself: it crashed, or something killed it."""


class StopRequested(Exception):  # noqa: N818 - nothing went wrong
    """A signal, or the end of the host, asks the runtime to stop."""


class StopSwitch:
    """File descriptors that become readable when the runtime is asked to stop."""

    def __init__(self, with_stdin: bool = False) -> None:
        self._read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, lambda *_: None)
        self.descriptors = [self._read, *([0] if with_stdin else [])]

    def check(self) -> None:
        """Raise `StopRequested` if asked to."""
        if select.select(self.descriptors, [], [], 0)[0]:
            raise StopRequested


class Worker:
    """One worker process. It starts at once, so that its imports overlap with other work."""

    def __init__(self, job: Job, stop: StopSwitch, root: Path = machine.ROOT) -> None:
        self._stop = stop
        self._timeout_s = job.settings.timeout_s
        self._unread = b""
        self.engine_version: Optional[str] = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        cores = ",".join(map(str, job.affinity))
        arguments = [job.engine, str(job.threads), cores, str(root)]
        self._process = subprocess.Popen(
            interpreter.command_like_this("device_runtime.worker", arguments, _PACKAGE_PARENT),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(job.threads),
        )

    @property
    def gone(self) -> bool:
        return self._process.poll() is not None

    def ready(self) -> str:
        """Wait until the engine is imported; return its version."""
        if self.engine_version is None:
            self.engine_version = str(self._answer()["engine_version"])
        return self.engine_version

    def ask(self, **command: Any) -> Dict[str, Any]:
        """Return the answer to `command`.

        Raises
        ------
        WorkerError : an error in the worker, its death, or `timeout_s` without a sign of life.
        StopRequested : the runtime is to stop; the worker is killed.
        """
        self.ready()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write((json.dumps(command) + "\n").encode())
            self._process.stdin.flush()
        except OSError:
            raise WorkerDiedError(self._obituary()) from None
        return self._answer()

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._kill()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            _close(stream)

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answer(self) -> Dict[str, Any]:
        while True:
            answer: Dict[str, Any] = json.loads(self._line())
            if "error" in answer:
                raise WorkerError(answer["error"])
            if "alive" not in answer:
                return answer

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        answers = self._process.stdout.fileno()
        deadline = time.monotonic() + self._timeout_s
        while b"\n" not in self._unread:
            left = max(0.0, deadline - time.monotonic())
            readable = select.select([answers, *self._stop.descriptors], [], [], left)[0]
            if not readable:
                self._kill()
                raise WorkerError(f"no sign of life for {self._timeout_s:g} s: killed as hanging")
            if readable != [answers]:
                self._kill()
                raise StopRequested
            chunk = os.read(answers, 1 << 20)
            if not chunk:
                raise WorkerDiedError(self._obituary())
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _obituary(self) -> str:
        """What the process died of: the signal or exit status, and the end of its stderr."""
        try:
            status = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:  # it closed its stdout and lives on
            self._kill()
            status = self._process.returncode
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _TAIL_BYTES))
        tail = self._errors.read().decode("utf-8", "replace").strip()
        return _death(status) + (
            f": …{tail}" if size > _TAIL_BYTES else f": {tail}" if tail else ""
        )


def _death(status: int) -> str:
    if status >= 0:
        return f"the worker process ended with exit status {status}"
    name = signal.Signals(-status).name
    guess = " (most likely out of memory)" if name == "SIGKILL" else ""
    return f"the worker process was ended by {name}{guess}"


def _environment(threads: int) -> Dict[str, str]:
    # no thread pools besides the engine's own
    pools = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {**os.environ, **pools}


def _close(stream: Any) -> None:
    with contextlib.suppress(OSError):  # unsent bytes to a process that is gone
        stream.close()
