"""A measured table read as networks: which choices each is, and what was measured of it."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.core.errors import InputError, nearest
from edgenas.core.tables.file import read_table
from edgenas.targets.table.target_file import TableTarget

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class MeasuredTable:
    """The distinct architectures of a table, and the networks that they are.

    Architectures differ in some choice; several are one network where the target file says so
    (`same_network`). What is measured of one network in several rows is averaged.

    sha256 : of each file. rows : of the table.
    variables : the architecture's columns. options : by variable, its distinct values, sorted.
    points : int64 [n_architectures, n_variables], indices into `options`, in the table's order.
    network : int64 [n_architectures], the index of each one's network.
    first : int64 [n_networks], the index of each network's first architecture.
    row : int64 [n_networks], the row of the table where each network comes first, from 1.
    responses : float64 [n_networks] each, in the unit of its name; NaN where it is missing.
    """

    target: TableTarget
    sha256: dict[str, str]
    rows: int
    variables: tuple[str, ...]
    options: tuple[np.ndarray, ...]
    points: np.ndarray
    network: np.ndarray
    first: np.ndarray
    row: np.ndarray
    responses: dict[str, np.ndarray]

    @property
    def categorical(self) -> tuple[str, ...]:
        """The variables that are categories."""
        said = set(matching(self.target.categorical, self.variables))
        pairs = zip(self.variables, self.options, strict=True)
        return tuple(name for name, values in pairs if name in said or values.dtype.kind != "f")

    def choices(self) -> Columns:
        """Return the choices of the networks as columns, [n_networks] each."""
        points = self.points[self.first]
        pairs = zip(self.variables, self.options, strict=True)
        return {name: values[points[:, i]] for i, (name, values) in enumerate(pairs)}

    @property
    def provider(self) -> str:
        """Where the values come from, in words."""
        return f"replayed from {' and '.join(self.sha256)}"

    def shown(self, network: int) -> dict[str, str]:
        """Return the choices of a network, as the table writes them."""
        point = self.points[self.first[network]]
        pairs = zip(self.variables, self.options, point, strict=True)
        return {name: _text(values[index]) for name, values, index in pairs}

    def response(self, name: str) -> np.ndarray:
        """Return one response; `InputError` names the nearest one where there is no such."""
        if name not in self.responses:
            raise InputError(
                f"{self.target.source} has no response '{name}'.", nearest(name, self.responses)
            )
        return self.responses[name]


def read(target: TableTarget) -> MeasuredTable:
    """Read the CSV files that a target file names.

    Raises
    ------
    InputError : a file or a column is not there, there are no rows, a choice is missing or is
        none, or a response cannot be what it is said to be.
    """
    path = target.file(target.path)
    columns, sha256 = _load(path, target), {path.name: _sha256(path)}
    rows = len(next(iter(columns.values()), ()))
    if target.join:
        more = target.file(target.join)
        columns = _joined(columns, _load(more, target), target)
        sha256[more.name] = _sha256(more)
    if not rows:
        raise InputError(f"{path} has no rows.")
    variables = _variables(columns, target)
    options, codes = [], []
    for name in variables:
        values, code = np.unique(columns[name], return_inverse=True)
        options.append(values)
        codes.append(code)
    points = np.column_stack(codes).astype(np.int64)
    first_row, architecture = _first_seen(points)
    network_of_row = architecture
    if target.same_network:
        same = _complete(columns, target.same_network, target)
        _, network_of_row = _first_seen(same[:, None])
        _check_networks(architecture, network_of_row, first_row, target)
    network = network_of_row[first_row]
    first = np.unique(network, return_index=True)[1]
    responses = {name: _response(columns, name, target) for name in target.responses}
    return MeasuredTable(
        target=target,
        sha256=sha256,
        rows=rows,
        variables=variables,
        options=tuple(options),
        points=points[first_row],
        network=network,
        first=first,
        row=first_row[first] + 1,
        responses={name: _averaged(x, network_of_row) for name, x in responses.items()},
    )


def matching(patterns: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that a pattern is, or matches with its "*", in the order of the patterns."""
    found = [
        name
        for pattern in patterns
        for name in ([pattern] if pattern in names else fnmatch.filter(names, pattern))
    ]
    return tuple(dict.fromkeys(found))


def _load(path: Path, target: TableTarget) -> Columns:
    if not path.is_file():
        raise InputError(
            f"{target.source} names the table {path}, which is not there.",
            "Paths are relative to the target file.",
        )
    return read_table(path)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _column(columns: Mapping[str, np.ndarray], name: str, target: TableTarget) -> np.ndarray:
    if name not in columns:
        raise InputError(
            f"{target.source} names the column '{name}', which the table does not have.",
            nearest(name, columns),
        )
    return columns[name]


