"""Tables as they are published: text of any separator, parquet, JSON lines and workbooks."""

from __future__ import annotations

import csv
import io
import itertools
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from edgenas.core.counted import counted
from edgenas.core.errors import PredictorError
from edgenas.core.files.regular import require_regular
from edgenas.core.tables import numbers
from edgenas.core.tables.columns import as_column, as_columns, factorize
from edgenas.core.tables.json_rows import LINES, NESTED, flat, json_rows
from edgenas.core.tables.layout import (
    LINES_ABOVE,
    TextForm,
    cells,
    decoded,
    joined_names,
    names_row,
    text_form,
    uncompressed,
)

TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
PARQUET, WORKBOOK = (".parquet",), (".xlsx",)
JSON = (*LINES, ".json", ".json.gz")
SUFFIXES = (*TEXT, *JSON, *PARQUET, *WORKBOOK)
ROWS_AT_ONCE = 10_000
NAMED_COMMENTS = 3  # comment lines that are quoted in a note
_UNNAMED = re.compile(r"Unnamed: \d+")
# Spaces that look like one, and marks that look like nothing: nobody types them.
_LIKE_A_SPACE = str.maketrans(
    dict.fromkeys("\u00a0\u2007\u2009\u202f", " ") | dict.fromkeys("\u200b\ufeff")
)
_CELLS = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
_DASHES = re.compile(r"[-\u2013\u2014]+")
# pandas' own errors of parsing, and those of parquet files, are ValueErrors.
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RecursionError,
    BadZipFile,
    zlib.error,
    csv.Error,
)
EXTRA = "pip install 'edgenas[tables]'"


class Table(dict[str, np.ndarray]):
    """The columns of a file, float64 [n] where all is numbers, else str [n].

    notes : what was read otherwise than it stands there, a sentence each.
    """

    def __init__(self, columns: Mapping[str, np.ndarray], notes: Sequence[str] = ()) -> None:
        super().__init__(columns)
        self.notes = tuple(notes)


def is_table(path: Path) -> bool:
    """Return whether a file's name is that of a table."""
    return path.name.lower().endswith(SUFFIXES)


