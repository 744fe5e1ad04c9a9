"""Interactions: products of the terms whose effects make them likeliest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgenas.predictors.linear import names
from edgenas.predictors.linear.shrinkage import Level
from edgenas.predictors.tables import cells
from edgenas.predictors.tables import terms as at
from edgenas.predictors.tables.main_terms import Vocabulary
from edgenas.predictors.tables.terms import Atom

# Products of numbers; of categories, where a small effect hides a large interaction.
MOST_PRODUCTS = 150
MOST_CATEGORY_PRODUCTS = 400
# Of x1 to x9 alone, products are of one kind: what they share is nothing to look for.
FEWEST_KINDS = 3


def add(vocabulary: Vocabulary, effects: np.ndarray, alike: bool = False) -> Vocabulary | None:
    """Return `vocabulary` with the products of its mains that the mains' effects make likeliest.

    effects : float64 [p], of the terms that are there (`shrinkage.effects`).
    alike : products of numbers, too, may all be of one size, whatever their factors' effects.
    """
    mains = list(vocabulary.mains)
    if len(mains) < 2:
        return None
    values = vocabulary.matrix[:, mains]
    effects = effects[mains]
    pairs = [
        (i, j)
        for i in range(len(mains))
        for j in range(i, len(mains))
        if not _exclusive(vocabulary.atoms[mains[i]], vocabulary.atoms[mains[j]])
    ]
    pairs.sort(key=lambda pair: -effects[pair[0]] * effects[pair[1]])
    categorical = all(vocabulary.atoms[index].kind == "is" for index in mains)
    pairs = pairs[: MOST_CATEGORY_PRODUCTS if categorical else MOST_PRODUCTS]
    if not pairs or effects[pairs[0][0]] * effects[pairs[0][1]] <= 0:
        return None
    products = [
        at.product(
            vocabulary.atoms[mains[i]], vocabulary.atoms[mains[j]], (values[:, i], values[:, j])
        )
        for i, j in pairs
    ]
    standard = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-12)
    matrix = np.column_stack([standard[:, i] * standard[:, j] for i, j in pairs])
    before = len(vocabulary.atoms)
    parents = np.full((before + len(pairs), 2), -1)
    parents[before:] = [(mains[i], mains[j]) for i, j in pairs]
    levels = [Level("interactions alike", np.eye(len(pairs)))] if categorical or alike else []
    columns = {name for index in mains for name in vocabulary.atoms[index].columns}
    if cells.find(sorted(columns)) is None:  # there repetitions say the same in fewer terms
        levels += _like_with_like(
            [(vocabulary.atoms[mains[i]], vocabulary.atoms[mains[j]]) for i, j in pairs]
        )
    levels += _by_kinds(
        [(vocabulary.atoms[mains[i]], vocabulary.atoms[mains[j]]) for i, j in pairs]
    )
    more = vocabulary.and_also(products, matrix, levels, mains=())
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


def _by_kinds(pairs: Sequence[tuple[Atom, Atom]]) -> list[Level]:
    """Return a level of what products [p] of the same kinds of columns share, where there are
    several kinds: a resolution times forty kernel sizes, a kernel size times the width of its own
    slot."""
    kinds = []
    for pair in pairs:
        parsed = [names.parse(atom.columns[0]) for atom in pair if atom.kind == "column"]
        if len(parsed) < 2:
            return []
        first, second = sorted(parsed, key=lambda name: name.kind)
        alike = first.place is not None and first.place == second.place
        kinds.append((first.kind, second.kind, alike))
    counts = {kind: kinds.count(kind) for kind in kinds}
    known = [kind for kind, count in counts.items() if count > 1]
    if len({kind[:2] for kind in counts}) < FEWEST_KINDS or not known:
        return []
    root = np.array(
        [[float(kind == other) / counts[other] ** 0.5 for other in known] for kind in kinds]
    )
    return [Level("interactions, shared by kinds", root)]


def _exclusive(first: Atom, second: Atom) -> bool:
    """Categories of one column never occur together."""
    return first.kind == second.kind == "is" and first.columns == second.columns
