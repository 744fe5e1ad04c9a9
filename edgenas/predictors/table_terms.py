"""The terms of a table's rows: those of a vocabulary or of a formula, ready to be fitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.errors import PredictorError
from edgenas.predictors import atoms, auto, formulas, magnitude, mains, recipe, rising, shrinkage
from edgenas.predictors.atoms import Atom
from edgenas.predictors.base import TrainingData
from edgenas.predictors.cells import Cell
from edgenas.predictors.mains import Vocabulary
from edgenas.predictors.table_columns import Rows

VOCABULARIES = ("auto", "annealed", "main")


@dataclass(frozen=True)
class Terms:
    """Terms and how columns become them.

    formula : "" where `atoms` make the terms, of columns that `cell` has cut if there is one.
    data : its response is the logarithm of the rows' where it says so.
    """

    formula: str
    atoms: tuple[Atom, ...]
    cell: Cell | None
    data: TrainingData


def make(
    terms: str,
    rows: Rows,
    seed: int,
    cell: Cell | None = None,
    logarithm: bool | None = False,
) -> Terms:
    """Return the terms of `rows`.

    terms, seed : of a `TableRegression`. cell : of its fit. logarithm : whether terms are those of
    the response's logarithm; None lets the rows tell.
    """
    if terms not in VOCABULARIES:
        formula = formulas.foxnas(rows.numeric, rows.cost) if terms == "foxnas" else terms
        names, matrix = formulas.design(formula, rows.columns)
        data = TrainingData(rows.name, "", names, matrix, rows.response, plain=True)
        used = tuple(atoms.column(name) for name in rows.numeric if name in formula)
        return Terms(formula, used, None, data)
    if logarithm and rows.response.min() <= 0:
        raise PredictorError(f"{rows.name} is not positive everywhere: it has no logarithm.")
    found, logarithm = _vocabulary(terms, rows.some(_telling(rows)), seed, cell, logarithm)
    names, matrix = tuple(atom.name for atom in found.atoms), found.matrix
    if len(matrix) < len(rows.response):
        columns = rows.columns if found.cell is None else found.cell.cut(rows.columns)
        matrix = atoms.evaluate(found.atoms, columns)
    limits = _rising(found.atoms, matrix) if rows.cost else None
    response = np.log(rows.response) if logarithm else rows.response
    data = TrainingData(
        rows.name, "", names, matrix, response, found.levels, rising=limits, logarithm=logarithm
    )
    return Terms("", found.atoms, found.cell, data)


def left_out(terms: str, rows: Rows, seed: int) -> float:
    """Return the RMSE of rows left out one by one, their terms chosen again without each."""
    n = len(rows.response)
    off = np.empty(n)
    for row in range(n):
        others = rows.some(np.delete(np.arange(n), row))
        made = make(terms, others, seed)
        one = rows.some(np.array([row])).columns
        columns = one if made.cell is None else made.cell.cut(one)
        mean = recipe.of(made.data).fit().predict(atoms.evaluate(made.atoms, columns))
        off[row] = rows.response[row] - mean[0]
    return float(np.sqrt(np.mean(off**2)))


def _vocabulary(
    terms: str, rows: Rows, seed: int, cell: Cell | None, logarithm: bool | None
) -> tuple[Vocabulary, bool]:
    """Return the vocabulary, and whether it is of the logarithm of the response."""
    given = (rows.columns, rows.numeric, rows.categorical)
    if terms == "auto":

        def build(response: np.ndarray) -> Vocabulary:
            return auto.build(*given, response, cell)

        if logarithm is None:
            return magnitude.choose(build, lambda: auto.simple(*given), rows.response)
        return build(np.log(rows.response) if logarithm else rows.response), logarithm
    if terms == "annealed":
        return auto.annealed(*given, rows.response, seed), False
    return mains.main(*given), False


def _rising(found: tuple[Atom, ...], matrix: np.ndarray) -> np.ndarray | None:
    """Return `rising.of_blocks` of the columns among the terms, float64 [c, p]; None if it is."""
    columns = np.flatnonzero([atom.kind == "column" for atom in found])
    limits = rising.of_blocks([found[index].name for index in columns], matrix[:, columns])
    if limits is None:
        return None
    spread = np.zeros((len(limits), len(found)))
    spread[:, columns] = limits
    return spread


def _telling(rows: Rows) -> np.ndarray:
    """Return the rows that terms are chosen from, int64: enough, and one of each category."""
    part = shrinkage.sample(len(rows.response))
    firsts = [np.unique(rows.columns[name], return_index=True)[1] for name in rows.categorical]
    return np.unique(np.concatenate([part, *firsts]))
