"""Means of many rows at once: a fitted table predictor folded into lookup tables.

All that depends on one categorical column is one table of its categories, all products of two
categorical columns one table of their pairs, and products of numbers one quadratic form. No row of
terms is made, so a mean costs a few look-ups and one pass over the numeric columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgenas.predictors import cells
from edgenas.predictors.atoms import Atom
from edgenas.predictors.cells import Cell

CHUNK = 8192  # rows worked on at a time, so that they stay in the cache


@dataclass
class Lookup:
    """The folded predictor.

    columns : numeric columns that are read, c of them.
    sums : float64 [l + 1, c], weights of the sums that logarithms are taken of, and of the sum that
        counts as it is. log_numbers : [l, 3], floor, what is added, coefficient.
    marks, pairs : what categories add, by code: [k + 1] a column, [k + 1, m + 1] a pair of them;
        the last code is an unknown category.
    slopes : what categories add to the coefficients of the factors, [k + 1, f] a column.
    cell : cuts codes first, nothing being the code of no operation in each column. repeats : the
        codes of an operation in each column, and what each repetition adds.
    factors : int64 [f], of products of numbers: a column, or a logarithm behind the columns.
    form : float64 [f, f], of their products. lines : float64 [f], of the factors themselves.
    """

    intercept: float
    columns: tuple[str, ...]
    sums: np.ndarray
    log_numbers: np.ndarray
    factors: np.ndarray
    form: np.ndarray
    lines: np.ndarray
    marks: dict[str, np.ndarray] = field(default_factory=dict)
    pairs: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    slopes: dict[str, np.ndarray] = field(default_factory=dict)
    cell: Cell | None = None
    nothing: dict[str, int] = field(default_factory=dict)
    repeats: list[tuple[dict[str, int], float]] = field(default_factory=list)

    def predict(
        self, numbers: Mapping[str, np.ndarray], codes: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the means, float64 [n].

        numbers : numeric columns, float64 [n]. codes : of the categories of a column, int64 [n].
        """
        n = len(next(iter({**numbers, **codes}.values())))
        found = np.full(n, self.intercept)
        for start in range(0, n, CHUNK):
            rows = slice(start, start + CHUNK)
            self._add(
                found[rows], numbers, {name: code[rows] for name, code in codes.items()}, rows
            )
        return found

    def _add(
        self,
        found: np.ndarray,
        numbers: Mapping[str, np.ndarray],
        codes: Mapping[str, np.ndarray],
        rows: slice,
    ) -> None:
        if self.cell is not None:
            codes = self.cell.cut(codes, self.nothing)
        for wanted, coef in self.repeats:
            found += coef * cells.repeats(codes, wanted)
        for name, table in self.marks.items():
            found += table[codes[name]]
        for (first, second), table in self.pairs.items():
            found += table.ravel()[codes[first] * table.shape[1] + codes[second]]
        if not self.columns:
            return
        values = np.stack([numbers[name][rows] for name in self.columns])
        sums = self.sums @ values
        logs = sums[:-1]
        found += sums[-1]
        floor, added, coef = self.log_numbers.T[:, :, None]
        np.maximum(logs, floor, out=logs)
        logs += added
        np.log(logs, out=logs)
        found += coef[:, 0] @ logs
        if len(self.factors):
            here = [
                logs[index - len(values)] if index >= len(values) else values[index]
                for index in self.factors
            ]
            factors = np.stack(here)
            slopes = self.form @ factors
            slopes += self.lines[:, None]
            found += np.einsum("ij,ij->j", slopes, factors)
            for name, table in self.slopes.items():
                found += np.einsum("ij,ji->j", factors, table[codes[name]])


