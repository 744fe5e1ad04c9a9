"""What may stand in a formula: columns, arithmetic and a few functions, of a bounded size.

A formula also comes out of a predictor file, and patsy runs any Python that it finds in one, on
either side of "~". So a formula is read here first, and patsy gets only what is on the list.
"""

from __future__ import annotations

import ast
import io
import math
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgenas.core.errors import PredictorError, nearest

FUNCTIONS = ("log", "log2", "log1p", "exp", "sqrt")
PATSY = ("I", "C", "Q")
MOST_CHARACTERS = 20_000
MOST_TOKENS = 3_000
MOST_NESTED = 20  # brackets, and signs in a row
MOST_TERMS = 300
MOST_FACTORS = 2_000  # of all terms together
MOST_COLUMNS = 5_000  # of the matrix, to which a category adds one for each level
MOST_CELLS = 2**25
LARGEST_POWER = 8
LARGEST_NUMBER = 1e12

_OPERATORS = {"+", "-", "*", "/", "**", ":", "(", ")", ","}
_LAYOUT = {tokenize.NEWLINE, tokenize.NL, tokenize.ENDMARKER}
_BINARY: dict[type[ast.operator], np.ufunc] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd, ast.Load)


def check_size(formula: str) -> None:
    """Raise `PredictorError` for a formula that is too long, too deep, or has a foreign symbol."""
    if len(formula) > MOST_CHARACTERS:
        raise PredictorError(
            f"A formula of {len(formula)} characters is too long: {MOST_CHARACTERS} are allowed."
        )
    depth = signs = 0
    for number, token in enumerate(_tokens(formula)):
        if number > MOST_TOKENS:
            raise _unusable(formula, f"is too long: {MOST_TOKENS} names and signs are allowed")
        depth += (token.string == "(") - (token.string == ")")
        signs = signs + 1 if token.string in ("+", "-") else 0
        if max(depth, signs) > MOST_NESTED:
            raise _unusable(formula, f"is too deep: {MOST_NESTED} brackets or signs are allowed")


def check_terms(formula: str, tree: Any) -> None:
    """Raise `PredictorError` for a formula that multiplies out to too many terms.

    tree : patsy's parse of the formula; nothing in it was evaluated.
    """
    terms, factors = _expanded(formula, tree)
    if terms > MOST_TERMS or factors > MOST_FACTORS:
        raise _unusable(formula, f"has too many terms: {MOST_TERMS} are allowed")


