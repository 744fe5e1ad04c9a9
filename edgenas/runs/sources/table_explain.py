"""What the columns of a table do to its metrics, and what the winner's choices add."""

from __future__ import annotations

import itertools
from typing import Any, cast

import numpy as np

from edgenas.core.counted import counted
from edgenas.explain.choices import Change
from edgenas.explain.diagnostics import breakdown
from edgenas.explain.rows import effects
from edgenas.explain.shapes import POINTS
from edgenas.predictors.base import Additive
from edgenas.predictors.tables.effects import explanation
from edgenas.predictors.tables.regression import TableRegression
from edgenas.reporting.document import Interaction, MarginalEffect, ShapeCurve, Shapes
from edgenas.runs.run import RunContext
from edgenas.runs.sources.table_run import TableRun
from edgenas.targets.table.measured_table import Columns, MeasuredTable

# Parts that a breakdown names; the rest is one more part.
MOST_PARTS = 12
MOST_CURVES = 8
SIDES = ("effect", "lower", "upper")
AVERAGE = "average of those looked up"
COMBINATIONS = "combinations of columns"


def changes(table: MeasuredTable, predictor: TableRegression, columns: Columns) -> list[Change]:
    """Return each change of one column, and the term differences it makes on average.

    A category is compared with the column's first, a number with the next smaller one.
    """
    texts, stacked = [], []
    n_rows = len(next(iter(columns.values())))
    for name, values in zip(table.variables, table.options, strict=True):
        categorical = name in table.categorical
        pairs = [(values[0], v) for v in values[1:]] if categorical else itertools.pairwise(values)
        for before, after in pairs:
            shown = [x if isinstance(x, str) else f"{x:g}" for x in (before, after)]
            texts.append(f"{name}: {shown[1]} instead of {shown[0]}")
            stacked += [{**columns, name: np.repeat(value, n_rows)} for value in (after, before)]
    rows = {name: np.concatenate([some[name] for some in stacked]) for name in columns}
    means = predictor.matrix(rows).reshape(len(stacked), n_rows, -1).mean(axis=1)
    return list(map(Change, texts, means[0::2] - means[1::2]))


def shapes(predictor: TableRegression, unit: str, confidence: float) -> Shapes | None:
    """Return what the numbers of the table do, and columns together; None of a formula.

    unit : of the response.
    """
    if predictor.fitted.formula:
        return None
    report = explanation(predictor, confidence)
    scale, effects_in = (1.0, unit or "units")
    if report["effects_in"] == "%":
        effects_in = "%"
    elif unit == "fraction":
        scale, effects_in = POINTS, "points"
    curves = tuple(
        ShapeCurve(
            one["column"],
            tuple(one["x"]),
            **{side: tuple(scale * x for x in one[side]) for side in SIDES},
            deciles=tuple(one["deciles"]),
        )
        for one in report["curves"][:MOST_CURVES]
    )
    together = tuple(
        Interaction(
            tuple(one["columns"]),
            tuple(map(tuple, one["values"])),
            **{side: tuple(tuple(scale * x for x in row) for row in one[side]) for side in SIDES},
        )
        for one in report["together"]
    )
    return Shapes(effects_in, curves, together)


def breakdown_of_best(
    run: RunContext, replay: TableRun, metric: str, matrix: np.ndarray
) -> tuple[MarginalEffect, ...]:
    """Return what each column adds to the mean of the rows [n, p] for the winner; sums to its
    prediction. Without a winner that of the best candidate; or none."""
    best: Any = run.best()
    if best is None:
        return ()
    point = {name: values[[best.index]] for name, values in replay.table.choices().items()}
    predictor, unit = replay.predictor(metric), replay.table.target.response(metric).unit
    regression = cast(Additive, predictor.regression)
    confidence = replay.config.confidence
    average = matrix.mean(axis=0)
    difference = predictor.matrix(point)[0] - average
    groups = _groups(predictor)
    (start,) = breakdown(regression, average, {}, confidence)
    first = MarginalEffect(AVERAGE, start.mean, start.lower, start.upper, unit)
    parts = _parts(difference, groups)
    shares = effects(regression, list(groups), parts, confidence, unit)
    if len(groups) > MOST_PARTS:
        largest = sorted(shares, key=lambda share: -abs(share.effect))[: MOST_PARTS - 1]
        kept = {share.change: groups[share.change] for share in largest}
        rest = [i for name, members in groups.items() if name not in kept for i in members]
        kept[counted(len(groups) - len(kept), "other column")] = rest
        shares = effects(regression, list(kept), _parts(difference, kept), confidence, unit)
    return (first, *shares)


def _parts(difference: np.ndarray, groups: dict[str, list[int]]) -> np.ndarray:
    """Return the differences of the terms of each group alone, [n_groups, p]."""
    parts = np.zeros((len(groups), difference.size))
    for at, members in enumerate(groups.values()):
        parts[at, members] = difference[members]
    return parts


def _groups(predictor: TableRegression) -> dict[str, list[int]]:
    """Return the terms of each column, and those of more than one."""
    columns: dict[str, set[str]] = {}
    groups: dict[str, list[int]] = {}
    for index, atom in enumerate(predictor.fitted.atoms):
        columns[atom.name] = {*atom.columns, *(c for f in atom.factors for c in columns[f])}
        used = columns[atom.name]
        name = next(iter(used)) if len(used) == 1 else COMBINATIONS
        groups.setdefault(name, []).append(index)
    return groups
