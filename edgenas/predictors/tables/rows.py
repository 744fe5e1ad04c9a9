"""Columns of a table, checked before anything is fitted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.core.counted import are, counted
from edgenas.core.errors import PredictorError, nearest
from edgenas.core.tables import numbers as table_cells
from edgenas.core.tables.columns import as_column, factorize
from edgenas.predictors.base import Runs
from edgenas.predictors.tables import coded_categories, doubts, screening

_COSTS = ("lat", "latency", "ms", "us", "time", "energy", "mj", "power", "rss", "memory", "bytes")

# Sums of squares of greater numbers are infinite.
GREATEST = 1e100
FEWEST_LABELS = 10
# Of so many rows, texts that are others in so many of them name rows, unless they are codes of two
# numbers or more.
FEWEST_NEARLY, NEARLY_ANOTHER, FEWEST_ATTRIBUTES = 30, 0.8, 2
# And whatever their share, so many texts are no choice that one could read.
MOST_TEXTS = 1000
MOST_NAMED_ROWS = 10
ANOTHER_TEXT = "has another text in each row"


@dataclass(frozen=True)
class Rows:
    """Rows to fit. columns : numeric float64 [n], categorical str [n]; response : float64 [n].

    skipped : rows left out because the response or a feature is missing.
    cost : more work never lowers the response (latency, energy, memory).
    left_out : columns that are no features, each with the reason. warnings : what is odd, in words.
    network : the network that each row is of, int64 [n]; rows of one are left out together.
    runs : the single runs, if the rows are means of the runs of one network each.
    """

    name: str
    columns: dict[str, np.ndarray]
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    response: np.ndarray
    skipped: int
    cost: bool
    left_out: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    network: np.ndarray | None = None
    runs: Runs | None = None

    @property
    def constant(self) -> dict[str, float]:
        """The value of each numeric column that never varies."""
        numbers = {name: self.columns[name] for name in self.numeric}
        return {name: float(x[0]) for name, x in numbers.items() if np.ptp(x) == 0}

    def some(self, part: np.ndarray) -> Rows:
        """Return these rows alone; `part` is int64 [m]."""
        columns = {name: values[part] for name, values in self.columns.items()}
        network = None if self.network is None else self.network[part]
        response = self.response[part]
        return replace(self, columns=columns, response=response, network=network, runs=None)

    def averaged(self) -> Rows:
        """Return one row a network, with the mean of its runs, where runs are repeated."""
        if self.network is None or not screening.repeated(self.network, self.columns):
            return self
        _, first, network = np.unique(self.network, return_index=True, return_inverse=True)
        mean = np.bincount(network, self.response) / np.bincount(network)
        rows = replace(self.some(first), response=mean, network=None)
        return replace(rows, runs=Runs(network, self.response))


def read_csv(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a table file; `table_file.read_table` under its earlier name."""
    from edgenas.core.tables.file import read_table

    return read_table(path)


def encode(values: Any, known: Sequence[str]) -> np.ndarray:
    """Return the code of each row's category, int64 [n]: its place in `known`, or len(known)."""
    codes, distinct = factorize(np.asarray(values))
    texts = [*categories(as_column(distinct)).tolist(), ""]
    place = {name: index for index, name in enumerate(known)}
    return np.array([place.get(text, len(known)) for text in texts])[codes]


