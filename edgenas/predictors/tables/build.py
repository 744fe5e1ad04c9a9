"""The terms of a table's rows: those of a vocabulary or of a formula, ready to be fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgenas.core.errors import PredictorError
from edgenas.core.tables.columns import first_rows
from edgenas.predictors.base import Runs, TrainingData
from edgenas.predictors.linear import monotone, shrinkage
from edgenas.predictors.tables import choose_terms, formulas, log_response, main_terms
from edgenas.predictors.tables import terms as atoms
from edgenas.predictors.tables.cells import Cell
from edgenas.predictors.tables.main_terms import Vocabulary
from edgenas.predictors.tables.rows import Rows
from edgenas.predictors.tables.slots import Gates
from edgenas.predictors.tables.terms import Atom

VOCABULARIES = ("auto", "annealed", "main")


@dataclass(frozen=True)
class Terms:
    """Terms and how columns become them.

    formula : "" where `atoms` make the terms, of columns that `gates` and `cell` have cut if there
        are any.
    data : its response is the logarithm of the rows' where it says so.
    """

    formula: str
    atoms: tuple[Atom, ...]
    cell: Cell | None
    data: TrainingData
    gates: Gates | None = None

    def of(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the terms, of `atoms`, of other rows, float64 [m, p]."""
        columns = columns if self.gates is None else self.gates.cut(columns)
        return atoms.evaluate(self.atoms, columns if self.cell is None else self.cell.cut(columns))


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
        data = TrainingData(
            rows.name, "", names, matrix, rows.response, plain=True, network=rows.network
        )
        used = tuple(atoms.column(name) for name in rows.numeric if name in formula)
        return Terms(formula, used, None, data)
    if logarithm and rows.response.min() <= 0:
        raise PredictorError(f"{rows.name} is not positive everywhere: it has no logarithm.")
    found, logarithm = _vocabulary(terms, rows.some(_telling(rows)), seed, cell, logarithm)
    names, matrix = tuple(atom.name for atom in found.atoms), found.matrix
    if len(matrix) < len(rows.response):
        matrix = atoms.evaluate(found.atoms, found.cut(rows.columns))
    limits = _rising(found.atoms, matrix) if rows.cost else None
    response, runs = rows.response, rows.runs
    if logarithm:
        response = np.log(response)
        runs = None if runs is None else Runs(runs.row, np.log(runs.response))
    data = TrainingData(
        name=rows.name,
        unit="",
        terms=names,
        matrix=matrix,
        response=response,
        levels=found.levels,
        rising=limits,
        logarithm=logarithm,
        network=rows.network,
        runs=runs,
    )
    return Terms("", found.atoms, found.cell, data, found.gates)


def _vocabulary(
    terms: str, rows: Rows, seed: int, cell: Cell | None, logarithm: bool | None
) -> tuple[Vocabulary, bool]:
    """Return the vocabulary, and whether it is of the logarithm of the response."""
    given = (rows.columns, rows.numeric, rows.categorical)
    if terms == "auto":

        def build(response: np.ndarray, logarithm: bool) -> Vocabulary:
            return choose_terms.build(*given, response, cell, logarithm=logarithm)

        if logarithm is None:
            return log_response.choose(
                build,
                lambda: choose_terms.simple(*given),
                lambda: choose_terms.multiplied(*given, rows.response),
                rows.response,
            )
        return build(np.log(rows.response) if logarithm else rows.response, logarithm), logarithm
    if terms == "annealed":
        return choose_terms.annealed(*given, rows.response, seed), False
    return main_terms.main(*given), False


def _rising(found: tuple[Atom, ...], matrix: np.ndarray) -> np.ndarray | None:
    """Return `rising.of_blocks` of the columns among the terms, float64 [c, p]; None if it is."""
    columns = np.flatnonzero([atom.kind == "column" for atom in found])
    limits = monotone.of_blocks([found[index].name for index in columns], matrix[:, columns])
    if limits is None:
        return None
    spread = np.zeros((len(limits), len(found)))
    spread[:, columns] = limits
    return spread


def _telling(rows: Rows) -> np.ndarray:
    """Return the rows that terms are chosen from, int64: enough, and one of each category."""
    return with_each_category(rows, shrinkage.sample(len(rows.response)))


def with_each_category(rows: Rows, part: np.ndarray) -> np.ndarray:
    """Return the places `part` of rows, int64 [m], rising, and a row of each category."""
    firsts = [first_rows(rows.columns[name]) for name in rows.categorical]
    return np.unique(np.concatenate([part, *firsts]))
