"""What the comparison of several boards shows: frozen records, keyed by the targets' names."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgenas.core.records import Architecture, Interval
from edgenas.reporting.document import ReportData


@dataclass(frozen=True)
class FinishedBoard:
    """A board whose search ended with a verdict. report : its own page, relative to this one."""

    target: str
    report: str
    data: ReportData


@dataclass(frozen=True)
class ComparedChoice:
    """What one change does to the latency of each board, in ms, with confidence intervals.

    ratios : the effect over that on the first board, for the others; missing where the first
        board's effect may be zero.
    """

    change: str
    effects: dict[str, Interval]
    ratios: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Crossed:
    """The network that won on `target`, and its predicted latency in ms on every board whose space
    contains it."""

    target: str
    architecture: Architecture
    latency_ms: dict[str, Interval]


@dataclass(frozen=True)
class ComparisonData:
    """Everything that the comparison shows.

    boards : the first is what the others are compared with. failed : target -> what happened.
    speeds : typical latency over that of the first board, over the n_common networks that all
        boards measured. confidence : of the intervals. recommended : engines, in sentences.
    changed : what runs were done with otherwise: its name, and its value in each. noun : "board",
        or "run" where any runs are compared.
    """

    run: str
    confidence: float
    boards: tuple[FinishedBoard, ...]
    failed: dict[str, str] = field(default_factory=dict)
    choices: tuple[ComparedChoice, ...] = ()
    speeds: dict[str, Interval] = field(default_factory=dict)
    n_common: int = 0
    crossed: tuple[Crossed, ...] = ()
    recommended: tuple[str, ...] = ()
    changed: tuple[tuple[str, tuple[str, ...]], ...] = ()
    noun: str = "board"

    @property
    def score(self) -> str:
        """What is scored on every board, such as "accuracy"; "score" where tasks differ."""
        names = {board.data.score for board in self.boards}
        return names.pop() if len(names) == 1 else "score"

    @property
    def tone(self) -> str:
        """The kind of answer, as of one board's page."""
        if not self.passed:
            return "fail"
        return "reserved" if any(board.data.reservations for board in self.boards) else "pass"

    @property
    def passed(self) -> bool:
        """Whether every board has a verified winner."""
        return not self.failed and all(board.data.status == "pass" for board in self.boards)
