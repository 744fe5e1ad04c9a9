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

from edgenas.predictors import annealing, cells, shrinkage, vocabulary
from edgenas.predictors import atoms as at
from edgenas.predictors.atoms import Atom, Table
from edgenas.predictors.cells import Cell
from edgenas.predictors.mains import Vocabulary, main
from edgenas.predictors.shrinkage import Level, Shrinkage

# Products of numbers; of categories, where a small effect hides a large interaction.
MOST_PRODUCTS = 150
MOST_CATEGORY_PRODUCTS = 400
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
    if {level.name for level in found.levels} <= {"own", "categories"}:
        found, chosen = _better(found, chosen, _by_effect(found), response)
    repeats = _with_repeats(found, table, categorical)
    if repeats is not None:
        found, chosen = _better(found, chosen, repeats, response)
    curved = _with_logarithms(found, table, numeric)
    if curved is not None:
        found, chosen = _better(found, chosen, curved, response)
    products = _with_products(found, chosen)
    if products is not None:
        found, chosen = _better(found, chosen, products, response)
    return found


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
    found = _with_logarithms(found, table, numeric) or found
    chosen = shrinkage.choose(found.matrix, response, found.levels)
    pool = _with_products(found, chosen)
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


def _by_effect(found: Vocabulary) -> Vocabulary:
    """Return `found` with terms as wide as their effects: names tell nothing, few may matter."""
    index = np.arange(len(found.atoms))
    level = Level("by effect", np.zeros((len(index), 0)), np.column_stack([index, index]))
    return replace(found, levels=(*found.levels, level))


def _with_repeats(found: Vocabulary, table: Table, categorical: Sequence[str]) -> Vocabulary | None:
    """Return `found` with how often each operation is asked for again of one input."""
    cell = cells.find(categorical)
    if cell is None:
        return None
    known = sorted({str(value) for name in cell.columns for value in np.unique(table[name])})
    atoms = [at.repeat(cell, value) for value in known]
    matrix = at.evaluate(atoms, table)
    return found.and_also(atoms, matrix, [Level("repeats", np.eye(len(atoms)))], mains=())


def _with_logarithms(found: Vocabulary, table: Table, numeric: Sequence[str]) -> Vocabulary | None:
    """Return `found` with logarithms of its quantities, and of their totals over all places."""
    if not numeric:
        return None
    names = list(numeric)
    matrix = np.column_stack([table[name] for name in names])
    parsed = [vocabulary.parse(name) for name in names]
    members = vocabulary.quantities(parsed, matrix, work=False)
    made = [(q, at.logarithm(q.name, names, q.weights, matrix)) for q in members]
    kept = [(q, atom) for q, atom in made if atom is not None]
    if not kept:
        return None
    own = [atom for _, atom in kept]
    totals = []
    for label in dict.fromkeys(q.role.split(" ")[-1] for q, _ in kept if " " in q.role):
        weights = np.sum([q.weights for q, _ in kept if q.role.split(" ")[-1] == label], axis=0)
        atom = at.logarithm(f"{label} of all", names, weights, matrix)
        if atom is not None and np.ptp(matrix @ weights) > 0:
            totals.append(atom)
    values = at.evaluate([*own, *totals], table)
    levels = vocabulary.places(
        [
            vocabulary.Quantity(q.name, q.role, q.place, np.eye(len(own))[i], values[:, i].std())
            for i, (q, _) in enumerate(kept)
        ]
    )
    padding = np.zeros((len(totals), 1))
    padded = [
        Level(f"log {x.name}", np.vstack([x.root, padding.repeat(x.root.shape[1], 1)]))
        for x in levels
    ]
    if totals:
        ends = np.vstack(
            [np.zeros((len(own), len(totals))), np.diag(1 / values[:, len(own) :].std(axis=0))]
        )
        padded.append(Level("log totals", ends))
    return found.and_also([*own, *totals], values, padded, range(len(own) + len(totals)))


def _with_products(found: Vocabulary, chosen: Shrinkage) -> Vocabulary | None:
    """Return `found` with the products of its mains that the mains' effects make likeliest."""
    mains = list(found.mains)
    if len(mains) < 2:
        return None
    values = found.matrix[:, mains]
    effects = shrinkage.effects(found.matrix, found.levels, chosen)[mains]
    pairs = [
        (i, j)
        for i in range(len(mains))
        for j in range(i, len(mains))
        if not _exclusive(found.atoms[mains[i]], found.atoms[mains[j]])
    ]
    pairs.sort(key=lambda pair: -effects[pair[0]] * effects[pair[1]])
    categorical = all(found.atoms[index].kind == "is" for index in mains)
    pairs = pairs[: MOST_CATEGORY_PRODUCTS if categorical else MOST_PRODUCTS]
    if not pairs or effects[pairs[0][0]] * effects[pairs[0][1]] <= 0:
        return None
    products = [
        at.product(found.atoms[mains[i]], found.atoms[mains[j]], (values[:, i], values[:, j]))
        for i, j in pairs
    ]
    standard = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-12)
    matrix = np.column_stack([standard[:, i] * standard[:, j] for i, j in pairs])
    before = len(found.atoms)
    parents = np.full((before + len(pairs), 2), -1)
    parents[before:] = [(mains[i], mains[j]) for i, j in pairs]
    alike = [Level("interactions alike", np.eye(len(pairs)))] if categorical else []
    columns = {name for index in mains for name in found.atoms[index].columns}
    if cells.find(sorted(columns)) is None:  # there repetitions say the same in fewer terms
        alike += _like_with_like([(found.atoms[mains[i]], found.atoms[mains[j]]) for i, j in pairs])
    more = found.and_also(products, matrix, alike, mains=())
    inherited = Level("interactions by effect", np.zeros((len(parents), 0)), parents)
    return replace(more, levels=(*more.levels, inherited))


def _like_with_like(pairs: Sequence[tuple[Atom, Atom]]) -> list[Level]:
    """Levels of the products [p] of a category with itself in another column.

    By columns, and shared by all: the same operation twice is what engines treat apart.
    """
    values = [
        a.category if a.kind == b.kind == "is" and a.category == b.category else ""
        for a, b in pairs
    ]
    same = np.flatnonzero([value != "" for value in values])
    if not same.size:
        return []
    known = sorted({values[index] for index in same})
    shared = np.array([[float(value == other) for other in known] for value in values])
    own = Level("interactions, like with like", np.eye(len(pairs))[:, same])
    return [own, Level("interactions, like with like, shared by columns", shared)]


def _exclusive(first: Atom, second: Atom) -> bool:
    """Categories of one column never occur together."""
    return first.kind == second.kind == "is" and first.columns == second.columns


def _better(
    found: Vocabulary, chosen: Shrinkage, more: Vocabulary, response: np.ndarray
) -> tuple[Vocabulary, Shrinkage]:
    start = np.append(chosen.variances, np.zeros(len(more.levels) - len(found.levels)))
    more = replace(more, levels=shrinkage.inherit(more.matrix, response, more.levels, start))
    tried = shrinkage.choose(more.matrix, response, more.levels, start)
    if tried.projection.error() < (1 - WORTHWHILE) ** 2 * chosen.projection.error():
        return more, tried
    return found, chosen