def choose_rows(
    columns: Mapping[str, np.ndarray],
    response: str,
    *,
    features: Sequence[str] = (),
    categorical: Sequence[str] = (),
    exclude: Sequence[str] = (),
    keep: Sequence[str] = (),
    cost: bool | None = None,
) -> Rows:
    """Return the rows and columns that a fit of `response` uses.

    features : these columns only; () means all but the response, `exclude`, and what `screening`
        finds to be no feature.
    categorical : read as categories even if they are numbers; text always is.
    keep : columns that are features whatever they look like.
    cost : None reads it off the response's name (latency, energy, memory and the like).

    Raises
    ------
    PredictorError : an unknown column, a response that is no number, infinite, or not positive
        where it is a cost; no features; a column that is left out and a feature.
    """
    for name in (response, *features, *categorical, *exclude, *keep):
        if name not in columns:
            raise PredictorError(f"The table has no column '{name}'.", nearest(name, columns))
    if columns[response].dtype.kind != "f":
        raise _no_numbers(
            f"The response '{response}' is not a column of numbers", response, columns
        )
    unused = {response, *exclude}
    for name in (*features, *categorical, *keep):
        if name in unused:
            other = "the response" if name == response else "excluded"
            raise PredictorError(f"The column '{name}' is {other}: it cannot be a feature too.")
    chosen = tuple(name for name in (features or columns) if name not in unused)
    chosen = tuple(dict.fromkeys((*chosen, *categorical, *keep)))
    asked = {*features, *categorical, *keep}
    free = {name: columns[name] for name in chosen if name not in asked}
    left_out = _labels(free)
    free = {
        name: values
        for name, values in free.items()
        if name not in left_out and not _odd_cell(values) and not two_readings(values)
    }
    left_out |= screening.left_out({**columns, **free}, response, tuple(free))
    chosen = tuple(name for name in chosen if name not in left_out)
    if not chosen:
        reasons = "".join(f" '{name}' {why}." for name, why in left_out.items())
        raise PredictorError(
            f"There is no column left to predict '{response}' from.{reasons}",
            "Say --keep COLUMN to use one all the same."
            if left_out
            else "The table needs columns that say what each network is.",
        )
    texts = tuple(x for x in chosen if x in categorical or columns[x].dtype.kind != "f")
    for name in texts:
        if name not in categorical and (_odd_cell(columns[name]) or two_readings(columns[name])):
            raise _no_numbers(f"Most cells of '{name}' are numbers, but not all", name, columns)
    numeric = tuple(name for name in chosen if name not in texts)
    parts = re.split(r"[^a-z0-9]+", response.lower())
    is_cost = any(part in _COSTS for part in parts) if cost is None else cost
    target = columns[response]
    complete = ~np.isnan(target)
    for name in numeric:
        complete &= ~np.isnan(columns[name])
    _check(response, target, is_cost)
    _check_sizes({name: columns[name] for name in (response, *numeric)}, complete)
    warnings_ = _incomplete({name: columns[name] for name in (response, *numeric)}, complete)
    zeros = "" if is_cost else doubts.zeros_among_rates(response, target)
    warnings_ += [said for said in (zeros, doubts.stand_ins(response, target)) if said]
    if len(chosen) > 1:
        warnings_ += [
            f"'{name}' follows {response} in nearly all rows. If it was measured with it, what is "
            f"held out looks better than it is: --exclude '{name}'."
            for name in screening.restating(columns, response, numeric)
        ]
    used = {name: columns[name][complete] for name in numeric}
    used |= {name: categories(columns[name])[complete] for name in texts}
    network = screening.networks(used)
    if said := doubts.contradictions(response, target[complete], network):
        warnings_.append(said)
    return Rows(
        name=response,
        columns=used,
        numeric=numeric,
        categorical=texts,
        response=target[complete],
        skipped=int((~complete).sum()),
        cost=is_cost,
        left_out=left_out,
        warnings=tuple(warnings_),
        network=network,
    )


def _incomplete(columns: Mapping[str, np.ndarray], complete: np.ndarray) -> list[str]:
    """Return a warning of the column that empties most rows, where many are skipped.

    Raises
    ------
    PredictorError : it leaves no row.
    """
    missing = {name: int(np.isnan(values).sum()) for name, values in columns.items()}
    worst = max(missing, key=missing.__getitem__)
    rows, skipped = len(complete), int((~complete).sum())
    if skipped <= rows / 5:
        return []
    sentence = f"'{worst}' has no value in {missing[worst]} of {counted(rows, 'row')}"
    if skipped < rows:
        return [f"{skipped} of {counted(rows, 'row')} {are(skipped)} skipped: {sentence}."]
    hint = "" if worst == next(iter(columns)) else f"Leave the column out: --exclude '{worst}'."
    raise PredictorError(f"No row has a value in every column: {sentence}.", hint)


def _no_numbers(what: str, name: str, columns: Mapping[str, np.ndarray]) -> PredictorError:
    """Return the error of a column whose cells are not all numbers, with the first that is none."""
    odd = _odd_cell(columns[name])
    if cell := two_readings(columns[name]):
        leave = f", or leave it out: --exclude '{name}'" if what.startswith("Most") else ""
        return PredictorError(
            f"The column '{name}' can be read in two ways: '{cell}' is one thousand and more, or "
            "has a decimal comma.",
            f"Write its cells with a point as the decimal mark, and thousands without a mark{leave}"
            ".",
        )
    rows = leave_out(odd_rows(columns[name]))
    hint = f"Mend the cells, or {rows or 'leave those empty that have no value'}."
    if not odd:
        odd = _first_text(columns[name])
    if what.startswith("Most"):
        hint = f"Mend the cell, {rows or 'leave it empty'}, or say --categorical '{name}'."
    return PredictorError(f"{what}{odd}.", hint)


