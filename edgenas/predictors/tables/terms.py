"""Atoms: terms as recipes over the columns of a table, so that a saved predictor can read rows.

column : a numeric column. is : 1 where a categorical column has a category.
log : logarithm of a weighted sum of columns. product : of two standardised atoms.
repeat : how often a category is asked for again of one input of a cell, whose columns are given.
powers : logarithm of a weighted sum of products of powers of columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgenas.core.errors import PredictorError, nearest
from edgenas.predictors.tables import cells

# A table: numeric columns float64 [n], categorical ones str [n].
Table = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Atom:
    """One term.

    numbers : log: floor of the sum and what is added to it; product: mean and standard deviation
    of the first factor, then of the second; powers: those of each column, by product, then the
    least that each column counts as.
    """

    name: str
    kind: Literal["column", "is", "log", "product", "repeat", "powers"]
    columns: tuple[str, ...] = ()
    category: str = ""
    weights: tuple[float, ...] = ()
    factors: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        columns, factors, numbers = map(len, (self.columns, self.factors, self.numbers))
        whole = {
            "column": columns == 1,
            "is": columns == 1,
            "repeat": columns > 0,
            "product": (factors, numbers) == (2, 4),
            "log": columns == len(self.weights) > 0 and numbers == 2,
            "powers": columns * len(self.weights) > 0
            and numbers == columns * (len(self.weights) + 1)
            and min(*self.weights, *self.numbers[-columns:]) > 0,
        }
        if not whole[self.kind]:
            raise ValueError(f"the term '{self.name[:60]}' is no whole '{self.kind}'")


def column(name: str) -> Atom:
    """Return the atom of a numeric column."""
    return Atom(name, "column", (name,))


def category(name: str, value: str) -> Atom:
    """Return the atom that is 1 where the column `name` is `value`."""
    return Atom(f"{name}={value}", "is", (name,), value)


def repeat(cell: cells.Cell, value: str) -> Atom:
    """Return the atom that counts repetitions of the category `value` in a cell."""
    return Atom(f"{value} again", "repeat", cell.columns, value)


def logarithm(
    name: str, columns: Sequence[str], weights: np.ndarray, matrix: np.ndarray
) -> Atom | None:
    """Return the atom log(sum), or None if the sum is negative somewhere in the rows [n, p].

    Zeros are allowed: the least positive sum is then added. Sums below what was seen are read as
    half of the least.
    """
    used = np.flatnonzero(weights)
    sums = matrix @ weights
    if sums.min() < 0 or not (sums > 0).any():
        return None
    least = float(sums[sums > 0].min())
    added = 0.0 if sums.min() > 0 else least
    return Atom(
        f"log({name})",
        "log",
        tuple(columns[index] for index in used.tolist()),
        weights=tuple(float(weights[index]) for index in used),
        numbers=(0.0 if added else least / 2, added),
    )


def product(first: Atom, second: Atom, values: tuple[np.ndarray, np.ndarray]) -> Atom:
    """Return the product of two atoms, standardised by their `values` in the rows."""
    numbers = [float(x) for v in values for x in (v.mean(), v.std() or 1.0)]
    name = f"{first.name} * {second.name}"
    return Atom(name, "product", factors=(first.name, second.name), numbers=tuple(numbers))


def evaluate(atoms: Sequence[Atom], table: Table) -> np.ndarray:
    """Return the terms of every row, float64 [n, p]; factors come before their products.

    Raises
    ------
    PredictorError : a column is missing.
    """
    known: dict[str, np.ndarray] = {}
    for atom in atoms:
        if atom.name in known or not set(atom.factors) <= known.keys():
            raise PredictorError(f"The term '{atom.name[:60]}' has no factors, or is there twice.")
        known[atom.name] = _value(atom, table, known)
    return np.column_stack(list(known.values()))


def _value(atom: Atom, table: Table, known: Mapping[str, np.ndarray]) -> np.ndarray:
    if atom.kind == "product":
        mean_a, std_a, mean_b, std_b = atom.numbers
        a, b = (known[factor] for factor in atom.factors)
        return (a - mean_a) / std_a * (b - mean_b) / std_b
    for name in atom.columns:
        if name not in table:
            raise PredictorError(f"The table has no column '{name}'.", nearest(name, table))
    if atom.kind == "is":
        return np.asarray(table[atom.columns[0]] == atom.category, np.float64)
    if atom.kind == "repeat":
        return cells.repeats(table, dict.fromkeys(atom.columns, atom.category))
    if atom.kind == "column":
        return np.asarray(table[atom.columns[0]], np.float64)
    if atom.kind == "powers":
        return _sum_of_products(atom, table)
    weighted = zip(atom.weights, atom.columns, strict=True)
    total = np.sum([weight * table[name] for weight, name in weighted], axis=0)
    floor, added = atom.numbers
    return np.asarray(np.log(np.maximum(total, floor) + added))


def logarithms(atom: Atom, table: Table) -> np.ndarray:
    """Return those of the columns of a sum of products, float64 [c, n]."""
    floors = atom.numbers[-len(atom.columns) :]
    pairs = zip(atom.columns, floors, strict=True)
    return np.array([np.log(np.maximum(table[name], least)) for name, least in pairs])


def _sum_of_products(atom: Atom, table: Table) -> np.ndarray:
    count = len(atom.columns)
    powers = np.reshape(atom.numbers[:-count], (len(atom.weights), count))
    parts = powers @ logarithms(atom, table) + np.log(atom.weights)[:, None]
    return np.asarray(np.logaddexp.reduce(parts, axis=0))
