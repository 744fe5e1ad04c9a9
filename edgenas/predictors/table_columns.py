"""Tables from anywhere: a CSV file, or columns in memory, checked before anything is fitted."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.errors import PredictorError, nearest

_COSTS = ("lat", "latency", "ms", "us", "time", "energy", "mj", "power", "rss", "memory", "bytes")

LETTERS = 0x110000  # of Unicode
MOST_LETTERS = 16
# Sums of squares of greater numbers are infinite.
GREATEST = 1e100
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_COMMA = re.compile(r"[+-]?\d+(?:,\d*)?")
FEWEST_LABELS = 10


@dataclass(frozen=True)
class Rows:
    """Rows to fit. columns : numeric float64 [n], categorical str [n]; response : float64 [n].

    skipped : rows left out because the response or a feature is missing.
    cost : more work never lowers the response (latency, energy, memory).
    labels : text columns left out because each row has its own text.
    """

    name: str
    columns: dict[str, np.ndarray]
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    response: np.ndarray
    skipped: int
    cost: bool
    labels: tuple[str, ...] = ()

    def some(self, part: np.ndarray) -> Rows:
        """Return these rows alone; `part` is int64 [m]."""
        columns = {name: values[part] for name, values in self.columns.items()}
        return replace(self, columns=columns, response=self.response[part])


def read_csv(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a CSV file (.csv or .csv.gz): float64 where all is numbers, else str.

    Raises
    ------
    PredictorError : the file cannot be read as a table; a column name is there twice.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import pandas

    try:
        header = pandas.read_csv(path, header=None, nrows=1, dtype=str).iloc[0].tolist()
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            frame = pandas.read_csv(path, index_col=False)
    except pandas.errors.ParserWarning as problem:
        raise PredictorError(
            f"The rows of {path} have more cells than its first line has names.",
            "Name each column, and write points as decimal marks.",
        ) from problem
    except (OSError, ValueError, EOFError) as problem:  # pandas' parser errors are ValueErrors
        text = " ".join(str(problem).split()).rstrip(".")
        hint = "Save it as text in UTF-8." if isinstance(problem, UnicodeError) else ""
        raise PredictorError(f"Cannot read {path} as a table: {text}.", hint) from problem
    if len(header) == 1 and (found := next((x for x in ";\t|" if x in str(header[0])), "")):
        raise PredictorError(
            f"The columns of {path} are separated by {found!r}.",
            "Separate them by commas, with points as decimal marks.",
        )
    if frame.empty:
        raise PredictorError(f"{path} has no rows.")
    twice = sorted({str(name) for name in header if header.count(name) > 1})
    if twice:
        raise PredictorError(f"{path} has the column '{twice[0]}' twice.", "Rename one of them.")
    columns = as_columns(frame)
    for name, values in columns.items():
        _check_commas(path, name, values)
    return {name: _percent(column) for name, column in columns.items()}


def _check_commas(path: Path, name: str, values: np.ndarray) -> None:
    """Raise `PredictorError` if cells are numbers such as "1,234.5", or all are as "1,5"."""
    if values.dtype.kind == "f":
        return
    cells = [text.strip() for text in values.tolist()]
    written = [text for text in cells if text]
    all_commas = all(map(_COMMA.fullmatch, written)) and any("," in text for text in written)
    for row, text in enumerate(cells):
        if _THOUSANDS.fullmatch(text) or (all_commas and "," in text):
            raise PredictorError(
                f"The column '{name}' of {path} has numbers with commas: row {row + 1} has "
                f"'{text}'.",
                "Write them without thousands separators, with a point as the decimal mark.",
            )


def _percent(column: np.ndarray) -> np.ndarray:
    """Return a column of cells such as "71.2%" as numbers of percent, any other as it is."""
    if column.dtype.kind == "f":
        return column
    _, distinct = factorize(column)
    written = [x for x in distinct.tolist() if x]
    if not written or not all(x.rstrip().endswith("%") and _is_number(x[:-1]) for x in written):
        return column
    return np.array([float(x.rstrip()[:-1]) if x else np.nan for x in column.tolist()])


def as_columns(table: Any) -> dict[str, np.ndarray]:
    """Return the columns of a mapping or a pandas DataFrame, float64 or str; missing text is ""."""
    return {str(name): as_column(table[name]) for name in table}


def as_column(values: Any) -> np.ndarray:
    """Return one column, float64 or str; missing text is ""."""
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        return array.astype(np.float64, copy=False)
    if array.dtype.kind == "U":
        return array
    codes, distinct = factorize(array)
    return np.array([*(x if isinstance(x, str) else "" for x in distinct), ""])[codes]


def factorize(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of each value among the distinct ones, int64 [n], and those; missing: -1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import pandas

    width = values.dtype.itemsize // 4
    if values.dtype.kind != "U" or not 0 < width <= MOST_LETTERS or not values.size:
        return pandas.factorize(values.astype(object) if values.dtype.kind == "U" else values)
    # text is slow to hash, letters are not: place by place, what was distinct so far times letters
    letters = np.ascontiguousarray(values).view(np.uint32).reshape(-1, width).astype(np.int64)
    codes = letters[:, 0]
    for letter in letters.T[1:]:
        codes = pandas.factorize(codes)[0] * LETTERS + letter
    codes, _ = pandas.factorize(codes)
    first = np.full(int(codes.max()) + 1, len(codes))
    np.minimum.at(first, codes, np.arange(len(codes)))
    return codes, values[first]


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
    cost: bool | None = None,
) -> Rows:
    """Return the rows and columns that a fit of `response` uses.

    features : these columns only; () means all but the response and `exclude`.
    categorical : read as categories even if they are numbers; text always is.
    cost : None reads it off the response's name (latency, energy, memory and the like).

    Raises
    ------
    PredictorError : an unknown column, a response that is no number, infinite, or not positive
        where it is a cost; no features; a column that is left out and a feature.
    """
    for name in (response, *features, *categorical, *exclude):
        if name not in columns:
            raise PredictorError(f"The table has no column '{name}'.", nearest(name, columns))
    if columns[response].dtype.kind != "f":
        raise PredictorError(
            f"The response '{response}' is not a column of numbers{_odd_cell(columns[response])}."
        )
    left_out = {response, *exclude}
    for name in (*features, *categorical):
        if name in left_out:
            other = "the response" if name == response else "excluded"
            raise PredictorError(f"The column '{name}' is {other}: it cannot be a feature too.")
    chosen = tuple(name for name in (features or columns) if name not in left_out)
    chosen = (*chosen, *(name for name in categorical if name not in chosen))
    labels = _labels({x: columns[x] for x in chosen if x not in (*features, *categorical)})
    chosen = tuple(name for name in chosen if name not in labels)
    if not chosen:
        raise PredictorError(f"There is no column left to predict '{response}' from.")
    texts = tuple(x for x in chosen if x in categorical or columns[x].dtype.kind != "f")
    for name in texts:
        if name not in categorical and (odd := _odd_cell(columns[name])):
            raise PredictorError(
                f"Most cells of '{name}' are numbers, but not all{odd}.",
                f"Mend the cell, leave it empty, or say --categorical '{name}'.",
            )
    numeric = tuple(name for name in chosen if name not in texts)
    parts = re.split(r"[^a-z0-9]+", response.lower())
    is_cost = any(part in _COSTS for part in parts) if cost is None else cost
    target = columns[response]
    keep = ~np.isnan(target)
    for name in numeric:
        keep &= ~np.isnan(columns[name])
    _check(response, target, is_cost)
    _check_sizes({name: columns[name][keep] for name in (response, *numeric)})
    used = {name: columns[name][keep] for name in numeric}
    used |= {name: categories(columns[name])[keep] for name in texts}
    return Rows(response, used, numeric, texts, target[keep], int((~keep).sum()), is_cost, labels)


def _check_sizes(columns: Mapping[str, np.ndarray]) -> None:
    """Raise `PredictorError` if a number is infinite, or too large to be squared."""
    for name, values in columns.items():
        greatest = np.abs(values).max(initial=0.0)
        if np.isinf(greatest):
            raise PredictorError(f"The column '{name}' is infinite somewhere.")
        if greatest > GREATEST:
            raise PredictorError(
                f"The column '{name}' reaches {greatest:.3g}, too much to compute with.",
                "Divide it by a power of ten, or leave it out with --exclude.",
            )


def _labels(columns: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Return text columns with another text in each row, of ten or more: names of the rows."""
    text = {name: values for name, values in columns.items() if values.dtype.kind != "f"}
    return tuple(
        name
        for name, values in text.items()
        if len(values) >= FEWEST_LABELS
        and len(factorize(values)[1]) == len(values)
        and not _odd_cell(values)
    )


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
    if values.dtype.kind == "f":
        return ""
    numbers = np.array([_is_number(x) for x in values.tolist()])
    if not numbers.size or numbers.all() or numbers.mean() < 0.5:
        return ""
    row = int(np.argmin(numbers))
    return f": row {row + 1} has '{values[row]}'"


def _is_number(text: str) -> bool:
    try:
        float(text or 0)
    except ValueError:
        return False
    return True


def _check(name: str, response: np.ndarray, cost: bool) -> None:
    bad = np.isinf(response) | (cost & (response <= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise PredictorError(
            f"Row {row + 1} has {name} = {response[row]:g}, which cannot have been measured.",
            "Remove the row, or leave the cell empty.",
        )
