"""The terms that are always in, of numbers and of categories, with their levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenas.core.errors import PredictorError
from edgenas.predictors.linear import names
from edgenas.predictors.linear.effect_widths import Refound
from edgenas.predictors.linear.shrinkage import Level
from edgenas.predictors.tables import terms as at
from edgenas.predictors.tables.cells import Cell
from edgenas.predictors.tables.slots import Gates
from edgenas.predictors.tables.terms import Atom, Table

CATEGORIES = "categories"


@dataclass(frozen=True)
class Vocabulary:
    """Terms and how they vary. matrix : float64 [n, p]. mains : atoms that products are made of.

    cell : the graph that categories are of; gates : of slots; their `cut` is what the terms are of.
    refound : of a term that the rows chose, how they choose it.
    """

    atoms: tuple[Atom, ...]
    matrix: np.ndarray
    levels: tuple[Level, ...]
    mains: tuple[int, ...]
    cell: Cell | None = None
    gates: Gates | None = None
    refound: Refound | None = None

    def and_also(
        self,
        atoms: Sequence[Atom],
        matrix: np.ndarray,
        levels: Sequence[Level],
        mains: Sequence[int],
        refound: Refound | None = None,
    ) -> Vocabulary:
        """Return this with more atoms; `levels` and `mains` are over and among the new ones.

        refound : how rows choose one of them, by its place among all.
        """
        old, new = len(self.atoms), len(atoms)
        atoms = _named_apart(self.atoms, atoms)
        before = [
            replace(
                x,
                root=np.vstack([x.root, np.zeros((new, x.root.shape[1]))]),
                pairs=None if x.pairs is None else np.vstack([x.pairs, np.full((new, 2), -1)]),
            )
            for x in self.levels
        ]
        after = [
            Level(x.name, np.vstack([np.zeros((old, x.root.shape[1])), x.root])) for x in levels
        ]
        return Vocabulary(
            (*self.atoms, *atoms),
            np.hstack([self.matrix, matrix]),
            (*before, *after),
            (*self.mains, *(old + index for index in mains)),
            self.cell,
            self.gates,
            refound or self.refound,
        )

    def and_also_levels(self, levels: Sequence[Level]) -> Vocabulary:
        """Return this with more `levels` of the atoms that are there."""
        return replace(self, levels=(*self.levels, *levels))

    def cut(self, table: Table) -> Table:
        """Return the columns that the terms are of."""
        if self.gates is not None:
            table = self.gates.cut(table)
        return table if self.cell is None else self.cell.cut(table)


def main(
    table: Table, numeric: Sequence[str], categorical: Sequence[str], by_role: bool = False
) -> Vocabulary:
    """Return the terms that are always in; `PredictorError` if no column varies.

    by_role : as for `names.levels`.
    """
    n = len(next(iter(table.values())))
    vocabulary = Vocabulary((), np.zeros((n, 0)), (), ())
    columns = [at.column(name) for name in numeric]
    if columns:
        matrix = at.evaluate(columns, table)
        levels = names.levels(numeric, matrix, by_role)
        used = np.zeros(len(columns), bool)
        for level in levels:
            used |= np.any(level.root != 0, axis=1)
        tables = names.block_tables([names.parse(n) for n in numeric], matrix)
        single = _positions(used, {index for table in tables for index in table})
        kept = [atom for atom, needed in zip(columns, used, strict=True) if needed]
        levels = tuple(Level(level.name, level.root[used]) for level in levels)
        vocabulary = vocabulary.and_also(kept, matrix[:, used], levels, mains=single)
    marks = _marks(table, categorical)
    if marks:
        matrix = at.evaluate(marks, table)
        seen = np.flatnonzero(matrix.any(axis=0))
        vocabulary = vocabulary.and_also(marks, matrix, _categories(marks), seen.tolist())
    if not vocabulary.levels:
        raise PredictorError("No column varies: there is nothing to predict from.")
    return vocabulary


def _named_apart(known: Sequence[Atom], atoms: Sequence[Atom]) -> list[Atom]:
    """Return `atoms` with other names where `known` ones have theirs: a column may be called
    "log(width)" or "op=x" beside one called "width" or "op"."""
    taken = {atom.name for atom in known}
    named = []
    for atom in atoms:
        name = atom.name
        while name in taken:
            name += " (made)"
        taken.add(name)
        named.append(replace(atom, name=name))
    return named


def _marks(table: Table, categorical: Sequence[str]) -> list[Atom]:
    """Return the categories of each column, and those that columns of the same kind have.

    A category that the rows lack in one column then costs there what it costs in the others.
    """
    seen = {name: set(map(str, np.unique(table[name]))) for name in categorical}
    return [
        at.category(name, value)
        for name, own in seen.items()
        for value in sorted(own.union(*(other for other in seen.values() if other & own)))
    ]


def _positions(used: np.ndarray, without: set[int]) -> list[int]:
    """Return where the used columns that are not in `without` stand among the used ones."""
    return [at for at, index in enumerate(np.flatnonzero(used)) if int(index) not in without]


def _categories(marks: Sequence[Atom]) -> list[Level]:
    """Own effects by column; effects shared by all columns that know the category."""
    values = [mark.category for mark in marks]
    common = [value for value in dict.fromkeys(values) if values.count(value) > 1]
    own = Level(CATEGORIES, np.eye(len(marks)))
    if not common:
        return [own]
    shared = np.array([[float(mark.category == value) for value in common] for mark in marks])
    return [own, Level(f"{CATEGORIES}, shared by columns", shared)]
