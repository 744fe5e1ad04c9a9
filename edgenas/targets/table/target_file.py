"""Target files of kind "table": which columns of a measured CSV are what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from edgenas.core.errors import InputError, nearest
from edgenas.core.files.toml import read_toml
from edgenas.core.metrics import ResponseKind, of_column
from edgenas.core.records import from_json

KIND = "table"
SHARES = {"fraction": 1.0, "percent": 0.01, "%": 0.01}


@dataclass(frozen=True)
class Column:
    """Where a response is read from.

    unit : of the column; "" for the response's own: what its name ends in, or a fraction.
    goal : "" for what the response's name tells.
    """

    column: str
    unit: str = ""
    goal: Literal["max", "min", ""] = ""


@dataclass(frozen=True)
class TableTarget:
    """What a target file of kind "table" says.

    path, join : CSV files, relative to the target file; the rows of `join` that are equal in the
        columns `join_on` add their columns.
    architecture : columns that are the choices; a name may have "*". categorical : those of them
        that are categories although they are numbers; text always is.
    same_network : column that is equal in rows that are the same network.
    responses : response -> column. engine, board : what it was measured with, in words.
    """

    name: str
    source: str
    path: str
    architecture: tuple[str, ...]
    responses: dict[str, Column]
    kind: str = KIND
    categorical: tuple[str, ...] = ()
    join: str = ""
    join_on: tuple[str, ...] = ()
    same_network: str = ""
    engine: str = ""
    board: str = ""

    def file(self, path: str) -> Path:
        """Return where a path of the file is."""
        return Path(self.source).parent / Path(path).expanduser()

    def response(self, name: str) -> ResponseKind:
        """Return what a response of the table is."""
        kind = of_column(name)
        return replace(kind, goal=self.responses[name].goal or kind.goal)

    @property
    def kinds(self) -> dict[str, ResponseKind]:
        """The responses of the table, by name."""
        return {name: self.response(name) for name in self.responses}

    def factor(self, name: str) -> float:
        """Return what the cells of a response's column are multiplied by."""
        unit = self.responses[name].unit
        return units_of(of_column(name))[unit] if unit else 1.0


def units_of(kind: ResponseKind) -> Mapping[str, float]:
    """Return the units that a column of a response can be in, over the response's own."""
    return SHARES if kind.unit == "fraction" else kind.units


def is_table(target: str) -> bool:
    """Return whether `target` names a target file of kind "table" that is there."""
    path = Path(target)
    return path.suffix == ".toml" and path.exists() and read_toml(path).get("kind") == KIND


def read(path: Path) -> TableTarget:
    """Return the target file `path`; `InputError` names the file and the first wrong key."""
    document, where = read_toml(path), f"The target file {path}"
    known = [item.name for item in fields(TableTarget) if item.name != "source"]
    for key in document:
        if key not in known:
            raise InputError(f"{where} has an unknown key '{key}'.", nearest(key, known))
    given: dict[str, Any] = {"name": path.stem, **document, "source": str(path)}
    responses = given.get("responses")
    if isinstance(responses, Mapping):
        given["responses"] = {
            name: {"column": said} if isinstance(said, str) else said
            for name, said in responses.items()
        }
    target = from_json(given, TableTarget, where)
    _check(target, where)
    return target


def _check(target: TableTarget, where: str) -> None:
    if not target.architecture or not target.responses:
        raise InputError(
            f"{where} names no {'responses' if target.architecture else 'architecture'}.",
            "See targets/table.toml for an example.",
        )
    if bool(target.join) != bool(target.join_on):
        raise InputError(f"{where} needs both of join (a CSV file) and join_on (columns).")
    for name, column in target.responses.items():
        kind = of_column(name)
        units = units_of(kind)
        if column.unit and column.unit not in units:
            raise InputError(
                f"{where}: {name} cannot be read in '{column.unit}'.", nearest(column.unit, units)
            )
        if not (column.goal or kind.goal):
            raise InputError(
                f"{where}: is {name} better high or low?",
                f'Write {name} = {{ column = "{column.column}", goal = "max" }}, or "min".',
            )
