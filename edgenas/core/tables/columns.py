"""Columns of anything as arrays: numbers, or text that is missing where it is empty."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

MOST_LETTERS = 40
LARGEST = 2**62  # whole number that letters are digits of
HEAD = 4096  # rows that few texts are all seen in


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
    texts: np.ndarray = np.array([*("" if _is_nothing(x) else str(x) for x in distinct), ""])[codes]
    return texts


def _is_nothing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and np.isnan(cell))


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the place of each value among the distinct ones, in order, int64 [n]; NaN is last."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import pandas

    if values.dtype.kind != "U":
        return np.asarray(pandas.factorize(values, sort=True, use_na_sentinel=False)[0])
    codes, distinct = factorize(values)
    place = np.empty(len(distinct), np.int64)
    place[np.argsort(np.asarray(distinct, values.dtype))] = np.arange(len(distinct))
    return np.asarray(place[codes])


def first_rows(values: np.ndarray) -> np.ndarray:
    """Return the first row of each distinct value, int64."""
    codes, distinct = factorize(values)
    return _firsts(codes, len(distinct))


def factorize(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of each value among the distinct ones, int64 [n], and those; missing: -1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import pandas

    width = values.dtype.itemsize // 4
    if values.dtype.kind != "U" or not 0 < width <= MOST_LETTERS or not values.size:
        found: tuple[np.ndarray, np.ndarray] = pandas.factorize(
            values.astype(object) if values.dtype.kind == "U" else values
        )
        return found
    # text is slow to hash, whole numbers are not: letters that differ become the digits of one
    letters = np.ascontiguousarray(values).view(np.uint32).reshape(-1, width)
    codes, size = np.zeros(len(letters), np.int64), 1
    for letter in letters.T:
        least, greatest = int(letter.min()), int(letter.max())
        if least == greatest:
            continue
        if size * (greatest - least + 1) > LARGEST:
            codes = pandas.factorize(codes)[0]
            size = int(codes.max()) + 1
        codes = codes * (greatest - least + 1) + (letter - np.uint32(least))
        size *= greatest - least + 1
    codes, known = pandas.factorize(codes)
    return codes, values[_firsts(codes, len(known))]


def _firsts(codes: np.ndarray, count: int) -> np.ndarray:
    """Return the first place of each of `count` codes, which rise where they are new, int64."""
    if codes[:HEAD].max(initial=-1) == count - 1:
        codes = codes[:HEAD]
    return np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))
