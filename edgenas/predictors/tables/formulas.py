"""Formulas: patsy's language on columns, and the published FOX-NAS formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgenas.core.errors import PredictorError
from edgenas.predictors import formula_syntax
from edgenas.predictors.linear.names import parse

_FUNCTIONS = {name: getattr(np, name) for name in formula_syntax.FUNCTIONS}


def design(formula: str, table: Mapping[str, np.ndarray]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return term names [p] and the matrix float64 [n, p] of a formula; no intercept among them.

    Write Q("a column") for names that are no Python names.

    Raises
    ------
    PredictorError : the formula cannot be read, names no column, is too large, or uses what is not
        allowed (`formula_syntax`).
    """
    import patsy  # type: ignore[import-untyped]
    from patsy.parse_formula import parse_formula  # type: ignore[import-untyped]

    if not formula.strip():
        raise PredictorError("The formula is empty.", 'Write one, such as "a + log(b)", or auto.')
    formula_syntax.check_size(formula)
    try:
        formula_syntax.check_terms(formula, parse_formula(formula))
        description = patsy.ModelDesc.from_formula(formula)
        both_sides = (*description.lhs_termlist, *description.rhs_termlist)
        terms = [[factor.name() for factor in term.factors] for term in both_sides]
        for name in sorted({name for factors in terms for name in factors}):
            formula_syntax.check_factor(name, table)
        formula_syntax.check_width(formula, terms, table)
        with np.errstate(all="ignore"):  # what is not finite is refused below
            matrix = patsy.dmatrix(
                formula,
                dict(table),
                eval_env=patsy.EvalEnvironment([_FUNCTIONS]),
                NA_action="raise",
            )
    except (patsy.PatsyError, SyntaxError, RecursionError) as problem:
        text = str(problem).split("\n", maxsplit=1)[0]
        raise PredictorError(f"The formula '{formula[:200]}' cannot be used: {text}.") from problem
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
    by_place: dict[int, dict[str, str]] = {}
    for name in names:
        parsed = parse(name)
        if parsed.place is not None:
            by_place.setdefault(parsed.place, {})[parsed.kind] = name
    terms = []
    needed = ("tot_#", "avg_e_#", "avg_k_#", "tot_e_#_#", "tot_k_#_#", "tot_e_#")
    for columns in by_place.values():
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
