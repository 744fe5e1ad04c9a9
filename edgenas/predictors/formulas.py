"""Formulas: patsy's language on columns, and the published FOX-NAS formulas.

A formula comes out of a predictor file too, so only columns, arithmetic and a few functions are
allowed in it; patsy alone would run any Python.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

import numpy as np

from edgenas.errors import PredictorError, nearest
from edgenas.predictors.vocabulary import parse

_FUNCTIONS = {"log": np.log, "log2": np.log2, "log1p": np.log1p, "exp": np.exp, "sqrt": np.sqrt}
_PATSY = {"I", "C", "Q"}
_SYNTAX = (
    ast.Expression, ast.Name, ast.Load, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Call,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd,
)  # fmt: skip


def design(formula: str, table: Mapping[str, np.ndarray]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return term names [p] and the matrix float64 [n, p] of a formula; no intercept among them.

    Write Q("a column") for names that are no Python names.

    Raises
    ------
    PredictorError : the formula cannot be read, names no column, or uses what is not allowed.
    """
    import patsy  # type: ignore[import-untyped]

    if not formula.strip():
        raise PredictorError("The formula is empty.", 'Write one, such as "a + log(b)", or auto.')
    try:
        description = patsy.ModelDesc.from_formula(formula)
        factors = {f.name() for term in description.rhs_termlist for f in term.factors}
        for factor in sorted(factors):
            _check(factor, table)
        with np.errstate(all="ignore"):  # what is not finite is refused below
            matrix = patsy.dmatrix(
                formula,
                dict(table),
                eval_env=patsy.EvalEnvironment([_FUNCTIONS]),
                NA_action="raise",
            )
    except (patsy.PatsyError, SyntaxError) as problem:
        text = str(problem).split("\n", maxsplit=1)[0]
        raise PredictorError(f"The formula '{formula}' cannot be used: {text}.") from problem
    names = matrix.design_info.column_names
    kept = [index for index, name in enumerate(names) if name != "Intercept"]
    if len(kept) == len(names):
        raise PredictorError(f"The formula '{formula}' has no intercept.", "Leave out the '- 1'.")
    return tuple(names[index] for index in kept), np.asarray(matrix)[:, kept]


def foxnas(names: Sequence[str], cost: bool) -> str:
    """Return the published formula (Chu et al. 2021) over the columns of a FOX-NAS table.

    Latency: depth, mean expand ratio and kernel size of the inner blocks, those of the first
    block, and depth times each mean. Accuracy also has total expand ratio and its product with
    depth, and depth times the mean kernel size.

    Raises
    ------
    PredictorError : the columns are not those of such a table.
    """
    found: dict[int, dict[str, str]] = {}
    for name in names:
        parsed = parse(name)
        if parsed.place is not None:
            found.setdefault(parsed.place, {})[parsed.kind] = name
    terms = []
    needed = ("tot_#", "avg_e_#", "avg_k_#", "tot_e_#_#", "tot_k_#_#", "tot_e_#")
    for columns in found.values():
        if all(kind in columns for kind in needed):
            tot, e, k, first_e, first_k, tot_e = (columns[kind] for kind in needed)
            terms += [tot, e, k, first_e, first_k, f"{tot}:{k}"]
            terms += [f"{tot}:{e}"] if cost else [tot_e, f"{tot}:{tot_e}"]
    if not terms:
        raise PredictorError(
            "The terms 'foxnas' need the columns tot_24, avg_e_24, avg_k_24, tot_e_24, tot_e_16_24 "
            "and tot_k_16_24, for each of the places.",
            "Use --terms auto.",
        )
    return " + ".join(terms)


def _check(factor: str, table: Mapping[str, np.ndarray]) -> None:
    allowed = set(_FUNCTIONS) | _PATSY | set(table)
    for node in ast.walk(ast.parse(factor, mode="eval")):
        if not isinstance(node, _SYNTAX):
            raise PredictorError(f"'{factor}' is not allowed in a formula.")
        if isinstance(node, ast.Name) and node.id not in allowed:
            raise PredictorError(f"The table has no column '{node.id}'.", nearest(node.id, table))
        if isinstance(node, ast.Call) and not isinstance(node.func, ast.Name):
            raise PredictorError(f"'{factor}' is not allowed in a formula.")
