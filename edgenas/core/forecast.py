"""How far a search is, and about how long it still takes, from the tasks that it begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

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

    A stage that is not reached takes as long as it is planned to; without a plan as long as in a
    default run, as far as this search has been slower or faster than that one in what is not
    planned. The one at work goes on as it did so far. A search that repeats
    stages starts them again: its share never falls, its time left may rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = -1
        self._started = clock()
        self._task_done = 0.0
        self._spent = self._usual = 0.0  # seconds of unplanned finished stages, here and usually
        self._planned: dict[int, float] = {}  # seconds, by stage
        self._spent_in: dict[int, float] = {}  # seconds of the finished tasks of a stage
        self._share = 0.0

    def expect(self, seconds: Mapping[str, float]) -> None:
        """Take note of how long stages are planned to take, by how the titles of tasks begin."""
        self._planned |= {i: seconds[name] for i, (name, _) in enumerate(STAGES) if name in seconds}

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
            spent = self._clock() - self._started
            self._spent_in[self._stage] = self._spent_in.get(self._stage, 0.0) + spent
            if self._stage not in self._planned:
                self._spent += spent
                self._usual += STAGES[self._stage][1]
        self._started, self._task_done = self._clock(), 0.0

    def share(self) -> float:
        """Return the share of the search that is done, 0 to 1."""
        usual = [self._planned.get(i, seconds) for i, (_, seconds) in enumerate(STAGES)]
        here = usual[self._stage] * self._task_done if self._stage >= 0 else 0.0
        done = sum(usual[: max(self._stage, 0)]) + here
        self._share = max(self._share, done / sum(usual))
        return self._share

    def seconds_left(self) -> float | None:
        """Return about how long the rest takes; None before anything is known."""
        if self._stage < 0:
            return None
        spent, is_known = self._clock() - self._started, self._task_done >= _SHARE_KNOWN
        own_left = spent / self._task_done - spent if is_known else 0.0
        planned = sum(self._planned_left(i) for i in self._planned if i > self._stage)
        later = sum(
            seconds for i, (_, seconds) in enumerate(STAGES) if i > self._stage
            and i not in self._planned
        )  # fmt: skip
        if self._stage in self._planned:
            pace = self._spent / self._usual if self._usual >= _LEAST_BASIS_S else 1.0
            return max(own_left, self._planned_left(self._stage) - spent) + planned + pace * later
        usual = STAGES[self._stage][1]
        if self._usual + usual * is_known < _LEAST_BASIS_S:
            return None
        whole = spent + own_left if is_known else usual * self._spent / self._usual
        pace = (self._spent + whole) / (self._usual + usual)
        return max(0.0, whole - spent) + planned + pace * later

    def _planned_left(self, stage: int) -> float:
        return max(0.0, self._planned[stage] - self._spent_in.get(stage, 0.0))
