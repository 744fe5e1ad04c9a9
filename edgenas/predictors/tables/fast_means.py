"""Means of many rows at once: a fitted table predictor folded into lookup tables.

All that depends on one categorical column is one table of its categories, all products of two
categorical columns one table of their pairs, and products of numbers one quadratic form. Where all
columns are categorical and there are more rows than combinations, it is one table of these. No row
of terms is made, so a mean costs a few look-ups and one pass over the numeric columns.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgenas.predictors.tables import cells, fast_means_of_numbers
from edgenas.predictors.tables.cells import Cell
from edgenas.predictors.tables.fast_means_of_numbers import Numbers
from edgenas.predictors.tables.terms import Atom

CHUNK = 8192  # rows worked on at a time, so that they stay in the cache


@dataclass
class Lookup:
    """The folded predictor.

    sizes : how many codes each categorical column has, an unknown category among them.
    numbers : makes v values of numeric columns, and adds these as they count by themselves.
    form : float64 [v, v + 1], of products of two values; last, what each value adds by itself.
    factors, quadratic : which values are first and second factors of products, int64 [a] and [b],
        and those rows and columns of the form, [a, b]; most values of many are in no product.
    marks, pairs : what categories add, by code: [k + 1] a column, [k + 1, m + 1] a pair of them;
        the last code is an unknown category.
    slopes : what categories add to the coefficients of the values, [k + 1, v + 1] a column while
        it is folded; then [s, k + 1], of those values, `sloped`, where that is not 0.
    cell : cuts codes first, nothing being the code of no operation in each column. repeats : the
        codes of an operation in each column, and what each repetition adds.
    """

    intercept: float
    sizes: dict[str, int]
    numbers: Numbers
    form: np.ndarray
    factors: tuple[np.ndarray, ...] = ()
    quadratic: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    marks: dict[str, np.ndarray] = field(default_factory=dict)
    pairs: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    slopes: dict[str, np.ndarray] = field(default_factory=dict)
    sloped: dict[str, np.ndarray] = field(default_factory=dict)
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
        sizes = [self.sizes[name] for name in codes]
        every = math.prod(sizes)
        if self.numbers.columns or every > n:
            return self._means(n, numbers, codes)
        combined = np.unravel_index(np.arange(every), sizes)
        table = self._means(every, numbers, dict(zip(codes, combined, strict=True)))
        return np.asarray(table[np.ravel_multi_index(tuple(codes.values()), sizes)])

    def _means(
        self, n: int, numbers: Mapping[str, np.ndarray], codes: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        means = np.full(n, self.intercept)
        for start in range(0, n, CHUNK):
            rows = slice(start, start + CHUNK)
            self._add(
                means[rows], numbers, {name: code[rows] for name, code in codes.items()}, rows
            )
        return means

    def _add(
        self,
        means: np.ndarray,
        numbers: Mapping[str, np.ndarray],
        codes: Mapping[str, np.ndarray],
        rows: slice,
    ) -> None:
        if self.cell is not None:
            codes = self.cell.cut(codes, self.nothing)
        for wanted, coef in self.repeats:
            means += coef * cells.repeats(codes, wanted)
        for name, table in self.marks.items():
            means += table[codes[name]]
        for (first, second), table in self.pairs.items():
            means += table.ravel()[codes[first] * table.shape[1] + codes[second]]
        if not self.numbers.columns:
            return
        values = self.numbers.values(numbers, rows, means)
        means += self.form[:, -1] @ values[:-1]
        if self.quadratic.size:
            left, right = (_picked(values[:-1], places) for places in self.factors)
            means += np.einsum("ij,ij->j", self.quadratic @ right, left)
        for name, table in self.slopes.items():
            places = self.sloped[name]
            means += np.einsum("ij,ij->j", _picked(values, places), table[:, codes[name]])


def _picked(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the rows of `values` at `places`, rising; without a copy if these are all."""
    return values if len(places) == len(values) else values[places]


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
    products = [atom for atom in atoms if atom.kind == "product"]
    factors = Counter(name for atom in products for name in atom.factors)
    numbers, logs = _numbers(atoms, coefs, [x for x in factors if by_name[x].kind == "column"])
    names = [*logs, *numbers.plain]
    lookup = Lookup(
        intercept=float(params[0]),
        sizes={name: len(categories) + 1 for name, categories in known.items()},
        numbers=numbers,
        form=np.zeros((len(names), len(names) + 1)),
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
            table = lookup.marks.setdefault(column, np.zeros(len(known[column]) + 1))
            table[known[column].index(atom.category)] += coefs[atom.name]
    position = {name: index for index, name in enumerate(names)}
    for atom in products:
        _add_product(lookup, atom, coefs[atom.name], (by_name, known, position), factors)
    standard = {
        factor: atom.numbers[2 * side : 2 * side + 2]
        for atom in products
        for side, factor in enumerate(atom.factors)
    }
    _take_in(lookup, np.array([standard.get(name, (0.0, 1.0)) for name in names]).reshape(-1, 2))
    lookup.form[: len(logs), -1] += [coefs[name] for name in logs]
    squares = lookup.form[:, :-1]
    lookup.factors = tuple(np.flatnonzero((squares != 0).any(axis=axis)) for axis in (1, 0))
    lookup.quadratic = squares[np.ix_(*lookup.factors)]
    for name, table in lookup.slopes.items():
        lookup.sloped[name] = np.flatnonzero((table != 0).any(axis=0))
        lookup.slopes[name] = np.ascontiguousarray(table[:, lookup.sloped[name]].T)
    return lookup


def _numbers(
    atoms: Sequence[Atom], coefs: Mapping[str, float], plain: Sequence[str]
) -> tuple[Numbers, list[str]]:
    """Return what numeric columns become, and which logarithms these are in turn."""
    logs = [atom for atom in atoms if atom.kind == "log"]
    read = [atom for atom in atoms if atom.kind in ("column", "log")]
    place = {name: i for i, name in enumerate(dict.fromkeys(x for a in read for x in a.columns))}
    columns = list(place)
    sums = np.zeros((len(logs), len(columns)))
    for row, atom in zip(sums, logs, strict=True):
        row[[place[name] for name in atom.columns]] = atom.weights
    linear = np.array([coefs.get(name, 0.0) for name in columns])
    blocks, shared, order = fast_means_of_numbers.plan(columns, linear, sums)
    least, added = np.array([logs[index].numbers for index in order]).reshape(-1, 2).T
    ordered = Numbers(blocks, shared, least + added, added, tuple(plain))
    return ordered, [logs[index].name for index in order]


def categories(
    atoms: Sequence[Atom], measured: Mapping[str, Sequence[str]], cell: Cell | None = None
) -> dict[str, tuple[str, ...]]:
    """Return the categories of each column that terms know: those measured, and others behind."""
    categories = {name: dict.fromkeys(values) for name, values in measured.items()}
    for atom in atoms:
        for name in atom.columns if atom.kind in ("is", "repeat") else ():
            categories[name].setdefault(atom.category)
    if cell is not None:
        for name in cell.columns:
            categories[name].setdefault(cell.nothing)
    return {name: tuple(values) for name, values in categories.items()}


def _take_in(lookup: Lookup, numbers: np.ndarray) -> None:
    """Let form and slopes, of standardised values, be of the values as they are.

    numbers : float64 [v, 2], mean and standard deviation of each value.
    """
    mean, std = numbers.T
    squares = lookup.form[:, :-1] / np.outer(std, std)
    lookup.form[:, :-1] = squares
    lookup.form[:, -1] = -(squares + squares.T) @ mean
    lookup.intercept += float(mean @ squares @ mean)
    for slopes in lookup.slopes.values():
        slopes[:, :-1] /= std
        slopes[:, -1] = -slopes[:, :-1] @ mean


def _add_product(
    lookup: Lookup,
    atom: Atom,
    coef: float,
    names: tuple[Mapping[str, Atom], Mapping[str, Sequence[str]], Mapping[str, int]],
    often: Mapping[str, int],
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
        # rows of the form are few if the factor that is in more products comes first
        first, second = sorted(atom.factors, key=lambda name: -often[name])
        lookup.form[position[first], position[second]] += coef
    elif len(marked) == 1:
        factor = next(position[name] for name in atom.factors if name in position)
        size = (len(tables[0]), len(position) + 1)
        lookup.slopes.setdefault(columns[0], np.zeros(size))[:, factor] += coef * tables[0]
    elif columns[0] == columns[1]:
        zeros = np.zeros(len(tables[0]))
        lookup.marks.setdefault(columns[0], zeros)[:] += coef * tables[0] * tables[1]
    else:
        zeros = np.zeros((len(tables[0]), len(tables[1])))
        pair = lookup.pairs.setdefault((columns[0], columns[1]), zeros)
        pair += coef * np.outer(tables[0], tables[1])
