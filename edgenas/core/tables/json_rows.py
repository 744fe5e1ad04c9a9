"""Tables in JSON: lines of objects, or one document, as programs and pandas write it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.core.errors import PredictorError

LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
NESTED = (Mapping, list, tuple, np.ndarray)
Row = dict[str, Any]


def json_rows(path: Path, text: str) -> list[Row]:
    """Return the rows in a text of JSON: nested objects and lists become columns of their own.

    A document is a list of objects, an object of columns or of rows by name, pandas' "split" or
    "table", or an object with one list of objects in it; anything else is read as lines.

    Raises
    ------
    PredictorError : it is not JSON, or no table.
    """
    if path.name.lower().endswith(LINES):
        return _lines(path, text)
    try:
        document = json.loads(text)
    except ValueError:
        return _lines(path, text)
    try:
        rows = _rows(document)
    except (TypeError, ValueError, AttributeError):
        rows = None
    if rows is None:
        raise PredictorError(
            f"{path} is JSON, but no table.", "Write a list of objects, one for each network."
        )
    return [flat(row) for row in rows]


def _lines(path: Path, text: str) -> list[Row]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as problem:
            raise PredictorError(f"Line {number} of {path} is not JSON: {problem}.") from problem
        if not isinstance(row, dict):
            raise PredictorError(f"Line {number} of {path} is no JSON object.")
        rows.append(flat(row))
    return rows


def _rows(document: Any) -> Sequence[Mapping[str, Any]] | None:
    """Return the rows of a document, None if it holds no table."""
    if isinstance(document, list):
        return document if document and all(isinstance(x, Mapping) for x in document) else None
    if not isinstance(document, Mapping) or not document:
        return None
    if {"columns", "data"} <= document.keys():
        names = [str(name) for name in document["columns"]]
        return [dict(zip(names, row, strict=True)) for row in document["data"]]
    values = list(document.values())
    lists = all(isinstance(x, list) for x in values)
    if lists and not any(isinstance(x, Mapping) for column in values for x in column[:1]):
        if len(set(map(len, values))) > 1:
            return None
        return [dict(zip(document, row, strict=True)) for row in zip(*values, strict=True)]
    if all(isinstance(x, Mapping) for x in values):
        keys = list(values[0])
        if all(key.isdigit() for key in keys):  # the cells of each column by the row
            return [{name: column.get(key) for name, column in document.items()} for key in keys]
        numbered = all(name.isdigit() for name in document)
        return [row if numbered else {"": name, **row} for name, row in document.items()]
    tables = [x for x in values if isinstance(x, list) and x and _rows(x) is not None]
    if len(tables) == 1:
        return tables[0]
    if not any(isinstance(x, NESTED) for x in values):
        return [document]  # one line of lines
    return None


def flat(value: Mapping[str, Any], prefix: str = "") -> Row:
    """Return a row without objects and lists: their items are cells called "name.key", "name_0"."""
    cells: Row = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            cells |= flat(item, f"{prefix}{name}.")
        elif isinstance(item, list | tuple | np.ndarray):
            cells |= flat({f"{name}_{place}": x for place, x in enumerate(item)}, prefix)
        else:
            cells[f"{prefix}{name}"] = item
    return cells
