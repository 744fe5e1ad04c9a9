"""A sum of products of powers: cycles over parallelism, plus bytes, plus a start.

What an engine does is counted by products of sizes: input channels times output channels times
taps times pixels, over the multipliers that work at once. A cost is then a sum of few such products
with positive weights (a posynomial; Duffin, Peterson & Zener 1967). The products are picked from
all that small powers make, one after another, each picked again once others are there (orthogonal
matching pursuit; Pati et al. 1993), by errors in shares of the response. Its logarithm is one term
of the logarithm of the response; whether it stays is for rows left out to say.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from edgenas.predictors.linear.effect_widths import Refound
from edgenas.predictors.linear.shrinkage import Level, sample
from edgenas.predictors.tables import terms as at
from edgenas.predictors.tables.main_terms import Vocabulary
from edgenas.predictors.tables.terms import Atom

NAME, LEVEL = "log(sum of products)", "sum of products"
FEWEST_ROWS, ROWS_A_PRODUCT = 12, 4
# Products are of so many columns, those of the largest effects, of a table that has not many more.
MOST_COLUMNS, MOST_OF_TABLE, MOST_PRODUCTS = 7, 16, 6
FEW_COLUMNS = 4
POWERS, FINER_POWERS = (-1.0, 0.0, 1.0, 2.0), (-1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
# Products are chosen from so many rows, their weights from all.
MOST_ROWS = 120
# One of m products that could be picked must pay for 2 * SHARE * log(m) of the deviance (extended
# Bayesian criterion; Chen & Chen 2008). Of products NEAR in deviance the simplest is taken.
SHARE, NEAR = 0.7, 1.0
EXCHANGES = 2
INDEPENDENT = 1e-5  # of a product's square that others do not say


@dataclass(frozen=True)
class Sum:
    """The term `atom`, and its `values` [n] in all rows as rows kept, int64, would choose it."""

    atom: Atom
    table: Mapping[str, np.ndarray]
    values: Callable[[np.ndarray], np.ndarray]

    def beside(self, vocabulary: Vocabulary) -> Vocabulary:
        """Return `vocabulary` with this term and a level of it."""
        values = at.evaluate([self.atom], self.table)
        level = Level(LEVEL, np.array([[1 / max(float(values.std()), 1e-12)]]))
        again = Refound(len(vocabulary.atoms), self.values)
        return vocabulary.and_also([self.atom], values, [level], mains=(), refound=again)


def of(atoms: Sequence[Atom], table: Mapping[str, np.ndarray], response: np.ndarray) -> Sum | None:
    """Return the sum of products of the columns that `atoms` are of, None if there is none.

    response : float64 [n], positive; terms are to add up to its logarithm.
    """
    numeric = [atom.name for atom in atoms if atom.kind == "column"]
    categorical = sorted({atom.columns[0] for atom in atoms if atom.kind == "is"})
    atom = find(table, numeric, categorical, response)
    if atom is None:
        return None

    @cache  # of several vocabularies the same rows are left out
    def chosen(kept: bytes) -> np.ndarray:
        rows = np.frombuffer(kept, np.int64)
        here = {name: table[name][rows] for name in (*numeric, *categorical)}
        power_sum = find(here, numeric, categorical, response[rows]) or atom
        return at.evaluate([power_sum], table)[:, 0]

    return Sum(atom, table, lambda kept: chosen(np.asarray(kept, np.int64).tobytes()))


def find(
    table: Mapping[str, np.ndarray],
    numeric: Sequence[str],
    categorical: Sequence[str],
    response: np.ndarray,
) -> Atom | None:
    """Return the term of the positive ones of `numeric` columns, None if no product is worth it.

    What `categorical` columns multiply `response` [n], which is positive, by is taken off first.
    """
    names = [x for x in numeric if table[x].min() > 0 and np.ptp(table[x]) > 0]
    if len(response) < FEWEST_ROWS or not 2 <= len(names) <= MOST_OF_TABLE:
        return None
    logs = np.log(np.column_stack([table[name] for name in names]))
    effects, factors = _effects(logs, [table[name] for name in categorical], np.log(response))
    used = np.sort(np.argsort(-effects, kind="stable")[:MOST_COLUMNS])
    names, logs = [names[index] for index in used.tolist()], logs[:, used]
    centre, alone = logs.mean(axis=0), response / np.exp(factors)
    part = sample(len(response), MOST_ROWS)
    powers = _powers(len(names))
    picked = _picked(np.exp((logs[part] - centre) @ powers.T) / alone[part, None], powers)
    if len(picked) < 2:
        return None
    from scipy.optimize import nnls

    products = np.exp((logs - centre) @ powers[picked].T)
    weights, _ = nnls(products / alone[:, None], np.ones(len(alone)))
    kept = np.flatnonzero(weights > 0)
    exponents = powers[picked][kept]
    if not exponents.any():
        return None
    raw = weights[kept] * np.exp(-exponents @ centre)
    floors = [float(table[name].min()) / 2 for name in names]
    return Atom(
        NAME,
        "powers",
        tuple(names),
        weights=tuple(raw.tolist()),
        numbers=(*exponents.ravel().tolist(), *floors),
    )


def sentence(atom: Atom) -> str:
    """Return the sum in words, its largest product first where weights are of one size."""
    exponents = np.reshape(atom.numbers[: -len(atom.columns)], (len(atom.weights), -1))
    parts = []
    for weight, powers in zip(atom.weights, exponents.tolist(), strict=True):
        over = [_power(x, p) for x, p in zip(atom.columns, powers, strict=True) if p > 0]
        under = [_power(x, -p) for x, p in zip(atom.columns, powers, strict=True) if p < 0]
        parts.append(" / ".join([" · ".join([f"{weight:.3g}", *over]), *under]))
    return " + ".join(parts)


def _power(name: str, power: float) -> str:
    return name if power == 1 else f"{name}^{power:g}"


def _effects(
    logs: np.ndarray, texts: Sequence[np.ndarray], response: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return |effect| of each column of `logs` [n, p] on `response` [n], its logarithm, float64
    [p], and what categories add to it, [n], by ridge regression."""
    standard = (logs - logs.mean(axis=0)) / np.maximum(logs.std(axis=0), 1e-12)
    marks = [(text == value).astype(float) for text in texts for value in np.unique(text)]
    rows = np.column_stack([standard, *(mark - mark.mean() for mark in marks)])
    gram = rows.T @ rows + np.eye(rows.shape[1])
    coefs = np.linalg.solve(gram, rows.T @ (response - response.mean()))
    count = logs.shape[1]
    return np.abs(coefs[:count]), rows[:, count:] @ coefs[count:]


