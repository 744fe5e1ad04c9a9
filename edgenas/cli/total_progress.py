"""One line for a whole search: how much of it is done, and about how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from edgenas.cli import interrupts
from edgenas.cli.progress_bars import SECONDS_BETWEEN_LINES, Bars
from edgenas.cli.terminal import say
from edgenas.core.forecast import Forecast
from edgenas.core.printable import printable
from edgenas.core.progress import Task


class TotalProgress(Bars):
    """A `Progress` that shows one line: the share of a search that is done and the time left."""

    def __init__(self) -> None:
        super().__init__()
        self._forecast = Forecast()
        self._bar: TaskID | None = None
        self._printed = -SECONDS_BETWEEN_LINES

    @contextmanager
    def task(self, title: str, total: float) -> Iterator[Task]:
        """Show in the one line what is done while the block runs."""
        self._forecast.begin(title)
        task = _Stage(self, printable(title), total)
        task.show(first=True)
        yield task
        task.show()

    def expect(self, seconds: Mapping[str, float]) -> None:
        """Tell the time left by what is planned."""
        self._forecast.expect(seconds)

    def close(self) -> None:
        """End the line."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, title: str, note: str, done: float | None, *, first: bool) -> None:
        """Show where the search is. done : share of the task at work. first : it begins."""
        if done is not None:
            self._forecast.advance(done)
        share, left = self._forecast.share(), about(self._forecast.seconds_left())
        if self.console.is_terminal:
            if self._live is None or self._bar is None:
                self._live = _display(self)
                self._bar = self._live.add_task("search", total=1.0, left="", note="")
                self._live.start()
            self._live.update(self._bar, completed=share, left=left, note=f"{title} {note}".strip())
            return
        now = time.monotonic()
        if first or now - self._printed >= SECONDS_BETWEEN_LINES:
            self._printed = now
            parts = (f"{share:.0%}", left, f"{title} {note}".strip())
            say(", ".join(part for part in parts if part), err=True)


class _Stage:
    def __init__(self, progress: TotalProgress, title: str, total: float) -> None:
        self._progress, self._title, self._total = progress, title, total
        self._done, self._note = 0.0, ""

    def advance(self, units: float = 1.0) -> None:
        interrupts.check()
        self._done += units
        self.show()

    def note(self, text: str) -> None:
        self._note = printable(text)
        self.show()

    def show(self, *, first: bool = False) -> None:
        done = min(1.0, self._done / self._total) if self._total else 0.0
        self._progress.show(self._title, self._note, done, first=first)


def _display(progress: TotalProgress) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[left]}", markup=False),
        TextColumn("{task.fields[note]}", markup=False),
        console=progress.console,
    )


def about(seconds: float | None) -> str:
    """Return "about 3 min left": to 10 seconds below two minutes, else to minutes."""
    if seconds is None or seconds < 5:
        return ""
    if seconds < 115:
        return f"about {10 * max(1, round(seconds / 10))} s left"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"
