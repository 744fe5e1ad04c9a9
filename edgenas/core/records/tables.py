"""What is known of a run on a measured table: its card, and what was looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgenas.core.records.networks import TableRow


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
class LookedUp:
    """One network and the values that were looked up.

    asked : responses that were; one that the table lacks is not among the values.
    """

    network: TableRow
    asked: tuple[str, ...]
    status: Literal["ok", "failed"]
    reason: str
    values: dict[str, float]


@dataclass(frozen=True)
class LookedUpRows:
    """What was looked up so far. provider : "replayed from FILE"."""

    provider: str
    rows: tuple[LookedUp, ...]