def _check_sizes(columns: Mapping[str, np.ndarray], complete: np.ndarray) -> None:
    """Raise `PredictorError` if a number of a complete row is infinite, or too large to be squared.

    complete : bool [n].
    """
    for name, values in columns.items():
        sizes = np.where(complete, np.abs(values), 0.0)
        greatest, row = sizes.max(initial=0.0), int(np.argmax(sizes)) + 1
        if np.isinf(greatest):
            raise PredictorError(
                f"Row {row} has {name} = {values[row - 1]:g}.",
                f"Leave the cell empty, or leave the column out: --exclude '{name}'.",
            )
        if greatest > GREATEST:
            raise PredictorError(
                f"Row {row} has {name} = {values[row - 1]:.3g}, too much to compute with.",
                "Divide the column by a power of ten, or leave it out with --exclude.",
            )


def _labels(columns: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return text columns with another text in each row, of ten or more, or in most rows, of more:
    names of the rows; or with more than `MOST_TEXTS`. Texts that numbers can be read from may be
    choices."""
    found = {}
    for name, values in columns.items():
        if values.dtype.kind == "f" or _odd_cell(values) or two_readings(values):
            continue
        distinct = factorize(values)[1].astype(str).tolist()
        if len(values) >= FEWEST_LABELS and len(distinct) == len(values):
            found[name] = ANOTHER_TEXT
        elif len(distinct) > MOST_TEXTS or (
            len(values) >= FEWEST_NEARLY
            and len(distinct) > NEARLY_ANOTHER * len(values)
            and len(coded_categories.attributes(distinct)) < FEWEST_ATTRIBUTES
        ):
            found[name] = f"has {counted(len(distinct), 'text')} in {counted(len(values), 'row')}"
    return found


def categories(values: np.ndarray) -> np.ndarray:
    """Return the values as text; whole numbers without their decimal point."""
    if values.dtype.kind != "f":
        return values.astype(str)
    codes, distinct = factorize(values)
    return np.array([*(f"{x:g}" for x in distinct), "nan"])[codes]


def not_finite(values: np.ndarray) -> str:
    """Return where a column first has no finite number, such as ": row 4"."""
    if values.dtype.kind != "f":
        return _odd_cell(values)
    return f": row {int(np.argmin(np.isfinite(values))) + 1}"


def _odd_cell(values: np.ndarray) -> str:
    """Return where text first stands among cells that are mostly numbers, "" if it does not."""
    rows = odd_rows(values)
    return f": row {rows[0] + 1} has '{values[rows[0]]}'" if rows.size else ""


def odd_rows(values: np.ndarray) -> np.ndarray:
    """Return the rows of text among cells that are mostly numbers, int64."""
    if values.dtype.kind == "f" or not values.size:
        return np.zeros(0, np.int64)
    codes, distinct = factorize(values)
    number = np.array([_is_number(x) for x in np.asarray(distinct).tolist()])[codes]
    return np.flatnonzero(~number) if number.mean() >= 0.5 else np.zeros(0, np.int64)


def leave_out(rows: np.ndarray) -> str:
    """Return how to say that these few rows, from 0 on, are to be left out; "" if they are many."""
    if not 0 < rows.size <= MOST_NAMED_ROWS:
        return ""
    listed = ",".join(str(row + 1) for row in rows.tolist())
    return f"leave the row{'s' * (rows.size > 1)} out: --drop-rows {listed}"


def _first_text(values: np.ndarray) -> str:
    """Return where the first cell stands that is no number, "" if all are."""
    for row, text in enumerate(values.tolist(), 1):
        if not _is_number(text):
            return f": row {row} has '{text}'"
    return ""


def two_readings(values: np.ndarray) -> str:
    """Return the first cell such as "1,234" of a column that else holds numbers only, or ""."""
    if values.dtype.kind == "f":
        return ""
    cells = sorted(text for text in map(str, factorize(values)[1]) if text.strip())
    commas = [text for text in cells if table_cells.ambiguous(text)]
    return commas[0] if commas and all(x in commas or _is_number(x) for x in cells) else ""


def _is_number(text: str) -> bool:
    try:
        float(text or 0)
    except ValueError:
        return False
    return True


def _check(name: str, response: np.ndarray, cost: bool) -> None:
    bad = np.isinf(response) | (cost & (response <= 0))
    if bad.any():
        row, more = int(np.argmax(bad)), int(bad.sum()) - 1
        others = f", nor can that of {counted(more, 'more row')}" if more else ""
        raise PredictorError(
            f"Row {row + 1} has {name} = {response[row]:g}, which cannot have been measured"
            f"{others}.",
            "Leave such cells empty: their rows are then passed over.",
        )
