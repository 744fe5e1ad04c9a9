"""progress.json: what a process that works on a run does now, for whoever looks at the folder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from edgenas.core.errors import RunFolderError
from edgenas.core.files.run_folder import RunFolder, write_bytes
from edgenas.core.forecast import Forecast
from edgenas.core.progress import Progress, Task
from edgenas.core.records import to_json

SECONDS_BETWEEN = 2.0


@dataclass(frozen=True)
class AtWork:
    """What a process does now.

    pid, host : which process, on which machine. title, note : of the task, as its bar shows them.
    done : share of the task, 0 to 1. share : of a whole search; None where one step alone is run.
    seconds_left : of the search, else of the task; None where it is not known yet.
    """

    pid: int
    host: str
    title: str
    note: str
    done: float
    share: float | None = None
    seconds_left: float | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs; one on another machine is taken to."""
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except (PermissionError, OverflowError):  # another user's; or a number of no process
            return self.pid < 2**22
        return self.pid > 0


@contextmanager
def kept(folder: RunFolder, progress: Progress, *, whole: bool) -> Iterator[Progress]:
    """Yield a `Progress` that passes everything on, and keeps the file true until the end.

    whole : a search is run from its first step to its last, whose time left can be told.
    """
    try:
        yield _Kept(folder, progress, Forecast() if whole else None)
    finally:
        with contextlib.suppress(OSError):
            folder.progress.unlink(missing_ok=True)


class _Kept:
    def __init__(self, folder: RunFolder, progress: Progress, forecast: Forecast | None) -> None:
        self.warnings = progress.warnings
        self._folder = folder
        self._progress = progress
        self._forecast = forecast
        self._written = -SECONDS_BETWEEN

    @contextmanager
    def task(self, title: str, total: float) -> Iterator[Task]:
        if self._forecast is not None:
            self._forecast.begin(title)
        with self._progress.task(title, total) as inner:
            task = _KeptTask(self, inner, title, total)
            task.show(first=True)
            yield task

    def expect(self, seconds: Mapping[str, float]) -> None:
        if self._forecast is not None:
            self._forecast.expect(seconds)
        self._progress.expect(seconds)

    def message(self, text: str) -> None:
        self._progress.message(text)

    def warning(self, text: str) -> None:
        self._progress.warning(text)

    def show(self, title: str, note: str, done: float, own_left: float | None, first: bool) -> None:
        """Write where the work is, unless it was written a moment ago. first : a task begins."""
        if self._forecast is not None:
            self._forecast.advance(done)
        now = time.monotonic()
        if not first and now - self._written < SECONDS_BETWEEN:
            return
        self._written = now
        share, left = None, own_left
        if self._forecast is not None:
            share, left = self._forecast.share(), self._forecast.seconds_left()
        now_at = AtWork(os.getpid(), socket.gethostname(), title, note, done, share, left)
        content = json.dumps(to_json(now_at)).encode("utf-8", "backslashreplace")
        # A full disk ends no work here: whoever looks sees less.
        with contextlib.suppress(RunFolderError):
            write_bytes(self._folder.progress, content, durable=False)


class _KeptTask:
    def __init__(self, kept: _Kept, inner: Task, title: str, total: float) -> None:
        self._kept, self._inner, self._title, self._total = kept, inner, title, total
        self._done, self._note = 0.0, ""
        self._started = time.monotonic()

    def advance(self, units: float = 1.0) -> None:
        self._done += units
        self._inner.advance(units)
        self.show()

    def note(self, text: str) -> None:
        self._note = text
        self._inner.note(text)
        self.show()

    def show(self, *, first: bool = False) -> None:
        done = min(1.0, self._done / self._total) if self._total else 0.0
        spent = time.monotonic() - self._started
        left = spent * (1 - done) / done if done else None
        self._kept.show(self._title, self._note, done, left, first)