def read_table(path: Path, without: Collection[int] = ()) -> Table:
    """Return the columns of a file: .csv, .tsv, .txt, .json, .jsonl (also .gz), .parquet, .xlsx.

    Comment lines, columns without name and content, units in cells and words for missing values
    are read as what they are, and told in `notes`.

    without : rows, from 1 on, that are read as empty, so that the others keep their numbers.

    Raises
    ------
    PredictorError : the file cannot be read as a table; a column name is there twice; a package
        that its kind needs is not installed; there is no such row to leave out.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import pandas

    _check_file(path)
    notes: list[str] = []
    try:
        form = text_form(path) if path.name.lower().endswith(TEXT) else None
        frame = _frame(path, form, pandas, notes)
    except ImportError as problem:
        raise PredictorError(
            f"To read {path} edgenas needs the package {problem.name}.", f"Install it: {EXTRA}"
        ) from problem
    except PredictorError:
        raise
    except UNREADABLE as problem:
        text = " ".join(str(problem).split())[:200].rstrip(".")
        if cells_of := _CELLS.search(text):
            names, line, more = cells_of.groups()
            raise PredictorError(
                f"Line {line} of {path} has {more} cells; its first line names {names} columns.",
                "Name each column, or take the line out.",
            ) from problem
        raise PredictorError(f"Cannot read {path} as a table: {text}.") from problem
    if frame.empty:
        raise PredictorError(f"{path} has no rows.")
    frame = _named(path, frame, notes)
    frame = _without_units_row(frame, notes)
    if without:
        frame = _emptied(path, frame, without)
    commas = form is not None and form.separator == ","
    return Table(_columns(frame, notes, commas), notes)


def widened(path: Path, added: Sequence[Sequence[Any]]) -> str:
    """Return the rows of a table as CSV text with more cells at the end of each, names first.

    The cells of a text file stay as they stand there, and keep its separator.
    """
    separator = ","
    if path.name.lower().endswith(TEXT):
        form = text_form(path)
        separator = "," if form.separator == " " else form.separator
        count = sum(1 for _ in _rows(form))
        rows = _rows(form)
        names = next(rows)
        if count > len(added):  # a row of units is no network
            next(rows)
    else:
        table = read_table(path)
        names = list(table)
        rows = map(list, zip(*(values.tolist() for values in table.values()), strict=True))
    width, written = len(names), []
    pairs = zip(itertools.chain([names], rows), added, strict=True)
    while some := list(itertools.islice(pairs, ROWS_AT_ONCE)):
        text = io.StringIO()
        writer = csv.writer(text, delimiter=separator, lineterminator="\n")
        # some rows end early, or in a comma
        writer.writerows((*[*row, *[""] * width][:width], *more) for row, more in some)
        written.append(text.getvalue())
    return "".join(written)


def _rows(form: TextForm) -> Iterator[list[str]]:
    """Yield the cells of each row, names first."""
    lines = (f"{line}\n" for line in form.body.split("\n"))
    reader: Iterable[list[str]] = (
        map(str.split, lines)
        if form.separator == " "
        else csv.reader(lines, delimiter=form.separator, skipinitialspace=True)
    )
    return (row for row in reader if len(row) > 1 or "".join(row).strip())


def _check_file(path: Path) -> None:
    require_regular(path, PredictorError)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "not there"
        raise PredictorError(f"Cannot read {path} as a table: it is {what}.")
    if not is_table(path):
        raise PredictorError(
            f"{path} is no table that edgenas reads.", f"Save it as one of {', '.join(SUFFIXES)}."
        )


def _frame(path: Path, form: TextForm | None, pandas: Any, notes: list[str]) -> Any:
    """Return the file as a DataFrame, with the names that stand there."""
    name = path.name.lower()
    if name.endswith(JSON):
        return pandas.DataFrame(json_rows(path, decoded(path, uncompressed(path))))
    if name.endswith(PARQUET):
        return _unnested(pandas.read_parquet(path).reset_index(drop=True), pandas)
    if form is None:
        return _sheet(pandas.read_excel(path, header=None, dtype=object, sheet_name=None), notes)
    if form.comments:
        shown = "; ".join(line.strip() for line in form.comments[:NAMED_COMMENTS])
        more = f" and {len(form.comments) - NAMED_COMMENTS} more"
        tail = more if len(form.comments) > NAMED_COMMENTS else ""
        notes.append(f"Passed over, as comments: {shown}{tail}.")
    if form.above:
        notes.append(_above_names(form.above))
    if form.repeated:
        times = "once" if form.repeated == 1 else f"{form.repeated} times"
        notes.append(f"The line of names stands there {times} more, which is passed over.")
    if form.separator != ",":
        shown = {"\t": "tabs", " ": "white space"}.get(form.separator, f"'{form.separator}'")
        notes.append(f"The columns are separated by {shown}.")
    return _text_frame(path, form, pandas)


def _text_frame(path: Path, form: TextForm, pandas: Any) -> Any:
    options: dict[str, Any] = {"index_col": False, "skipinitialspace": True}
    options["sep"] = r"\s+" if form.separator == " " else form.separator
    if form.separator == " ":
        names = form.body.split("\n", 1)[0].split()
    else:
        reader = csv.reader(io.StringIO(form.body), delimiter=form.separator, skipinitialspace=True)
        names = next(row for row in reader if "".join(row).strip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            frame = pandas.read_csv(io.StringIO(form.body), **options)
    except pandas.errors.ParserWarning:
        return _with_more_cells(path, names, form, pandas, options)
    frame.columns = names
    return frame


def _with_more_cells(
    path: Path, names: list[str], form: TextForm, pandas: Any, options: dict[str, Any]
) -> Any:
    """Return a table whose rows have more cells than names: empty ones, or row numbers first."""
    lines = form.body.splitlines()[:100]
    spaced = form.separator == " "
    width = max(len(x.split()) if spaced else cells(x, form.separator) for x in lines)
    body = io.StringIO(form.body)
    frame = pandas.read_csv(body, **options, header=None, skiprows=1, names=range(width))
    extra = width - len(names)
    if frame.iloc[:, len(names) :].isna().all(axis=None):
        frame = frame.iloc[:, : len(names)]
        frame.columns = names
        return frame
    first = frame.iloc[:, 0]
    if extra == 1 and first.is_unique and len(first) > 1 and _counts(as_column(first.to_numpy())):
        frame.columns = ["", *names]  # as R writes row names
        return frame
    raise PredictorError(
        f"The rows of {path} have more cells than its first line has names.",
        "Name each column, and write points as decimal marks.",
    )


def _unnested(frame: Any, pandas: Any) -> Any:
    """Return the frame with a column of its own for each item of objects and lists in cells."""
    nested = [
        name
        for name, values in frame.items()
        if values.dtype.kind == "O" and any(isinstance(x, NESTED) for x in values)
    ]
    return pandas.DataFrame(map(flat, frame.to_dict("records"))) if nested else frame


def _sheet(sheets: Mapping[str, Any], notes: list[str]) -> Any:
    """Return the sheet that holds most numbers."""
    count = {
        name: sum(isinstance(x, int | float) for x in frame.stack().dropna())
        for name, frame in sheets.items()
    }
    chosen = max(count, key=count.__getitem__)
    if others := [name for name, frame in sheets.items() if name != chosen and not frame.empty]:
        notes.append(f"The sheet '{chosen}' is read, and not: {', '.join(others)}.")
    frame = sheets[chosen].dropna(how="all").reset_index(drop=True)
    if frame.empty:
        return frame
    rows = frame.iloc[: LINES_ABOVE + 3].astype(object)
    texts = rows.where(rows.notna(), "").astype(str).values.tolist()
    place = names_row(texts)
    if place:
        above = [" ".join(cell for cell in row if cell) for row in texts[:place]]
        notes.append(_above_names(above))
    names = joined_names(texts[place - 1], texts[place]) if place else texts[0]
    frame = frame.iloc[place + 1 :].reset_index(drop=True)
    frame.columns = names
    return frame.infer_objects()


def _above_names(lines: Sequence[str]) -> str:
    shown = "; ".join(line.strip() for line in lines[:NAMED_COMMENTS])
    return f"Passed over, above the names of the columns: {shown[:200]}."


def _named(path: Path, frame: Any, notes: list[str]) -> Any:
    """Return the frame with stripped names; what has neither name nor content is left out."""
    names = [str(x).translate(_LIKE_A_SPACE).strip() for x in frame.columns]
    names = ["" if _UNNAMED.fullmatch(name) else name for name in names]
    empty = [bool(values.isna().all()) for _, values in frame.items()]
    blank = [name == "" and nothing for name, nothing in zip(names, empty, strict=True)]
    if any(blank):
        which = "An empty column" if sum(blank) == 1 else f"{sum(blank)} empty columns"
        notes.append(f"{which} without a name: left out.")
    names = [name or f"column {place + 1}" for place, name in enumerate(names)]
    kept = [place for place, nothing in enumerate(blank) if not nothing]
    frame = frame.iloc[:, kept]
    frame.columns = [names[place] for place in kept]
    twice = sorted(name for name, count in Counter(frame.columns).items() if count > 1)
    alike = [x for x in twice if frame[x].T.drop_duplicates().shape[0] == 1]
    if alike:
        frame = frame.loc[:, ~(frame.columns.duplicated() & frame.columns.isin(alike))]
        notes.append(f"There twice with the same cells, and read once: {', '.join(alike)}.")
    twice = [name for name in twice if name not in alike]
    if twice:
        raise PredictorError(f"{path} has the column '{twice[0]}' twice.", "Rename one of them.")
    return frame


def _without_units_row(frame: Any, notes: list[str]) -> Any:
    """Return the frame without a first row that only names units ("ms" under "latency")."""
    if len(frame) < 2:
        return frame
    first = {name: str(cell).strip() for name, cell in frame.iloc[0].dropna().items()}
    written = {x: cell for x, cell in first.items() if cell and not _DASHES.fullmatch(cell)}
    if any(map(_begins_as_number, written.values())) or any(
        numbers.is_missing(cell) for cell in written.values()
    ):
        return frame
    units = [name for name in written if frame[name].iloc[1:].dropna().map(_is_number).all()]
    others = [name for name, values in frame.items() if name not in written]
    if not units or any(_is_text(frame[name].iloc[1:]) for name in others if name not in first):
        return frame
    notes.append(f"The first row holds units, not a network: {', '.join(written.values())}.")
    return frame.iloc[1:].reset_index(drop=True)


def _emptied(path: Path, frame: Any, rows: Collection[int]) -> Any:
    """Return the frame with nothing in some rows; columns of the others are of numbers if they
    may be."""
    if beyond := [row for row in rows if not 0 < row <= len(frame)]:
        raise PredictorError(
            f"{path} has {counted(len(frame), 'row')}: there is no row {beyond[0]}.",
            "Rows begin at 1.",
        )
    frame = frame.astype(object)
    frame.iloc[[row - 1 for row in rows]] = None
    return frame.infer_objects()


def _is_text(values: Any) -> bool:
    return values.dtype.kind not in "biuf"


def _begins_as_number(cell: str) -> bool:
    return re.match(r"\W*\d", cell) is not None


def _is_number(cell: Any) -> bool:
    try:
        float(str(cell).strip())
    except ValueError:
        return False
    return True


def _columns(frame: Any, notes: list[str], comma_separated: bool) -> dict[str, np.ndarray]:
    """Return the columns, those of text as numbers where their cells are."""
    columns = as_columns(frame)
    coded = {
        name: factorize(np.char.strip(values))
        for name, values in columns.items()
        if values.dtype.kind != "f"
    }
    fractions = any(
        np.any(values[np.isfinite(values)] % 1)
        for values in columns.values()
        if values.dtype.kind == "f"
    )
    distinct = [known for _, known in coded.values()]
    mark = numbers.decimal_mark(distinct, bool(fractions), comma_separated)
    if mark == "," and coded:
        notes.append("A comma is read as the decimal mark.")
    for name, (codes, known) in coded.items():
        texts = [str(text) for text in known]
        found = numbers.numbers(name, codes, texts, mark)
        if found is None:
            columns[name] = np.array(texts)[codes]
            continue
        columns[name] = found.values
        if found.unit:
            notes.append(f"The cells of '{name}' are read as numbers in {found.unit}.")
        if found.spread:
            notes.append(f"Of cells of '{name}' such as '{found.spread}' the first number is read.")
        if found.missing:
            words = ", ".join(f"'{word}' ({n})" for word, n in found.missing.items())
            notes.append(f"Cells of '{name}' without a value: {words}.")
    return columns


def _counts(values: np.ndarray) -> bool:
    """Return whether a column counts the rows."""
    return bool(values.dtype.kind == "f" and len(values) > 1 and np.all(np.diff(values) == 1))
