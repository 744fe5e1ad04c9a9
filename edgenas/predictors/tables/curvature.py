"""Curvature: logarithms of the quantities that columns tell of, and of their totals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgenas.predictors.linear import names as vocabulary
from edgenas.predictors.linear.shrinkage import Level
from edgenas.predictors.tables import terms as at
from edgenas.predictors.tables.main_terms import Vocabulary
from edgenas.predictors.tables.terms import Table


def add(terms: Vocabulary, table: Table, numeric: Sequence[str]) -> Vocabulary | None:
    """Return `terms` with logarithms of its quantities, and of their totals over all places."""
    if not numeric:
        return None
    names = list(numeric)
    matrix = np.column_stack([table[name] for name in names])
    parsed = [vocabulary.parse(name) for name in names]
    members = vocabulary.quantities(parsed, matrix, work=False)
    logarithms = [(q, at.logarithm(q.name, names, q.weights, matrix)) for q in members]
    kept = [(q, atom) for q, atom in logarithms if atom is not None and _bends(matrix @ q.weights)]
    if not kept:
        return None
    own = [atom for _, atom in kept]
    totals = []
    for label in dict.fromkeys(q.role.split(" ")[-1] for q, _ in kept if " " in q.role):
        weights = np.sum([q.weights for q, _ in kept if q.role.split(" ")[-1] == label], axis=0)
        atom = at.logarithm(f"{label} of all", names, weights, matrix)
        if atom is not None and np.ptp(matrix @ weights) > 0:
            totals.append(atom)
    values = at.evaluate([*own, *totals], table)
    levels = vocabulary.places(
        [
            vocabulary.Quantity(q.name, q.role, q.place, np.eye(len(own))[i], values[:, i].std())
            for i, (q, _) in enumerate(kept)
        ]
    )
    padding = np.zeros((len(totals), 1))
    padded = [
        Level(f"log {x.name}", np.vstack([x.root, padding.repeat(x.root.shape[1], 1)]))
        for x in levels
    ]
    if totals:
        ends = np.vstack(
            [np.zeros((len(own), len(totals))), np.diag(1 / values[:, len(own) :].std(axis=0))]
        )
        padded.append(Level("log totals", ends))
    return terms.and_also([*own, *totals], values, padded, range(len(own) + len(totals)))


def _bends(values: np.ndarray) -> bool:
    """Return whether there are three values or more: two are on a line."""
    return bool(((values > values.min()) & (values < values.max())).any())
