"""A job that runs on a board by itself: placed, started, followed live, fetched after a cut."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_runtime import protocol
from edgenas.core.counted import counted
from edgenas.core.errors import MeasurementError, RunFolderError, TargetError
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.progress import Progress, Task
from edgenas.targets.config import Limits
from edgenas.targets.jobs import journal
from edgenas.targets.remote import provision
from edgenas.targets.remote.board import Board
from edgenas.targets.remote.connection import LONG_S
from edgenas.targets.remote.provision import Done, Packages
from edgenas.targets.waiting import Waited

_TAIL_S, _TAIL_SHARE = 5.0, 0.25  # how long the agent waits for news: of the silence borne, too
_BUSY_PAUSE_S = 2.0
_MAX_LINE_BYTES = 1 << 20
_HEADER_BYTES = 4096  # of an array's file, at most
_FRUITLESS_STARTS = 3  # a runtime that was started so often without a new record is given up


@dataclass(frozen=True)
class Compared:
    same: bool
    running: bool


@dataclass(frozen=True)
class StartedJob:
    """Answer to `start`: started, running already, or busy with what `holder` says."""

    state: str
    holder: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tail:
    """Answer to `tail`: whether the runtime runs, and what it and the disk say if it does not."""

    running: bool
    size: int
    errors: str = ""
    free_bytes: int | None = None


@dataclass(frozen=True)
class Piece:
    size: int


class DetachedJob:
    """One job: its folder here, and its twin on the board."""

    def __init__(
        self,
        board: Board,
        what: protocol.Job,
        folder: Path,
        progress: Progress,
        *,
        busy_s: float,
        limits: Limits,
    ) -> None:
        self._board = board
        self._what = what
        self._folder = folder
        self._progress = progress
        self._busy_s = busy_s
        self._limits = limits
        self._name = f"{what.kind}-{what.job_id[:32]}"
        self._placed = False
        self._path = folder / protocol.JOURNAL_FILE
        self._follower = journal.Follower(what, board.name, str(folder), limits.journal_mb)
        self._follower.feed(_content(self._path))

    @property
    def state(self) -> journal.JobState:
        return self._follower.state

    def run(self, packages: Packages, total: int) -> None:
        """Do what is left of the job; when this returns the journal is whole, here.

        Raises
        ------
        TargetError : no link for too long, the board stays busy, or the runtime does not run.
        MeasurementError : what the board wrote is not a journal of this job.
        """
        self._place()
        with self._stopped_on_interrupt():
            title = journal.TITLES[self._what.kind]
            with self._progress.task(f"{title} on {self._board.name}", total) as task:
                self._board.waiting = task.note
                try:
                    self._until_ended(packages, task)
                finally:
                    self._board.waiting = lambda text: None

    def _until_ended(self, packages: Packages, task: Task) -> None:
        """Start the runtime and follow it; again if it was killed or the board was rebooted."""
        bar = journal.Bar(task)
        bar.show(self.state)
        fruitless = 0
        while self.state.ended is None:
            self._start(packages, task)
            passes = len(self.state.passes) + len(self.state.inferred)
            last = self._follow(bar)
            grown = len(self.state.passes) + len(self.state.inferred) > passes
            fruitless = 0 if grown else fruitless + 1
            if self.state.ended is None and (fruitless >= _FRUITLESS_STARTS or last.errors):
                raise self._stopped(last)

    def fetch(self, file: str) -> bytes:
        """Return logits of the job, from here or else from the board; the right ones are kept.

        Raises
        ------
        MeasurementError : they are longer than the journal says, or than they may be.
        """
        path = self._folder / file
        if path.exists():
            return path.read_bytes()
        said_bytes = [_HEADER_BYTES + 4 * p.rows * p.classes for p in self.state.inferred]
        if sum(said_bytes) > 1e6 * self._limits.journal_mb:
            raise self._too_long(f"the logits are {sum(said_bytes) / 1e6:.0f} MB")
        most = max(said_bytes, default=0)
        pieces: list[bytes] = []
        arrived, size = 0, 1
        while arrived < size:
            said, piece = self._board.ask("read", Piece, job=self._name, file=file, offset=arrived)
            pieces.append(piece)
            arrived, size = arrived + len(piece), said.size if piece else 0
            if max(arrived, size) > most:
                raise self._too_long(f"{file} is {max(arrived, size)} bytes, not {most} at most")
        content = b"".join(pieces)
        if hashlib.sha256(content).hexdigest() in {p.sha256 for p in self.state.inferred}:
            write_bytes(path, content)
        return content

    def _too_long(self, what: str) -> MeasurementError:
        return MeasurementError(
            f"What target '{self._board.name}' computed cannot be used: {what}.",
            "If that is right, say more in the target file: [limits] journal_mb = …",
        )

    def forget(self) -> None:
        """Remove the job from the board, if it was there: all of it is here."""
        if self._placed:
            with contextlib.suppress(TargetError):  # it costs the board some disk, nothing else
                self._board.ask("forget", Done, job=self._name)

    def _place(self) -> None:
        """Make the board's folder: send what is missing, and bring both journals together."""
        files = {
            f"{protocol.MODELS_FOLDER}/{model.key}": model.sha256 for model in self._what.models
        }
        blobs = {}
        for name, sha256 in files.items():
            blobs[sha256] = (self._folder / name).read_bytes()
        if self._what.images is not None:
            content = (self._folder / protocol.IMAGES_FILE).read_bytes()
            name = hashlib.sha256(content).hexdigest()
            files[protocol.IMAGES_FILE], blobs[name] = name, content
        here = _content(self._path)[: self._follower.offset]
        digest = hashlib.sha256(here).hexdigest()
        self._placed = True
        compared, _ = self._board.ask(
            "compare", Compared, job=self._name, size=len(here), sha256=digest
        )
        if compared.running and compared.same:
            return
        if compared.running:
            self._board.ask("stop", Done, job=self._name, timeout_s=LONG_S)
        provision.send(self._board, blobs, self._progress, f"Sending models to {self._board.name}")
        text = self._what.to_json()
        self._board.ask("place", Done, job=self._name, text=text, files=files)
        if not compared.same:
            self._board.ask("restore", Done, job=self._name, payload=here, timeout_s=LONG_S)
        if self.state.passes or self.state.inferred:
            self._progress.message(
                f"Going on with {self._folder}: "
                f"{counted(len(self.state.passes), 'pass is', 'passes are')} reused."
            )

    def _start(self, packages: Packages, task: Task) -> None:
        waited = Waited()
        while True:
            said, _ = self._board.ask(
                "start", StartedJob, job=self._name, packages=packages.names, own=packages.own,
                host=f"{getpass.getuser()}@{platform.node()}",
            )  # fmt: skip
            if said.state != "busy":
                return
            if waited.seconds > self._busy_s:
                raise TargetError(
                    f"Target '{self._board.name}' is measuring for {_holder(said.holder)}.",
                    "Wait for it, then run the same command again with --resume.",
                )
            task.note(f"waiting: {self._board.name} is measuring for {_holder(said.holder)}")
            waited.sleep(_BUSY_PAUSE_S)

    def _follow(self, bar: journal.Bar) -> Tail:
        """Take the journal as it grows until the runtime ends."""
        waited, steps = Waited(), self.state.steps
        wait_s = min(_TAIL_S, _TAIL_SHARE * self._board.silence_s)
        while True:
            with waited.stretch(wait_s):
                said, content = self._board.ask(
                    "tail", Tail, job=self._name, offset=self._follower.offset, wait_s=wait_s
                )
            whole = self._follower.offset + len(content) >= said.size
            if content:
                self._take(content)
                bar.show(self.state)
            if not said.running and (whole or not content):  # no more will come
                return said
            if self.state.steps != steps:
                waited, steps = Waited(), self.state.steps
            if waited.seconds > self._limits.stalled_s:
                self._board.ask("stop", Done, job=self._name, timeout_s=LONG_S)
                raise journal.stalled(self._board.name, self._limits.stalled_s)

    def _take(self, content: bytes) -> None:
        """Take whole lines into state and journal; a wrong one ends the job, those before count."""
        before = self._follower.offset
        try:
            if len(content) >= _MAX_LINE_BYTES and b"\n" not in content:
                raise MeasurementError(
                    f"The journal of target '{self._board.name}' has a line without end."
                )
            for line in content.split(b"\n")[:-1]:
                self._follower.feed(line + b"\n")
        except MeasurementError as problem:
            self._board.ask("stop", Done, job=self._name, timeout_s=LONG_S)
            self.forget()
            raise MeasurementError(
                problem.message,
                "What was right is kept: run the same command again with --resume.",
            ) from problem
        finally:
            self._append(before, content[: self._follower.offset - before])

    def _append(self, offset: int, content: bytes) -> None:
        try:
            self._path.touch()
            with self._path.open("r+b") as file:
                file.seek(offset)
                file.truncate()  # a line that a killed host left half written
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as problem:
            raise RunFolderError(
                f"Cannot write {self._path}: {problem.strerror}.",
                "Free some space, then run with --resume: the board keeps what it measured.",
            ) from problem

    def _stopped(self, last: Tail) -> MeasurementError:
        words = last.errors or "it ended without a word"
        if last.free_bytes is not None and last.free_bytes < 1 << 20:
            words += "; its disk is full"
        return MeasurementError(
            f"Measuring on target '{self._board.name}' stopped early: {words}.",
            "What was finished is kept: run the same command again with --resume.",
        )

    @contextlib.contextmanager
    def _stopped_on_interrupt(self) -> Iterator[None]:
        """Ctrl-C stops the board too; any other end leaves it at work."""
        try:
            yield
        except KeyboardInterrupt:
            with contextlib.suppress(TargetError):
                self._board.ask("stop", Done, job=self._name)
            raise


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _holder(holder: dict[str, Any]) -> str:
    since, when = holder.get("since"), ""
    if type(since) is float and 0 <= since <= time.time():
        when = time.strftime(" since %H:%M", time.localtime(since))
    return f"{str(holder.get('host', 'somebody'))[:80]}{when}"
