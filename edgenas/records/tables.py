"""What is known of a run on a measured table: its card, what was looked up, what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgenas.records.results import Interval


@dataclass(frozen=True)
class TableResponse:
    """One response of a table. n : networks that have it; the range is in `unit`."""

    name: str
    label: str
    unit: str
    goal: Literal["max", "min"]
    column: str
    n: int
    least: float
    greatest: float


@dataclass(frozen=True)
class TableCard:
    """What a measured table is: nothing behind it can be measured again.

    files : file name -> SHA-256. variables : column -> its values.
    architectures : rows that differ in some choice. networks : those that are not the same one.
    combinations : of the variables' values; more than `architectures` where the table lacks some.
    """

    target: str
    provider: str
    board: str
    engine: str
    files: dict[str, str]
    rows: int
    architectures: int
    networks: int
    combinations: float
    variables: dict[str, tuple[str, ...]]
    responses: tuple[TableResponse, ...]

    def response(self, name: str) -> TableResponse:
        """Return the response of that name."""
        return next(response for response in self.responses if response.name == name)


@dataclass(frozen=True)
class TableNetwork:
    """One network of a table: its index, its first row (from 1), and what it chooses."""

    index: int
    row: int
    choices: dict[str, str]

    def __str__(self) -> str:
        chosen = ", ".join(f"{name}={value}" for name, value in self.choices.items())
        return f"row {self.row}: {chosen}"


@dataclass(frozen=True)
class LookedUp:
    """One network and the values that were looked up.

    asked : responses that were; one that the table lacks is not among the values.
    """

    network: TableNetwork
    asked: tuple[str, ...]
    status: Literal["ok", "failed"]
    reason: str
    values: dict[str, float]


@dataclass(frozen=True)
class LookedUpRows:
    """What was looked up so far. provider : "replayed from FILE"."""

    provider: str
    rows: tuple[LookedUp, ...]


@dataclass(frozen=True)
class TableLimit:
    """A limit on a response, in its unit; None for no limit."""

    response: str
    at_most: float | None = None
    at_least: float | None = None


@dataclass(frozen=True)
class TableCandidate:
    """A network as predicted; what was looked up before is an interval of no width."""

    network: TableNetwork
    predicted: dict[str, Interval]


@dataclass(frozen=True)
class TableSearch:
    """What a search over a table's networks found.

    objectives : responses, first the one that candidates are ordered by.
    cost : what the first objective is traded for; "" for nothing.
    traded : the responses that the frontier is a trade-off between, by their means, whatever the
        limits: all objectives and the cost, which comes first.
    constraints, budget, reward : as they were asked for.
    """

    method: str
    top: int
    objectives: tuple[str, ...]
    limits: tuple[TableLimit, ...]
    cost: str
    confidence: float
    candidates: tuple[TableCandidate, ...]
    frontier: tuple[TableCandidate, ...]
    optimal: bool
    evaluations: int
    seconds: float
    traded: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    budget: int | None = None
    reward: str | None = None


@dataclass(frozen=True)
class TableFinding:
    """A candidate looked up. reasons : limits that it breaks; empty if it keeps all."""

    candidate: TableCandidate
    values: dict[str, float]
    reasons: tuple[str, ...]

    @property
    def within(self) -> bool:
        """Whether it keeps every limit."""
        return not self.reasons


@dataclass(frozen=True)
class TableVerdict:
    """The candidates looked up, best first among those within the limits.

    best : the best network within the limits that the table has; None if there is none.
    regret : of the first objective, what the winner lacks of it; None without a winner.
    true_front : of the responses traded, by the table, whatever the limits.
    """

    status: Literal["looked up", "fail"]
    provider: str
    rounds: int
    findings: tuple[TableFinding, ...]
    best: LookedUp | None
    regret: float | None
    true_front: tuple[LookedUp, ...]

    @property
    def winner(self) -> TableFinding | None:
        """The first candidate that keeps every limit."""
        return next((finding for finding in self.findings if finding.within), None)
