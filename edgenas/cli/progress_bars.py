"""Progress on stderr: bars with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from edgenas.cli import interrupts
from edgenas.cli.console import Terminal
from edgenas.cli.terminal import is_quiet, say
from edgenas.core.printable import printable
from edgenas.core.progress import Silent, Task

SECONDS_BETWEEN_LINES = 10.0


class Bars:
    """A `edgenas.core.progress.Progress` that draws; it keeps the warnings for the result.

    Several threads may have tasks at once: one live display shows a bar for each.
    """

    def __init__(self) -> None:
        self.console = Terminal(err=True)
        self.warnings: list[str] = []
        self._lock = threading.Lock()
        self._live: Progress | None = None

    @contextmanager
    def task(self, title: str, total: float) -> Iterator[Task]:
        """Show one bar while the block runs."""
        title = printable(title)
        if is_quiet():
            with Silent().task(title, total) as silent:
                yield silent
            return
        if not self.console.is_terminal:
            yield _Lines(title, total)
            return
        with self._lock:
            live = self._live or self._start()
            bar = live.add_task(title, total=total, note="")
        try:
            yield _Bar(live, bar)
        finally:
            with self._lock:
                self._finish(live, bar)

    def expect(self, seconds: Mapping[str, float]) -> None:
        """Bars tell the time of nothing that has not begun."""

    def message(self, text: str) -> None:
        if not is_quiet():
            self._print(text)

    def warning(self, text: str) -> None:
        if text not in self.warnings:
            self._print(f"warning: {text}", "yellow")
        self.warnings.append(text)

    def close(self) -> None:
        """End what is drawn."""

    def _print(self, text: str, style: str | None = None) -> None:
        if self.console.is_terminal:  # above the bars
            self.console.print(text, style=style)
        else:
            say(text, err=True)

    def _start(self) -> Progress:
        columns = (
            TextColumn("{task.description:<28}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", markup=False),
        )
        self._live = Progress(*columns, console=self.console)
        self._live.start()
        return self._live

    def _finish(self, live: Progress, bar: TaskID) -> None:
        """Leave the finished bar above the others; the last one ends the display."""
        if len(live.tasks) == 1:
            live.stop()
            self._live = None
            return
        done = [task for task in live.tasks if task.id == bar]
        live.remove_task(bar)
        self.console.print(live.make_tasks_table(done))


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, units: float = 1.0) -> None:
        interrupts.check()
        self._progress.advance(self._task, units)

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=printable(text))


class _Lines:
    """A line at the start, then one every few seconds, for logs and pipes."""

    def __init__(self, title: str, total: float) -> None:
        self._title, self._total, self._done, self._note = title, total, 0.0, ""
        self._started = time.monotonic()
        self._printed = self._started
        say(title, err=True)

    def advance(self, units: float = 1.0) -> None:
        interrupts.check()
        self._done += units
        now = time.monotonic()
        if now - self._printed < SECONDS_BETWEEN_LINES or not self._done:
            return
        self._printed = now
        left = (now - self._started) * max(0.0, self._total - self._done) / self._done
        share = 100 * self._done / self._total if self._total else 100
        line = f"{self._title}: {share:.0f} %, {left:.0f} s left {self._note}"
        say(line.rstrip(), err=True)

    def note(self, text: str) -> None:
        self._note = text
