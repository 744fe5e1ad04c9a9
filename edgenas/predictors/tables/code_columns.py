"""Numbers that are names of choices: columns of codes such as 0 to 4, read as categories.

Whether 4 is more than 3, or only another operation, rows tell: categories stay if the left-out
error of the main terms is well below that of numbers and their logarithms.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgenas.predictors.linear import names as vocabulary
from edgenas.predictors.linear import shrinkage
from edgenas.predictors.tables import curvature, main_terms
from edgenas.predictors.tables.rows import Rows, categories

FEWEST, GREATEST = 3, 15
# One column of codes is as well said to be categorical; several alike are looked at.
COLUMNS = 2
WORTHWHILE = 0.1


def read(rows: Rows) -> Rows:
    """Return `rows` with columns of codes as categories, if there are any."""
    part = shrinkage.sample(len(rows.response))
    best = None
    for group in _groups(rows):
        best = _error(rows.some(part)) if best is None else best
        tried = as_categories(rows, group)
        error = _error(tried.some(part))
        if error < (1 - WORTHWHILE) ** 2 * best:
            rows, best = tried, error
    return rows


def as_categories(rows: Rows, names: tuple[str, ...]) -> Rows:
    """Return `rows` with the columns `names`, of numbers, as categories."""
    return replace(
        rows,
        columns={**rows.columns, **{name: categories(rows.columns[name]) for name in names}},
        numeric=tuple(name for name in rows.numeric if name not in names),
        categorical=(*rows.categorical, *names),
    )


def _groups(rows: Rows) -> list[tuple[str, ...]]:
    """Return columns of whole numbers from 0 or 1 on, called alike, that may be codes."""
    names = rows.numeric
    if not names:
        return []
    parsed = [vocabulary.parse(name) for name in names]
    matrix = np.column_stack([rows.columns[name] for name in names])
    counts = {index for block in vocabulary.block_tables(parsed, matrix) for index in block}
    kinds: dict[str, list[int]] = {}
    for index, name in enumerate(parsed):
        if index not in counts:
            kinds.setdefault(name.kind, []).append(index)
    groups = []
    for members in kinds.values():
        known = np.unique(matrix[:, members])
        whole = np.array_equal(known, known[0] + np.arange(len(known))) and known[0] in (0, 1)
        if whole and len(members) >= COLUMNS and FEWEST <= len(known) <= GREATEST:
            groups.append(tuple(names[index] for index in members))
    return groups


def _error(rows: Rows) -> float:
    """Return the squared leave-one-out error of the main terms and logarithms."""
    vocabulary = main_terms.main(rows.columns, rows.numeric, rows.categorical)
    vocabulary = curvature.add(vocabulary, rows.columns, rows.numeric) or vocabulary
    return shrinkage.choose(vocabulary.matrix, rows.response, vocabulary.levels).projection.error()
