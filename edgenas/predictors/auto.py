"""`--terms auto`: the vocabulary that the columns suggest and leave-one-out errors confirm.

Always in: numeric columns and block tables by their levels (vocabulary.py), categories shared by
columns with the same categories and by column. Then, each only if it lowers the leave-one-out
error: what engines do with the graph of a cell (cells.py), curvature (logarithms of the same
quantities) and interactions (products of the terms, with a prior as wide as the product of their
effects: strong heredity).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from edgenas.predictors import (
    annealing,
    cells,
    heredity,
    logarithms,
    products,
    shrinkage,
    unnamed,
)
from edgenas.predictors import atoms as at
from edgenas.predictors.atoms import Table
from edgenas.predictors.cells import Cell
from edgenas.predictors.mains import Vocabulary, main
from edgenas.predictors.shrinkage import Level, Shrinkage

# An optional level stays if it takes at least this share off the leave-one-out error.
WORTHWHILE = 0.02


def build(
    table: Table,
    numeric: Sequence[str],
    categorical: Sequence[str],
    response: np.ndarray,
    cell: Cell | None = None,
) -> Vocabulary:
    """Return the vocabulary for rows of `table` and `response` [n].

    cell : whose edges are known to be cut off; None lets the rows tell.
    """
    if cell is not None:
        table = cell.cut(table)
    found = replace(main(table, numeric, categorical), cell=cell)
    chosen = shrinkage.choose(found.matrix, response, found.levels)
    for other in _cut(table, numeric, categorical) if cell is None else ():
        if _promising(other, found, chosen, response):
            found, chosen = _better(found, chosen, other, response)
    if found.cell is not None:
        table = found.cell.cut(table)
    plain = unnamed.nameless(found, chosen, response)
    if plain is not None:
        return unnamed.build(plain, table, numeric, response)
    repeats = _with_repeats(found, table, categorical)
    if repeats is not None:
        found, chosen = _better(found, chosen, repeats, response)
    curved = logarithms.add(found, table, numeric)
    if curved is not None:
        found, chosen = _better(found, chosen, curved, response)
    multiplied = products.add(found, shrinkage.effects(found.matrix, found.levels, chosen))
    if multiplied is not None:
        found, chosen = _better(found, chosen, multiplied, response)
    return found


def simple(table: Table, numeric: Sequence[str], categorical: Sequence[str]) -> Vocabulary:
    """Return the main terms and logarithms, whatever the rows say of them."""
    found = main(table, numeric, categorical)
    return logarithms.add(found, table, numeric) or found


def annealed(
    table: Table,
    numeric: Sequence[str],
    categorical: Sequence[str],
    response: np.ndarray,
    seed: int,
) -> Vocabulary:
    """Return the terms that are always in, curvature, and the products that annealing picked.

    A few named products instead of many small ones: easier to read, and on the tables measured so
    far less accurate than `build`.
    """
    found = main(table, numeric, categorical)
    found = logarithms.add(found, table, numeric) or found
    chosen = shrinkage.choose(found.matrix, response, found.levels)
    pool = products.add(found, shrinkage.effects(found.matrix, found.levels, chosen))
    if pool is None:
        return found
    candidates = pool.matrix[:, len(found.atoms) :]
    shares = annealing.choose(
        chosen.projection,
        candidates - candidates.mean(axis=0),
        variance=max(float(chosen.variances.max()), 1.0),
        price=2 * np.log(len(response)) / len(response),
        seed=seed,
    )
    picked = np.flatnonzero(shares)
    if not picked.size:
        return found
    atoms = [pool.atoms[len(found.atoms) + index] for index in picked]
    level = Level("annealed", np.diag(np.sqrt(shares[picked])))
    return found.and_also(atoms, candidates[:, picked], [level], mains=())


def _cut(table: Table, numeric: Sequence[str], categorical: Sequence[str]) -> Iterator[Vocabulary]:
    """Yield the main terms of a cell's edges with those cut off that nothing uses.

    Once for each category that may be no operation.
    """
    cell = cells.find(categorical)
    if cell is None:
        return
    known = sorted({str(value) for name in cell.columns for value in np.unique(table[name])})
    for nothing in [x for x in known if x.lower() in cells.NO_OPERATION] or known:
        cutting = replace(cell, nothing=nothing)
        cut = cutting.cut(table)
        if any((cut[name] != table[name]).any() for name in cell.columns):
            yield replace(main(cut, numeric, categorical), cell=cutting)


def _promising(
    other: Vocabulary, found: Vocabulary, chosen: Shrinkage, response: np.ndarray
) -> bool:
    """Return whether the other terms are better under the variances of these."""
    if len(other.levels) != len(found.levels):
        return False
    given = (other.matrix, response, other.levels, chosen.variances)
    return shrinkage.error_at(*given) < chosen.projection.error()


def _with_repeats(found: Vocabulary, table: Table, categorical: Sequence[str]) -> Vocabulary | None:
    """Return `found` with how often each operation is asked for again of one input."""
    cell = cells.find(categorical)
    if cell is None:
        return None
    known = sorted({str(value) for name in cell.columns for value in np.unique(table[name])})
    atoms = [at.repeat(cell, value) for value in known]
    matrix = at.evaluate(atoms, table)
    return found.and_also(atoms, matrix, [Level("repeats", np.eye(len(atoms)))], mains=())


def _better(
    found: Vocabulary, chosen: Shrinkage, more: Vocabulary, response: np.ndarray
) -> tuple[Vocabulary, Shrinkage]:
    start = np.append(chosen.variances, np.zeros(len(more.levels) - len(found.levels)))
    more = replace(more, levels=heredity.inherit(more.matrix, response, more.levels, start))
    tried = shrinkage.choose(more.matrix, response, more.levels, start)
    if tried.projection.error() < (1 - WORTHWHILE) ** 2 * chosen.projection.error():
        return more, tried
    return found, chosen
