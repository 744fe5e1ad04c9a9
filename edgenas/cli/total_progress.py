"""One line for a whole search: how much of it is done, and about how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from edgenas.cli import interrupts
from edgenas.cli.progress_bars import SECONDS_BETWEEN_LINES, Bars
from edgenas.cli.terminal import say
from edgenas.core.printable import printable
from edgenas.core.progress import Task

# In the order of a search: how the titles of its tasks begin, and the seconds that each takes in a
# default run (docs/benchmarks). Only their proportions count.
STAGES = (
    ("Reading images", 1.0),
    ("Measuring", 3.0),  # one network on each engine, to choose one
    ("Training the supernet", 58.6),
    ("Measuring", 38.1),
    ("Evaluating subnets", 25.7),
    ("Fitting the predictors", 0.3),
    ("Searching", 1.4),
    ("Fine-tuning", 1.0),
    ("Exporting int8 models", 2.5),
    ("Measuring", 12.0),
    ("Running images", 4.5),
    ("Explaining", 0.4),
    ("Writing the report", 2.5),
)
_LEAST_BASIS_S = 5.0  # of a default run, from which the pace of a search says something
_SHARE_KNOWN = 0.05  # of a task, from which on its own speed tells how long it takes


class Forecast:
    """What share of a search is done and how long the rest takes, from the tasks that began.

    A stage that is not reached takes as long as in a default run, as far as this search has been
    slower or faster than that one; the one at work goes on as it did so far. A search that repeats
    stages starts them again: its share never falls, its time left may rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = -1
        self._started = clock()
        self._task_done = 0.0
        self._spent = self._usual = 0.0  # seconds of the finished stages, here and usually
        self._share = 0.0

    def begin(self, title: str) -> None:
        """Take note that a task begins."""
        matching = [i for i, (name, _) in enumerate(STAGES) if title.startswith(name)]
        if not matching:
            return
        later = [i for i in matching if i >= self._stage]
        self._end_stage()
        self._stage = later[0] if later else matching[-1]

    def advance(self, done: float) -> None:
        """Take note of the share of the task at work that is done, 0 to 1."""
        self._task_done = done

    def _end_stage(self) -> None:
        if self._stage >= 0:
            self._spent += self._clock() - self._started
            self._usual += STAGES[self._stage][1]
        self._started, self._task_done = self._clock(), 0.0

    def share(self) -> float:
        """Return the share of the search that is done, 0 to 1."""
        before = sum(seconds for _, seconds in STAGES[: max(self._stage, 0)])
        here = STAGES[self._stage][1] * self._task_done if self._stage >= 0 else 0.0
        self._share = max(self._share, (before + here) / sum(s for _, s in STAGES))
        return self._share

    def seconds_left(self) -> float | None:
        """Return about how long the rest takes; None before anything is known."""
        if self._stage < 0:
            return None
        usual, spent = STAGES[self._stage][1], self._clock() - self._started
        is_known = self._task_done >= _SHARE_KNOWN
        if self._usual + usual * is_known < _LEAST_BASIS_S:
            return None
        whole = spent / self._task_done if is_known else usual * self._spent / self._usual
        pace = (self._spent + whole) / (self._usual + usual)
        later = sum(seconds for _, seconds in STAGES[self._stage + 1 :])
        return max(0.0, whole - spent) + pace * later


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