def fold(
    atoms: Sequence[Atom],
    params: np.ndarray,
    known: Mapping[str, Sequence[str]],
    cell: Cell | None = None,
) -> Lookup:
    """Return the lookup of a regression with coefficients `params` [p + 1], intercept first.

    known : the categories of each categorical column, in the order of their codes. cell : of which
    edges that nothing uses are cut off.
    """
    coefs = dict(zip((atom.name for atom in atoms), params[1:].tolist(), strict=True))
    by_name = {atom.name: atom for atom in atoms}
    numbers = (atom for atom in atoms if atom.kind in ("column", "log"))
    columns = tuple(dict.fromkeys(name for atom in numbers for name in atom.columns))
    logs = [atom for atom in atoms if atom.kind == "log"]
    place = {name: index for index, name in enumerate((*columns, *(atom.name for atom in logs)))}
    products = [atom for atom in atoms if atom.kind == "product"]
    standard = {
        factor: atom.numbers[2 * side : 2 * side + 2]
        for atom in products
        for side, factor in enumerate(atom.factors)
    }
    numeric = [name for name in standard if by_name[name].kind != "is"]
    sums = np.zeros((len(logs) + 1, len(columns)))
    sums[-1] = [coefs.get(name, 0.0) for name in columns]
    for index, atom in enumerate(logs):
        sums[index, [place[column] for column in atom.columns]] = atom.weights
    found = Lookup(
        intercept=float(params[0]),
        columns=columns,
        sums=sums,
        log_numbers=np.array([(*atom.numbers, coefs[atom.name]) for atom in logs]).reshape(-1, 3),
        factors=np.array([place[name] for name in numeric], int),
        form=np.zeros((len(numeric), len(numeric))),
        lines=np.zeros(len(numeric)),
        cell=cell,
        nothing={} if cell is None else {x: known[x].index(cell.nothing) for x in cell.columns},
        repeats=[
            ({x: known[x].index(atom.category) for x in atom.columns}, coefs[atom.name])
            for atom in atoms
            if atom.kind == "repeat"
        ],
    )
    for atom in atoms:
        if atom.kind == "is":
            column = atom.columns[0]
            table = found.marks.setdefault(column, np.zeros(len(known[column]) + 1))
            table[known[column].index(atom.category)] += coefs[atom.name]
    position = {name: index for index, name in enumerate(numeric)}
    for atom in products:
        _add_product(found, atom, coefs[atom.name], (by_name, known, position))
    _take_in(found, np.array([standard[name] for name in numeric]).reshape(-1, 2))
    return found


def categories(
    atoms: Sequence[Atom], measured: Mapping[str, Sequence[str]], cell: Cell | None = None
) -> dict[str, tuple[str, ...]]:
    """Return the categories of each column that terms know: those measured, and others behind."""
    found = {name: dict.fromkeys(values) for name, values in measured.items()}
    for atom in atoms:
        for name in atom.columns if atom.kind in ("is", "repeat") else ():
            found[name].setdefault(atom.category)
    if cell is not None:
        for name in cell.columns:
            found[name].setdefault(cell.nothing)
    return {name: tuple(values) for name, values in found.items()}


def _take_in(found: Lookup, numbers: np.ndarray) -> None:
    """Let form, lines and slopes, of standardised factors, be of the factors as they are.

    numbers : float64 [f, 2], mean and standard deviation of each factor.
    """
    mean, std = numbers.T
    found.form = found.form / np.outer(std, std)
    found.lines = -(found.form + found.form.T) @ mean
    found.intercept += float(mean @ found.form @ mean)
    found.slopes = {column: slopes / std for column, slopes in found.slopes.items()}
    for column, slopes in found.slopes.items():
        marks = found.marks.setdefault(column, np.zeros(len(slopes)))
        marks -= slopes @ mean


def _add_product(
    found: Lookup,
    atom: Atom,
    coef: float,
    names: tuple[Mapping[str, Atom], Mapping[str, Sequence[str]], Mapping[str, int]],
) -> None:
    by_name, known, position = names
    marked = [name for name in atom.factors if name not in position]
    columns = [by_name[name].columns[0] for name in marked]
    tables = []
    for side, name in enumerate(atom.factors):
        if name in marked:
            mean, std = atom.numbers[2 * side : 2 * side + 2]
            column = by_name[name].columns[0]
            table = np.full(len(known[column]) + 1, -mean / std)
            table[known[column].index(by_name[name].category)] += 1 / std
            tables.append(table)
    if not marked:
        first, second = (position[name] for name in atom.factors)
        found.form[first, second] += coef
    elif len(marked) == 1:
        factor = next(position[name] for name in atom.factors if name in position)
        size = (len(tables[0]), len(position))
        found.slopes.setdefault(columns[0], np.zeros(size))[:, factor] += coef * tables[0]
    elif columns[0] == columns[1]:
        zeros = np.zeros(len(tables[0]))
        found.marks.setdefault(columns[0], zeros)[:] += coef * tables[0] * tables[1]
    else:
        zeros = np.zeros((len(tables[0]), len(tables[1])))
        pair = found.pairs.setdefault((columns[0], columns[1]), zeros)
        pair += coef * np.outer(tables[0], tables[1])
