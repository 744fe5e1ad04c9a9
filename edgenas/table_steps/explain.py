"""explain: what the columns of a table do to its responses. Writes explanation.json."""

from __future__ import annotations

import itertools
from typing import cast

import numpy as np

from edgenas.measured_table import Columns
from edgenas.predictor_report import coefficients, effects, held_out
from edgenas.predictors import table_report
from edgenas.predictors.base import FittedPredictor
from edgenas.predictors.explain import breakdown, diagnostics
from edgenas.predictors.table import TableRegression
from edgenas.records import Interval, to_json
from edgenas.reporting.document import FittedRow, MarginalEffect, PredictorReport
from edgenas.run_context import RunContext
from edgenas.run_folder import write_json
from edgenas.table_run import TableRun

# Networks that are shown beside their predictions, and that effects are averaged over.
MOST_ROWS = 200
# Parts that a breakdown names; the rest is one more part.
MOST_PARTS = 12
AVERAGE = "average of those looked up"
COMBINATIONS = "combinations of columns"


def run(context: RunContext) -> list[PredictorReport]:
    """Explain the predictor of each response over the networks that were looked up."""
    replay = context.replay
    reports = [_explain(replay, name) for name in replay.table.responses]
    write_json(context.folder.explanation, to_json(reports))
    return reports


def _explain(replay: TableRun, name: str) -> PredictorReport:
    predictor, kind = replay.predictor(name), replay.table.target.response(name)
    regression = _regression(predictor)
    confidence, known = replay.config.confidence, replay.known(name)[:MOST_ROWS]
    columns = {key: values[known] for key, values in replay.table.choices().items()}
    matrix = predictor.matrix(columns)
    texts, differences = _changes(replay, predictor, columns)
    return PredictorReport(
        response=name,
        label=kind.label,
        unit=kind.unit,
        n=regression.n,
        confidence=confidence,
        heldout=held_out(regression),
        coefficients=coefficients(regression, matrix, confidence),
        effects=effects(regression, texts, differences, confidence, kind.unit),
        rows=_rows(replay, name, predictor, matrix),
        breakdown=_breakdown(replay, predictor, matrix, kind.unit),
        notes=(
            *table_report.notes(predictor.fitted),
            *diagnostics(
                regression.predict(matrix),
                replay.table.response(name)[known],
                spread=regression.spread,
            ),
        ),
    )


def _regression(predictor: TableRegression) -> FittedPredictor:
    return cast(FittedPredictor, predictor.regression)


def _rows(
    replay: TableRun, name: str, predictor: TableRegression, matrix: np.ndarray
) -> tuple[FittedRow, ...]:
    known = replay.known(name)[:MOST_ROWS]
    found = _regression(predictor).get_prediction(matrix, replay.config.confidence)
    columns = (found.mean.tolist(), found.lower.tolist(), found.upper.tolist())
    values = replay.table.response(name)[known].tolist()
    return tuple(
        FittedRow(str(replay.network(index)), Interval(*bounds), value)
        for index, value, *bounds in zip(known.tolist(), values, *columns, strict=True)
    )


def _changes(
    replay: TableRun, predictor: TableRegression, columns: Columns
) -> tuple[list[str], np.ndarray]:
    """Return each change of one column, and the term differences it makes on average, [n, p].

    A category is compared with the column's first, a number with the next smaller one.
    """
    texts, stacked = [], []
    n_rows = len(next(iter(columns.values())))
    table = replay.table
    for name, values in zip(table.variables, table.options, strict=True):
        categorical = name in table.categorical
        pairs = [(values[0], v) for v in values[1:]] if categorical else itertools.pairwise(values)
        for before, after in pairs:
            shown = [x if isinstance(x, str) else f"{x:g}" for x in (before, after)]
            texts.append(f"{name}: {shown[1]} instead of {shown[0]}")
            stacked += [{**columns, name: np.repeat(value, n_rows)} for value in (after, before)]
    rows = {name: np.concatenate([some[name] for some in stacked]) for name in columns}
    means = predictor.matrix(rows).reshape(len(stacked), n_rows, -1).mean(axis=1)
    return texts, means[0::2] - means[1::2]


def _breakdown(
    replay: TableRun, predictor: TableRegression, matrix: np.ndarray, unit: str
) -> tuple[MarginalEffect, ...]:
    """Return what each column adds to the mean of the rows [n, p] for the winner; sums to its
    prediction. Without a winner that of the best candidate; or none."""
    index = best(replay)
    if index is None:
        return ()
    point = {name: values[[index]] for name, values in replay.table.choices().items()}
    regression, confidence = _regression(predictor), replay.config.confidence
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
        kept[f"{len(groups) - len(kept)} other columns"] = rest
        shares = effects(regression, list(kept), _parts(difference, kept), confidence, unit)
    return (first, *shares)


def _parts(difference: np.ndarray, groups: dict[str, list[int]]) -> np.ndarray:
    """Return the differences of the terms of each group alone, [n_groups, p]."""
    parts = np.zeros((len(groups), difference.size))
    for at, members in enumerate(groups.values()):
        parts[at, members] = difference[members]
    return parts


def best(replay: TableRun) -> int | None:
    """Return the network that won; the best candidate where none did; None before a search."""
    if replay.folder.verification.exists() and (winner := replay.verdict().winner) is not None:
        return winner.candidate.network.index
    if not replay.folder.search.exists():
        return None
    return replay.search_result().candidates[0].network.index


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
