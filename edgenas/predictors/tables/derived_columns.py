"""Columns that others decide, or nearly: parameters of a network beside its width and layers.

Such a column has no effect of its own that rows could tell: it never changes alone. It is found by
a sum or a product of powers of few other columns that gives nearly all of it back, and then follows
its causes where their effects are said. Or it is said to be so: "params = 12 * layers * width**2".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgenas.core.errors import PredictorError, nearest
from edgenas.predictors import formula_syntax

# Shares of the variance that causes give back: NEARLY is said, and followed.
NEARLY, EXACTLY = 0.97, 0.999999
MOST_CAUSES, FEWEST_ROWS, MOST_COLUMNS = 4, 12, 60
EXACT_RTOL = 1e-9  # a formula that is so near needs no scale
# With fewer rows a column, any column is nearly said by the others.
ROWS_A_COLUMN = 3
# A cause must take this share off what is left without it; rounding leaves less than NOTHING.
WORTHWHILE, NOTHING = 0.5, 1e-18


@dataclass(frozen=True)
class Derived:
    """One column that others decide.

    causes : those. kind : "product" of `weights` as powers, "sum" of `weights` as factors, or
    "formula", of which the one of `weights` is the factor. constant : the factor, or addend, behind
    them. r2 : the share of the variance, of the logarithm in a product, that they give back.
    formula : as it was given, "" if none was.
    """

    column: str
    causes: tuple[str, ...]
    kind: Literal["sum", "product", "formula"]
    weights: tuple[float, ...]
    constant: float
    r2: float
    formula: str = ""

    def __post_init__(self) -> None:
        factors = 1 if self.kind == "formula" else len(self.causes)
        if not self.causes or len(self.weights) != factors:
            raise ValueError(f"the derived column '{self.column[:60]}' is not made of its causes")

    def of(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the column as its causes in `columns` have it, float64 [n]."""
        if self.kind == "formula":
            _, values = formula_syntax.evaluate(self.formula, columns)
            return np.asarray(self.constant + self.weights[0] * values)
        causes = np.column_stack([columns[name] for name in self.causes])
        if self.kind == "sum":
            return np.asarray(causes @ self.weights + self.constant)
        return np.asarray(self.constant * np.prod(causes ** np.array(self.weights), axis=1))

    def sentence(self) -> str:
        """Return in words what it is made of."""
        if self.kind == "formula":
            told = self.formula
            if self.weights != (1.0,) or self.constant != 0:
                told = f"{self.constant:.3g} + {self.weights[0]:.3g}·({self.formula})"
        elif self.kind == "product":
            told = " · ".join(
                name if abs(power - 1) < 0.005 else f"{name}^{power:.2g}"
                for name, power in zip(self.causes, self.weights, strict=True)
            )
        else:
            told = " + ".join(
                f"{weight:.3g}·{name}"
                for name, weight in zip(self.causes, self.weights, strict=True)
            )
        nearly = "is" if self.r2 > EXACTLY else f"is nearly ({self.r2:.1%} of it)"
        return (
            f"'{self.column}' {nearly} {'proportional to ' * (self.kind == 'product')}{told}: rows "
            "cannot tell an effect of its own; it follows where those change."
        )


def find(
    columns: Mapping[str, np.ndarray], names: Sequence[str], said: Sequence[str] = ()
) -> tuple[Derived, ...]:
    """Return which of the numeric columns `names`, float64 [n] each, others decide.

    Causes take few values, what is made of them many: columns are tried from the most values down,
    and a column that was found is no cause. said : of `given`; these come first.
    """
    known = given(columns, names, said)
    decided = {column.column for column in known}
    return (*known, *_sought(columns, [name for name in names if name not in decided]))


def given(
    columns: Mapping[str, np.ndarray], names: Sequence[str], said: Sequence[str]
) -> tuple[Derived, ...]:
    """Return what is `said` of the numeric columns `names`: "COLUMN = FORMULA" each, of arithmetic
    as in formulas of terms. What the formula comes to may be scaled and shifted.

    Raises
    ------
    PredictorError : it cannot be read, is of other columns or of derived ones, or gives back less
        than 97 % of the column.
    """
    columns_given: list[Derived] = []
    for text, (column, formula) in zip(said, sides(said), strict=True):
        causes, values = _evaluated(text, formula, columns)
        for name in (column, *causes):
            if name not in names:
                hint = nearest(name, names)
                raise PredictorError(f"'{name}' is no column of numbers that is fitted.", hint)
        decided = {known.column for known in columns_given} | {column}
        for name in causes:
            if name in decided:
                raise PredictorError(
                    f"'{column}' is said to be made of '{name}', which is derived itself.",
                    f"Write what '{name}' is made of in its place.",
                )
        columns_given.append(_scaled(column, causes, formula, columns[column], values))
    return tuple(columns_given)


def sides(said: Sequence[str]) -> list[tuple[str, str]]:
    """Return column and formula of each "COLUMN = FORMULA"; `PredictorError` if it is none."""
    pairs = []
    for text in said:
        column, _, formula = (part.strip() for part in text.rpartition("="))
        if not column or not formula:
            raise PredictorError(
                f"'{text[:200]}' does not say what a column is made of.",
                'Write: --derived "params = 12 * layers * width**2".',
            )
        pairs.append((column, formula))
    return pairs


def _evaluated(
    text: str, formula: str, columns: Mapping[str, np.ndarray]
) -> tuple[tuple[str, ...], np.ndarray]:
    try:
        causes, values = formula_syntax.evaluate(formula, columns)
    except PredictorError as problem:
        raise PredictorError(f"--derived '{text[:80]}': {problem}", problem.hint) from problem
    if values.dtype.kind != "f" or not np.isfinite(values).all():
        raise PredictorError(f"'{formula[:80]}' is no finite number in every row.")
    return causes, values


