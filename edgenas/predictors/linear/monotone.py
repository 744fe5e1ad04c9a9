"""More work is never faster: what block counts say about the signs of coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgenas.predictors.linear.names import Name, block_tables, parse, varies


def of_blocks(terms: Sequence[str], matrix: np.ndarray) -> np.ndarray | None:
    """Return sums of coefficients that cannot be negative, float64 [c, p]; None if there are none.

    A block costs no less than the next smaller one in any attribute; and, where the number of
    blocks in a place varies, no less than nothing.
    """
    names = [parse(term) for term in terms]
    found: list[np.ndarray] = []
    for table in block_tables(names, matrix):
        if varies(matrix[:, table].sum(axis=1)):
            found += [_row(len(terms), larger=index) for index in table]
        found += [
            _row(len(terms), larger=large, smaller=small)
            for large in table
            for small in table
            if _next(names[small], names[large], [names[index] for index in table])
        ]
    return np.stack(found) if found else None


def _next(small: Name, large: Name, table: Sequence[Name]) -> bool:
    """Is `large` one step above `small` in one attribute, and equal in the others?"""
    different = [
        index
        for index, (a, b) in enumerate(zip(small.attributes, large.attributes, strict=True))
        if a != b
    ]
    if len(different) != 1:
        return False
    at = different[0]
    between = (name.attributes[at] for name in table)
    low, high = small.attributes[at], large.attributes[at]
    return low < high and not any(low < value < high for value in between)


def _row(size: int, larger: int, smaller: int | None = None) -> np.ndarray:
    row = np.zeros(size)
    row[larger] = 1.0
    if smaller is not None:
        row[smaller] = -1.0
    return row
