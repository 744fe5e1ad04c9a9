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

from edgenas.predictors.linear import effect_widths, names, shrinkage
from edgenas.predictors.linear.shrinkage import Level, Shrinkage
from edgenas.predictors.tables import (
    annealing,
    anonymous_columns,
    cells,
    coded_categories,
    curvature,
    interactions,
    power_sums,
    published_layers,
    slots,
)
from edgenas.predictors.tables import terms as at
from edgenas.predictors.tables.cells import Cell
from edgenas.predictors.tables.main_terms import Vocabulary, main
from edgenas.predictors.tables.terms import Table

# An optional level stays if it takes at least this share off the leave-one-out error.
WORTHWHILE = 0.02
# All slots behind one depth go with it, so that of n rows chance lets cutting them take more off:
# they are cut only if it takes this over n off the squared error. So it is with what each category
# costs by itself, where what it computes is known.
WORTHWHILE_ONE_DEPTH, WORTHWHILE_CATEGORIES = 6.0, 6.0
# How a cell is cut is chosen from so many rows; backwards alone, and forwards too.
MOST_JUDGES = 120
WAYS = (False, True)


def build(
    table: Table,
    numeric: Sequence[str],
    categorical: Sequence[str],
    response: np.ndarray,
    cell: Cell | None = None,
    *,
    logarithm: bool = False,
) -> Vocabulary:
    """Return the vocabulary for rows of `table` and `response` [n].

    cell : whose edges are known to be cut off; None lets the rows tell.
    logarithm : `response` is one.
    """
    if cell is not None:
        table = cell.cut(table)
    vocabulary = replace(main(table, numeric, categorical), cell=cell)
    chosen = shrinkage.choose(vocabulary.matrix, response, vocabulary.levels)
    if cell is None:
        cutting = _cut(table, numeric, categorical, response)
        if cutting is not None:
            cut = cutting.cut(table)
            vocabulary = replace(main(cut, numeric, categorical), cell=cutting)
            chosen = shrinkage.choose(vocabulary.matrix, response, vocabulary.levels)
        else:
            for other in _by_role(table, numeric, categorical):
                vocabulary, chosen = _better(vocabulary, chosen, other, response)
    layered = published_layers.add(vocabulary) if vocabulary.cell is None else None
    if layered is not None:
        start, fitted = vocabulary, chosen
        if not numeric:  # the fewest levels first
            start = published_layers.alone(layered)
            fitted = shrinkage.choose(start.matrix, response, start.levels)
        by_chance = 0.0 if numeric else WORTHWHILE_CATEGORIES
        vocabulary, chosen = _better(start, fitted, layered, response, by_chance)
        if not numeric and vocabulary is start:
            return start  # where single categories add nothing, neither do their products
    coded = coded_categories.add(vocabulary) if vocabulary.cell is None else None
    if coded is not None:
        vocabulary, chosen = _better(vocabulary, chosen, coded, response)
    table = vocabulary.cut(table)
    plain = anonymous_columns.nameless(vocabulary, chosen, response)
    if plain is not None:
        return anonymous_columns.build(plain, table, numeric, response, logarithm)
    columns = {"numeric": numeric, "categorical": categorical}
    return _completed(vocabulary, chosen, table, response, **columns)[0]


def _completed(
    vocabulary: Vocabulary,
    chosen: Shrinkage,
    table: Table,
    response: np.ndarray,
    *,
    numeric: Sequence[str],
    categorical: Sequence[str],
) -> tuple[Vocabulary, Shrinkage]:
    """Return the main terms of `table`, as cut, with what is optional where it helps."""
    repeats = _with_repeats(vocabulary, table, categorical)
    if repeats is not None:
        vocabulary, chosen = _better(vocabulary, chosen, repeats, response)
    curved = curvature.add(vocabulary, table, numeric)
    if curved is not None:
        vocabulary, chosen = _better(vocabulary, chosen, curved, response)
    multiplied = interactions.add(
        vocabulary, shrinkage.effects(vocabulary.matrix, vocabulary.levels, chosen)
    )
    if multiplied is not None:
        vocabulary, chosen = _better(vocabulary, chosen, multiplied, response)
    return vocabulary, chosen


def simple(table: Table, numeric: Sequence[str], categorical: Sequence[str]) -> Vocabulary:
    """Return the main terms and logarithms, whatever the rows say of them."""
    vocabulary = main(table, numeric, categorical)
    return curvature.add(vocabulary, table, numeric) or vocabulary