def _powers(columns: int) -> np.ndarray:
    """Return the powers of the products that may be picked, float64 [m, columns]."""
    each = FINER_POWERS if columns <= FEW_COLUMNS else POWERS
    return np.array(list(itertools.product(*[each] * columns)))


def _picked(products: np.ndarray, powers: np.ndarray) -> list[int]:
    """Return which `products` [n, m], over the responses, add up to nearly 1; a constant is first.

    powers : float64 [m, c], of the products.
    """
    n, many = products.shape
    candidates = _Candidates.of(products, np.abs(powers).sum(axis=1))
    picked = [int(np.argmin(candidates.size))]
    price = np.log(n) + 2 * SHARE * np.log(many)
    while len(picked) <= min(MOST_PRODUCTS, n // ROWS_A_PRODUCT):
        more, before, after = candidates.next(picked)
        if n * np.log(before / after) < price:
            break
        picked.append(more)
        for _ in range(EXCHANGES):
            known = list(picked)
            for place in range(1, len(picked)):
                rest = [*picked[:place], *picked[place + 1 :]]
                picked[place] = candidates.next(rest)[0]
            if picked == known:
                break
    return picked


@dataclass(frozen=True)
class _Candidates:
    """Products that may be picked, scaled to length 1: `unit` [n, m]; `size` [m], the sum of their
    |powers|. totals : float64 [m], the sums of `unit` over rows. cosines : with all products, [m],
    of those that were picked so far: many are picked again and again."""

    unit: np.ndarray
    size: np.ndarray
    totals: np.ndarray
    cosines: dict[int, np.ndarray]

    @classmethod
    def of(cls, products: np.ndarray, size: np.ndarray) -> _Candidates:
        unit = products / np.linalg.norm(products, axis=0)
        return cls(unit, size, unit.sum(axis=0), {})

    def next(self, picked: list[int]) -> tuple[int, float, float]:
        """Return the product to go with those `picked`, and the squared error before and after."""
        rows = len(self.unit)
        basis, upper = np.linalg.qr(self.unit[:, picked])
        along_basis = np.linalg.solve(upper.T, np.array([self._cosines(j) for j in picked]))
        explained = basis.sum(axis=0)
        alone = 1 - np.einsum("km,km->m", along_basis, along_basis)
        along = self.totals - explained @ along_basis
        gain = np.where((alone > INDEPENDENT) & (along > 0), along**2, 0.0)
        gain /= np.maximum(alone, INDEPENDENT)
        rest = 1 - basis @ explained
        before = float(rest @ rest)
        left = np.maximum(before - gain, 1e-12 * rows)
        near = np.flatnonzero(left <= left.min() * np.exp(NEAR / rows))
        best = near[np.lexsort((left[near], self.size[near]))[0]]
        return int(best), max(before, 1e-12 * rows), float(left[best])

    def _cosines(self, product: int) -> np.ndarray:
        if product not in self.cosines:
            self.cosines[product] = self.unit[:, product] @ self.unit
        return self.cosines[product]