def check_factor(factor: str, table: Mapping[str, Any]) -> None:
    """Raise `PredictorError` unless a factor is arithmetic of columns of `table`.

    factor : Python text, as patsy found it in a formula.
    """
    try:
        tree = ast.parse(factor, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        raise _unusable(factor, "cannot be read") from problem
    _check(tree, factor, table)


def evaluate(factor: str, table: Mapping[str, np.ndarray]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the columns of numbers in arithmetic of those of `table`, and what it comes to,
    float64 [n].

    Raises
    ------
    PredictorError : as of `check_size` and `check_factor`; it has no column, or a category.
    """
    check_size(factor)
    check_factor(factor, table)
    tree = ast.parse(factor, mode="eval").body
    named: list[str] = []
    with np.errstate(all="ignore"):  # whether it is finite is for the caller to say
        values = _value(tree, factor, table, named)
    if not named:
        raise _unusable(factor, "has no column")
    return tuple(dict.fromkeys(named)), np.asarray(values, np.float64)


def _value(node: ast.expr, factor: str, table: Mapping[str, np.ndarray], named: list[str]) -> Any:
    """Return what a part of a checked factor comes to; the columns in it are added to `named`."""
    if isinstance(node, ast.Name):
        if table[node.id].dtype.kind != "f":
            raise _unusable(factor, f"has '{node.id}', which is no column of numbers")
        named.append(node.id)
        return table[node.id]
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, factor, table, named)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        sides = (_value(side, factor, table, named) for side in (node.left, node.right))
        return _BINARY[type(node.op)](*sides)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        name, argument = node.func.id, node.args[0]
        if name == "C":
            raise _unusable(factor, "has a category, which is no column of numbers")
        if name == "Q" and isinstance(argument, ast.Constant):
            return _value(ast.Name(str(argument.value)), factor, table, named)
        value = _value(argument, factor, table, named)
        return value if name == "I" else getattr(np, name)(value)
    number = _number(node)
    return float("nan") if number is None else float(number)


def check_width(formula: str, terms: Sequence[Sequence[str]], table: Mapping[str, Any]) -> None:
    """Raise `PredictorError` if the matrix of the terms, factors of each, is far too large."""
    width = sum(math.prod(_levels(factor, table) for factor in factors) for factors in terms)
    rows = max((len(values) for values in table.values()), default=0)
    if width > MOST_COLUMNS or width * rows > MOST_CELLS:
        raise _unusable(formula, f"makes {width} columns of {rows} rows, which is too many")


def _levels(factor: str, table: Mapping[str, Any]) -> int:
    """Return how many columns a factor, which `check_factor` accepted, has at most."""
    tree = ast.parse(factor, mode="eval").body
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    named |= {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    columns = [np.asarray(table[name]) for name in named if name in table]
    category = isinstance(tree, ast.Call) and getattr(tree.func, "id", "") == "C"
    levels = [len(np.unique(x)) for x in columns if category or x.dtype.kind not in "fiub"]
    return max(levels, default=1)


def _tokens(formula: str) -> Iterator[tokenize.TokenInfo]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(formula.strip()).readline):
            usable = token.type in (tokenize.NAME, tokenize.NUMBER, tokenize.STRING) or (
                token.type == tokenize.OP and token.string in _OPERATORS
            )
            if usable:
                yield token
            elif token.type not in _LAYOUT:
                raise _unusable(formula, f"has '{token.string[:20]}', which is not allowed in one")
    except (tokenize.TokenError, SyntaxError) as problem:
        raise _unusable(formula, "cannot be read") from problem


def _expanded(formula: str, tree: Any) -> tuple[int, int]:
    """Return bounds of the terms, and of the factors of all of them, of a parsed formula."""
    if not tree.args or tree.type in ("PYTHON_EXPR", "ZERO", "ONE", "NUMBER"):
        return 1, 1
    if tree.type == "~" and len(tree.args) > 1:
        raise _unusable(formula, "has a '~': write the right side only")
    if tree.type == "**":
        terms, factors = _expanded(formula, tree.args[0])
        power = _power(formula, tree.args[1])
        made = sum(math.comb(terms, count) for count in range(1, min(power, terms) + 1))
        return made, min(made * factors, 10 * MOST_FACTORS)
    sizes = [_expanded(formula, one) for one in tree.args]
    terms, factors = sizes[0]
    for more_terms, more_factors in sizes[1:]:
        crossed = terms * more_terms, terms * more_factors + more_terms * factors
        if tree.type == ":":
            terms, factors = crossed
        elif tree.type == "*":
            terms, factors = (
                a + b + c
                for a, b, c in zip(
                    (terms, factors), (more_terms, more_factors), crossed, strict=True
                )
            )
        elif tree.type == "/":
            terms, factors = terms + more_terms, factors + more_terms * factors + more_factors
        else:
            terms, factors = terms + more_terms, factors + more_factors
        if terms > MOST_TERMS or factors > MOST_FACTORS:
            break
    return terms, factors


def _power(formula: str, tree: Any) -> int:
    text = "" if tree.token is None else str(tree.token.extra or "")
    if not (text.isdecimal() and len(text) < 3 and 1 <= int(text) <= LARGEST_POWER):
        raise _unusable(formula, f"has a power that is no number from 1 to {LARGEST_POWER}")
    return int(text)


def _check(node: ast.expr, factor: str, table: Mapping[str, Any]) -> bool:
    """Check a part of a factor; return whether it has a column, and not numbers alone."""
    if isinstance(node, ast.Name):
        if node.id not in table:
            raise PredictorError(f"The table has no column '{node.id}'.", nearest(node.id, table))
        return True
    number = _number(node)
    if number is not None:
        if not abs(number) <= LARGEST_NUMBER:
            raise _unusable(factor, f"has a number above {LARGEST_NUMBER:g}")
        return False
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, _ARITHMETIC):
        return _check(node.operand, factor, table)
    if isinstance(node, ast.BinOp) and isinstance(node.op, _ARITHMETIC):
        left, right = (_check(one, factor, table) for one in (node.left, node.right))
        if isinstance(node.op, ast.Pow) and not (left and _small(node.right)):
            raise _unusable(
                factor, f"has a power that is no column to a number up to {LARGEST_POWER}"
            )
        return left or right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _check_call(node, node.func.id, factor, table)
    raise PredictorError(f"'{factor[:60]}' is not allowed in a formula.")


def _check_call(node: ast.Call, name: str, factor: str, table: Mapping[str, Any]) -> bool:
    if name in table or name not in (*FUNCTIONS, *PATSY) or node.keywords or len(node.args) != 1:
        known = ", ".join((*FUNCTIONS, *PATSY))
        raise _unusable(factor, f"calls what is none of {known}, each of one argument")
    (argument,) = node.args
    if name != "Q":
        return _check(argument, factor, table)
    if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
        raise _unusable(factor, 'has a Q of what is no column: write Q("a column")')
    if argument.value not in table:
        raise PredictorError(
            f"The table has no column '{argument.value}'.", nearest(argument.value, table)
        )
    return True


def _small(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _small(node.operand)
    number = _number(node)
    return number is not None and abs(number) <= LARGEST_POWER


def _number(node: ast.expr) -> int | float | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _unusable(text: str, why: str) -> PredictorError:
    shown = text if len(text) <= 60 else f"{text[:57]}…"
    return PredictorError(f"The formula '{shown}' {why}.", "Fit again with other --terms.")
