"""Networks of a run, as Python and notebooks see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from edgenas.core.metrics import of_column
from edgenas.core.notebook import html_table
from edgenas.core.records import Architecture, Interval, from_json
from edgenas.core.records.goals import SCORE

if TYPE_CHECKING:
    from edgenas.runs.frontier.stored import FrontPoint


@dataclass(frozen=True)
class Network:
    """One network of a run.

    name : its choices in words. architecture : the same as a record; None for a table's row.
    predicted : by metric, in the metric's unit, with the interval of the run's confidence.
    measured : by metric; of a table's row what was looked up; empty where nothing was.
    file : its int8 model; None where it was not exported.
    """

    name: str
    predicted: Mapping[str, Interval]
    measured: Mapping[str, float] = field(default_factory=dict)
    architecture: Architecture | None = None
    file: Path | None = None

    def _row(self, metrics: Sequence[str]) -> list[str]:
        cells = [self.name]
        for name in metrics:
            shown = of_column(name).shown
            interval, measured = self.predicted.get(name), self.measured.get(name)
            cells.append("" if interval is None else _interval(name, interval))
            cells.append("" if measured is None else shown(measured))
        return cells

    def _repr_html_(self) -> str:
        return Networks([self])._repr_html_()


class Networks(Sequence[Network]):
    """Networks in order; a table in a notebook."""

    def __init__(self, networks: Sequence[Network], title: str = "Networks") -> None:
        self._networks = tuple(networks)
        self._title = title

    @overload
    def __getitem__(self, index: int) -> Network: ...
    @overload
    def __getitem__(self, index: slice) -> Networks: ...
    def __getitem__(self, index: int | slice) -> Network | Networks:
        if isinstance(index, slice):
            return Networks(self._networks[index], self._title)
        return self._networks[index]

    def __len__(self) -> int:
        return len(self._networks)

    def __iter__(self) -> Iterator[Network]:
        return iter(self._networks)

    def __repr__(self) -> str:
        return f"<{len(self)} networks>"

    def _repr_html_(self) -> str:
        known = dict.fromkeys(name for one in self for name in (*one.predicted, *one.measured))
        columns = [head for name in known for head in (f"{name} predicted", f"{name} measured")]
        rows = [network._row(list(known)) for network in self]
        return html_table(self._title, ["network", *columns], rows)


def _interval(name: str, interval: Interval) -> str:
    shown = of_column(name).shown
    if interval.lower == interval.upper:
        return shown(interval.mean)
    return f"{shown(interval.mean)} ({shown(interval.lower)} to {shown(interval.upper)})"


def of_point(point: FrontPoint, measured: Mapping[str, float]) -> Network:
    return Network(point.name, dict(point.predicted), dict(measured), point.architecture)


def of_document(entry: dict[str, Any]) -> Network:
    """Return a network of a search's JSON document: of a board, or of a table."""
    if "choices" in entry:
        choices = ", ".join(f"{key}={value}" for key, value in entry["choices"].items())
        name = f"row {entry['row']}: {choices}"
        predicted = {key: _read(value) for key, value in entry["predicted"].items()}
        return Network(name, predicted, entry.get("looked_up", {}))
    architecture = from_json(entry["architecture"], Architecture, "An architecture")
    predicted = {
        SCORE: _read(entry["predicted_accuracy"]),
        "latency_ms": _read(entry["predicted_latency_ms"]),
        **{key: _read(value) for key, value in entry["predicted"].items()},
    }
    measured = dict(entry["measured"])
    if entry["measured_latency_ms"] is not None:
        measured["latency_ms"] = entry["measured_latency_ms"]["median"]
    if entry["device_accuracy"] is not None:
        measured[SCORE] = entry["device_accuracy"]
    return Network(str(architecture), predicted, measured, architecture, Path(entry["model"]))


def _read(interval: Any) -> Interval:
    return from_json(interval, Interval, "An interval")