def _scaled(
    column: str, causes: tuple[str, ...], formula: str, target: np.ndarray, values: np.ndarray
) -> Derived:
    """Return the column as formula `values` [n] give `target` [n] back."""
    total = float(np.sum((target - target.mean()) ** 2))
    factor, constant = 1.0, 0.0
    if not np.allclose(values, target, rtol=EXACT_RTOL, atol=0.0) and np.ptp(values) > 0:
        off = values - values.mean()
        factor = float(off @ target / (off @ off))
        constant = float(target.mean() - factor * values.mean())
    left = float(np.sum((target - constant - factor * values) ** 2))
    r2 = 1 - left / total if total > 0 else 0.0
    if r2 < NEARLY:
        raise PredictorError(
            f"'{column}' is not '{formula[:80]}': that gives back {max(r2, 0.0):.1%} of how it "
            f"varies, and {NEARLY:.0%} are needed.",
            "Mend the formula, or leave it out: fit finds sums and products by itself.",
        )
    return Derived(column, causes, "formula", (factor,), constant, r2, formula)


def _sought(columns: Mapping[str, np.ndarray], names: Sequence[str]) -> tuple[Derived, ...]:
    """Return the columns that a sum or a product of others gives back."""
    varied = [name for name in names if np.ptp(columns[name]) > 0]
    if not varied or len(columns[varied[0]]) < FEWEST_ROWS or len(varied) > MOST_COLUMNS:
        return ()
    counts = {name: len(np.unique(columns[name])) for name in varied}
    causes, decided = list(varied), []
    for name in sorted(_known_of(columns, varied), key=lambda x: -counts[x]):
        others = [x for x in causes if x != name and counts[x] <= counts[name]]
        derived = _made_of(columns, name, others)
        if derived is not None:
            decided.append(derived)
            causes.remove(name)
    return tuple(decided)


def inflation(columns: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, float | None]:
    """Return the variance inflation factor of each numeric column among all, None where others
    decide it; {} where rows are too few."""
    varied = [name for name in names if np.ptp(columns[name]) > 0]
    if len(varied) < 2 or len(columns[varied[0]]) < ROWS_A_COLUMN * len(varied):
        return {}
    from edgenas.predictors.linear.posterior import inflation as of_matrix

    factors = of_matrix(np.column_stack([columns[name] for name in varied]))
    return {
        name: float(factor) if factor < 1e6 else None
        for name, factor in zip(varied, factors, strict=True)
    }


def _known_of(columns: Mapping[str, np.ndarray], names: Sequence[str]) -> list[str]:
    """Return the columns that all others, or their logarithms, give nearly all of back."""
    positive = [name for name in names if columns[name].min() > 0]
    values = {name: columns[name] for name in names}
    logs = {name: np.log(columns[name]) for name in positive}
    known = {name for name, factor in inflation(values, names).items() if _high(factor)}
    known |= {name for name, factor in inflation(logs, positive).items() if _high(factor)}
    return [name for name in names if name in known]


def _high(factor: float | None) -> bool:
    return factor is None or 1 / factor < 1 - NEARLY


def _made_of(columns: Mapping[str, np.ndarray], name: str, others: list[str]) -> Derived | None:
    best = None
    for kind in ("sum", "product"):
        known = [name, *others] if kind == "sum" else [name, *_positive(columns, others)]
        if kind == "product" and columns[name].min() <= 0:
            continue
        values = {x: columns[x] if kind == "sum" else np.log(columns[x]) for x in known}
        target, rest = values.pop(name), values
        picked, weights, constant, r2 = _few(target, rest)
        if r2 >= NEARLY and (best is None or r2 > best.r2):
            given = tuple(weights), float(np.exp(constant) if kind == "product" else constant)
            best = Derived(name, tuple(picked), kind, *given, r2)
    return best


def _positive(columns: Mapping[str, np.ndarray], names: Sequence[str]) -> list[str]:
    return [name for name in names if columns[name].min() > 0]


def _few(
    target: np.ndarray, values: Mapping[str, np.ndarray]
) -> tuple[list[str], list[float], float, float]:
    """Return the few `values` that a least squares fit of `target` takes, step by step, their
    weights, the constant, and the share of the variance, for the number of weights."""
    n, total = len(target), float(np.sum((target - target.mean()) ** 2))

    def left(names: list[str]) -> tuple[float, np.ndarray]:
        rows = np.column_stack([*(values[name] for name in names), np.ones(n)])
        fitted = np.linalg.lstsq(rows, target, rcond=None)[0]
        return float(np.sum((target - rows @ fitted) ** 2)), fitted

    picked: list[str] = []
    least, fitted = left(picked)
    while len(picked) < min(MOST_CAUSES, n // 4, len(values)) and least > NOTHING * total:
        rest = [name for name in values if name not in picked]
        picked.append(min(rest, key=lambda name: left([*picked, name])[0]))
        least, fitted = left(picked)
    while len(picked) > 1:  # what came first may be said by what came later
        spared = min(picked, key=lambda name: left([x for x in picked if x != name])[0])
        error, _ = left(without := [name for name in picked if name != spared])
        if (1 - WORTHWHILE) * error > max(least, NOTHING * total):
            break
        picked, (least, fitted) = without, left(without)
    r2 = 1 - least / (n - len(picked) - 1) / (total / (n - 1))
    return picked, fitted[:-1].tolist(), float(fitted[-1]), float(r2) if picked else 0.0