def multiplied(
    table: Table, numeric: Sequence[str], categorical: Sequence[str], response: np.ndarray
) -> Vocabulary | None:
    """Return the main terms and the sum of products that `response` [n], which is positive, shows;
    None if there is none, or if names tell of places."""
    vocabulary = main(table, numeric, categorical)
    if not anonymous_columns.maybe(vocabulary):
        return None
    summed = power_sums.of(vocabulary.atoms, table, response)
    return None if summed is None else summed.beside(vocabulary)


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
    vocabulary = main(table, numeric, categorical)
    vocabulary = curvature.add(vocabulary, table, numeric) or vocabulary
    chosen = shrinkage.choose(vocabulary.matrix, response, vocabulary.levels)
    pool = interactions.add(
        vocabulary, shrinkage.effects(vocabulary.matrix, vocabulary.levels, chosen)
    )
    if pool is None:
        return vocabulary
    candidates = pool.matrix[:, len(vocabulary.atoms) :]
    shares = annealing.choose(
        chosen.projection,
        candidates - candidates.mean(axis=0),
        variance=max(float(chosen.variances.max()), 1.0),
        price=2 * np.log(len(response)) / len(response),
        seed=seed,
    )
    picked = np.flatnonzero(shares)
    if not picked.size:
        return vocabulary
    atoms = [pool.atoms[len(vocabulary.atoms) + index] for index in picked]
    level = Level("annealed", np.diag(np.sqrt(shares[picked])))
    return vocabulary.and_also(atoms, candidates[:, picked], [level], mains=())


def _cut(
    table: Table, numeric: Sequence[str], categorical: Sequence[str], response: np.ndarray
) -> Cell | None:
    """Return how the edges of a cell are to be cut, None if they are not, or there is no cell.

    What is cut shows in counts of operations and in products more than in main terms alone, so
    that each cut is judged with all terms that it enables.
    """
    cell = cells.find(categorical)
    if cell is None:
        return None
    part = shrinkage.sample(len(response), MOST_JUDGES)
    table, response = {name: values[part] for name, values in table.items()}, response[part]
    known = sorted({str(value) for name in cell.columns for value in np.unique(table[name])})
    named = [x for x in known if x.lower() in cells.NO_OPERATION]
    best, least, alone = None, np.inf, np.inf
    ways = [replace(cell, nothing=x, forward=way) for x in named or known for way in WAYS]
    for cutting in [cell, *ways]:
        cut = cutting.cut(table) if cutting.nothing else table
        if cutting.nothing and not any((cut[x] != table[x]).any() for x in cell.columns):
            continue
        vocabulary = main(cut, numeric, categorical)
        chosen = shrinkage.choose(vocabulary.matrix, response, vocabulary.levels)
        if cutting.nothing and not named and chosen.projection.error() >= alone:
            continue  # of many categories that may be nothing, those that say so by themselves
        if not cutting.nothing:
            alone = chosen.projection.error()
        columns = {"numeric": numeric, "categorical": categorical}
        _, chosen = _completed(vocabulary, chosen, cut, response, **columns)
        error = chosen.projection.error()
        if error < (1.0 if best is None else (1 - WORTHWHILE) ** 2) * least:
            best, least = cutting, error
    return best if best is not None and best.nothing else None


def _by_role(
    table: Table, numeric: Sequence[str], categorical: Sequence[str]
) -> Iterator[Vocabulary]:
    """Yield the main terms with levels for each kind of number, where several kinds have places;
    of columns as they are, and with slots cut off that are not there."""
    parsed = [names.parse(name) for name in numeric]
    kinds = [name.kind for name in parsed]
    if len(set(kinds)) in (0, 1, len(kinds)):
        return
    if names.block_tables(parsed, np.column_stack([table[name] for name in numeric])):
        return  # blocks have levels of their own
    yield main(table, numeric, categorical, by_role=True)
    gates = slots.find(table, numeric)
    if gates is not None:
        yield replace(main(gates.cut(table), numeric, categorical, by_role=True), gates=gates)


def _with_repeats(
    vocabulary: Vocabulary, table: Table, categorical: Sequence[str]
) -> Vocabulary | None:
    """Return `vocabulary` with how often each operation is asked for again of one input."""
    cell = cells.find(categorical)
    if cell is None:
        return None
    known = sorted({str(value) for name in cell.columns for value in np.unique(table[name])})
    atoms = [at.repeat(cell, value) for value in known]
    matrix = at.evaluate(atoms, table)
    return vocabulary.and_also(atoms, matrix, [Level("repeats", np.eye(len(atoms)))], mains=())


def _better(
    vocabulary: Vocabulary,
    chosen: Shrinkage,
    more: Vocabulary,
    response: np.ndarray,
    by_chance: float = 0.0,
) -> tuple[Vocabulary, Shrinkage]:
    """Return `more` if it takes enough off the leave-one-out error, else `vocabulary`.

    by_chance : of n rows, this over n of the squared error does not count.
    """
    known = dict(zip((x.name for x in vocabulary.levels), chosen.variances, strict=True))
    start = np.array([known.get(level.name, 0.0) for level in more.levels])
    more = replace(more, levels=effect_widths.inherit(more.matrix, response, more.levels, start))
    tried = shrinkage.choose(more.matrix, response, more.levels, start)
    if more.gates is not None and vocabulary.gates is None and more.gates.is_one:
        by_chance = WORTHWHILE_ONE_DEPTH
    most = min((1 - WORTHWHILE) ** 2, 1 - by_chance / len(response))
    if tried.projection.error() < most * chosen.projection.error():
        return more, tried
    return vocabulary, chosen