def _complete(columns: Mapping[str, np.ndarray], name: str, target: TableTarget) -> np.ndarray:
    values = _column(columns, name, target)
    missing = np.isnan(values) if values.dtype.kind == "f" else values == ""
    if missing.any():
        row = int(np.argmax(missing)) + 1
        raise InputError(f"Row {row} of {target.path} has nothing in the column '{name}'.")
    return values


def _joined(left: Columns, right: Columns, target: TableTarget) -> Columns:
    """Return `left` with the columns that only `right` has; missing where no row is equal."""
    keys = [
        list(zip(*(_column(x, name, target).tolist() for name in target.join_on), strict=True))
        for x in (left, right)
    ]
    place = {key: row for row, key in enumerate(keys[1])}
    if len(place) < len(keys[1]):
        raise InputError(f"{target.join} has rows that are equal in {', '.join(target.join_on)}.")
    rows = np.array([place.get(key, -1) for key in keys[0]], np.int64)
    if not (rows >= 0).any():
        raise InputError(f"No row of {target.path} has its like in {target.join}.")
    more = {}
    for name in right.keys() - left.keys():
        missing = np.nan if right[name].dtype.kind == "f" else ""
        more[name] = np.where(rows >= 0, right[name][rows], missing)
    return {**left, **more}


def _variables(columns: Columns, target: TableTarget) -> tuple[str, ...]:
    """Return the columns that are choices; those that only a pattern names may be constant."""
    found = matching(target.architecture, tuple(columns))
    for name in target.architecture:
        if not matching((name,), found):
            _column(columns, name, target)
    varying = []
    for name in found:
        values = _complete(columns, name, target)
        if np.all(values == values[0]):
            if name in target.architecture:
                raise InputError(
                    f"The column '{name}' of {target.path} is always {values[0]}: no choice.",
                    "Leave it out of `architecture`.",
                )
            continue
        varying.append(name)
    if not varying:
        raise InputError(f"No column of {target.path} that `architecture` names varies.")
    for name in target.categorical:
        if not matching((name,), found):
            raise InputError(
                f"{target.source}: the category '{name}' is not in `architecture`.",
                nearest(name, found),
            )
    return tuple(varying)


def _first_seen(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the distinct rows of [n, v] in the order in which they come.

    Returns the row where each comes first, int64 [m], and the number of each row, int64 [n].
    """
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse.reshape(-1)]


def _check_networks(
    architecture: np.ndarray, network: np.ndarray, first_row: np.ndarray, target: TableTarget
) -> None:
    wrong = np.flatnonzero(network != network[first_row][architecture])
    if wrong.size:
        raise InputError(
            f"Row {wrong[0] + 1} of {target.path} has the choices of row "
            f"{first_row[architecture[wrong[0]]] + 1} and another '{target.same_network}'."
        )


def _averaged(values: np.ndarray, network: np.ndarray) -> np.ndarray:
    """Return the mean over the rows of each network that have a value; NaN where none has."""
    known = np.isfinite(values)
    count = np.bincount(network, known)
    total = np.bincount(network, np.where(known, values, 0.0))
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _response(columns: Columns, name: str, target: TableTarget) -> np.ndarray:
    said = target.responses[name]
    values = _column(columns, said.column, target)
    where = f"The column '{said.column}' of {target.path}, said to be {name},"
    if values.dtype.kind != "f":
        raise InputError(f"{where} has cells that are no numbers.", "Leave missing ones empty.")
    known = values[~np.isnan(values)]
    if not known.size:
        raise InputError(f"{where} is empty.")
    unit = target.response(name).unit
    if unit == "fraction":
        _check_accuracy(name, known, said.unit, where)
    bad = np.isinf(values)
    if unit in ("ms", "mJ", "bytes"):
        bad |= values <= 0
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{where} is {values[row]:g} in row {row + 1}, which cannot have been measured.",
            "Remove the row, or leave the cell empty.",
        )
    scaled: np.ndarray = values * target.factor(name)
    return scaled


def _check_accuracy(name: str, known: np.ndarray, unit: str, where: str) -> None:
    low, high = known.min(), known.max()
    in_percent = unit in ("percent", "%")
    other = "fraction" if in_percent else "percent"
    fits = low >= 0 and (1 < high <= 100 if in_percent else high <= 1)
    if fits:
        return
    hint = f'Say unit = "{other}" for it.'
    if low < 0 or high > 100:
        hint = f'Call it something else than {name}, with goal = "max".'
    raise InputError(f"{where} goes from {low:g} to {high:g}: no {unit or 'fraction'}.", hint)


def _text(value: float | str) -> str:
    return str(value) if isinstance(value, str) else f"{value:g}"  # of numpy's texts, too
