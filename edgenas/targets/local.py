"""This machine, measured by the same runtime that a board gets, in a process of its own."""

from __future__ import annotations

import os
import platform
import select
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from device_runtime import interpreter, protocol
from edgenas.core.counted import counted
from edgenas.core.errors import InputError, MeasurementError, TargetError
from edgenas.core.progress import Progress
from edgenas.core.records import DeviceProfile
from edgenas.int8.engines.scheme import default_scheme
from edgenas.targets import doctor
from edgenas.targets.config import Access, BoardSetup, TargetConfig
from edgenas.targets.jobs import journal
from edgenas.targets.jobs.job_target import DoneJob, JobTarget
from edgenas.targets.jobs.runtime import RUNTIME, require_backend
from edgenas.targets.remote.address import Connection
from edgenas.targets.waiting import Waited

_POLL_S = 0.2  # rare enough not to disturb what is being timed
_STOP_S = 10.0
_PROBE_S = 60.0
_WORDS_BYTES = 600  # of what a process said last


def create(config: TargetConfig, access: Access | None = None) -> LocalTarget:
    """Return the target that `config` describes; this machine needs no `access`."""
    return LocalTarget(config)


class LocalTarget(JobTarget):
    """See `base.Target`. runtime : folder of the `device_runtime` package that does the work."""

    def __init__(self, config: TargetConfig, runtime: Path = RUNTIME) -> None:
        super().__init__(config)
        self._runtime = runtime
        if config.connection != Connection() or config.board != BoardSetup():
            raise InputError(
                f"The target file {config.source} has a connection, but a local target needs none.",
                "Remove the tables [connection] and [board].",
            )
        require_backend(config, runtime)

    @property
    def scheme(self) -> str:
        """The int8 scheme: the target file's, or what suits this machine."""
        return self._config.scheme or default_scheme(platform.machine(), self.engine)

    def probe(self) -> DeviceProfile:
        """Look at this machine."""
        try:
            done = subprocess.run(
                self._command("--probe", str(Path.cwd())),
                cwd=interpreter.NEUTRAL_FOLDER,
                capture_output=True,
                timeout=_PROBE_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as problem:
            said = getattr(problem, "stderr", None) or b""
            words = said[-_WORDS_BYTES:].decode("utf-8", "replace").strip() or str(problem)
            raise TargetError(f"Target '{self.name}' cannot be probed: {words}.") from problem
        return doctor.diagnose(done.stdout.decode("utf-8", "replace"), self._config, self.scheme)

    def clean(self) -> str:
        """Do nothing: jobs of this machine live in the run folders."""
        return "Nothing is kept on this machine outside the run folders."

    def _do(self, what: protocol.Job, folder: Path, total: int, progress: Progress) -> DoneJob:
        """Start the runtime, unless the journal is whole, and follow it to the end."""
        path = folder / protocol.JOURNAL_FILE
        limits = self._config.limits
        follower = journal.Follower(what, self.name, str(folder), limits.journal_mb)
        follower.feed(_read(path))
        state = follower.state
        if state.ended is None:
            if state.passes or state.inferred:
                reused = counted(len(state.passes), "pass is", "passes are")
                progress.message(f"Going on with {folder}: {reused} reused.")
            title = journal.TITLES[what.kind]
            with (
                progress.task(f"{title} on {self.name}", total) as task,
                self._start(folder) as run,
            ):
                bar = journal.Bar(task)
                waited = Waited()
                while not run.wait(_POLL_S):
                    waited.count(_POLL_S)
                    if follower.feed(_read(path, follower.offset)):
                        bar.show(state)
                        waited = Waited()
                    if waited.seconds > limits.stalled_s:
                        raise journal.stalled(self.name, limits.stalled_s)
                follower.feed(_read(path, follower.offset))
                bar.show(state)
                if state.ended is None:
                    raise MeasurementError(
                        f"Measuring on target '{self.name}' stopped early: {run.last_words()}.",
                        "What was finished is kept: run the same command again with --resume.",
                    )
        return DoneJob(state, lambda name: _read(folder / name))

    @contextmanager
    def _start(self, folder: Path) -> Iterator[_Running]:
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                self._command(str(folder.resolve()), "--with-parent"),
                cwd=interpreter.NEUTRAL_FOLDER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C reaches it through its closed stdin, in order
            )
            running = _Running(process, errors)
            try:
                yield running
            finally:
                running.stop()

    def _command(self, *arguments: str) -> list[str]:
        folders = [str(self._runtime.resolve().parent), *interpreter.python_path()]
        return interpreter.command("device_runtime", arguments, folders, interpreter.user_site())


class _Running:
    """The runtime's process. It prints nothing: its stdout only tells when it has ended."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[Any]) -> None:
        self._process = process
        self._errors = errors

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`; return whether the runtime has ended."""
        assert self._process.stdout
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def last_words(self) -> str:
        """Return the end of what the runtime wrote to stderr, or how it ended."""
        status = self._process.wait(_STOP_S)
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _WORDS_BYTES))
        text = self._errors.read(_WORDS_BYTES).decode("utf-8", "replace").strip()
        return text or f"the runtime ended with status {status}"

    def stop(self) -> None:
        """Ask the runtime to stop by closing its stdin; insist if it does not."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def _read(path: Path, offset: int = 0) -> bytes:
    """Return the content of `path` from `offset` on; nothing if it is not there yet."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            return stream.read()
    except FileNotFoundError:
        return b""
