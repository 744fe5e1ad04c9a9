"""What a dashboard says of a run: plain records, which its page shows as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal[
    "at work", "stopped", "several boards", "pass", "looked up", "fail", "not verified", "damaged"
]


@dataclass(frozen=True)
class Best:
    """The best network so far: the winner of a verified run, else of those measured and evaluated.

    score : fraction. latency_ms : median. Either is None where it is not known.
    score_name : what the run's task calls it, such as "accuracy".
    """

    network: str
    score: float | None
    latency_ms: float | None
    score_name: str


@dataclass(frozen=True)
class Measuring:
    """The job on the target: how warm it is, and how much of the timing does not count.

    temperature_celsius : at the end of the last pass; None where the target does not tell.
    rejected, timed : timings, one a network and pass.
    """

    temperature_celsius: float | None
    rejected: int
    timed: int


@dataclass(frozen=True)
class Doing:
    """What a process does now. done, share : of the step and of the search, 0 to 1."""

    step: str
    note: str
    done: float
    share: float | None
    seconds_left: float | None


@dataclass(frozen=True)
class RunState:
    """One run. name : of its folder, relative to the dashboard's.

    says : what the verdict is about, in sentences, or why it cannot be read. changed_s : seconds
    since 1970. has_report : there is a page. is_finished : it can be compared.
    """

    name: str
    state: State
    changed_s: float
    target: str = ""
    data: str = ""
    space: str = ""
    limits: str = ""
    says: tuple[str, ...] = ()
    doing: Doing | None = None
    measuring: Measuring | None = None
    best: Best | None = None
    has_report: bool = False
    is_finished: bool = False


@dataclass(frozen=True)
class FolderState:
    """The runs of a folder, those that changed last first; unshown : how many there are besides."""

    runs: tuple[RunState, ...]
    unshown: int = 0
