"""One prediction broken down into what each column adds to the mean, and two rows compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgenas.core.counted import counted
from edgenas.core.errors import PredictorError
from edgenas.core.tables.columns import as_column
from edgenas.predictors.tables import profile
from edgenas.predictors.tables.regression import TableRegression

# Parts smaller than the rest of them are said as one.
MOST_PARTS = 12


def waterfall(model: TableRegression, table: Any, row: int) -> dict[str, Any]:
    """Return what each column, and columns together, add to the mean of the measured rows.

    table : as for `predict`. row : which, from 0 on.

    Parts add up to the prediction; where terms add up to the response's logarithm, they are factors
    whose product it is (`multiplied`).

    Raises
    ------
    PredictorError : a formula's predictor, one of priors, or a file without a profile.
    """
    names, parts, mean = _parts(model, table)
    if not 0 <= row < len(parts):
        raise PredictorError(
            f"The table has {counted(len(parts), 'row')}: there is no row {row + 1}."
        )
    return _told(model, names, parts[row], mean, float(mean + parts[row].sum()))


def comparison(model: TableRegression, table: Any, rows: tuple[int, int]) -> dict[str, Any]:
    """Return what makes the second of two rows differ from the first, as `waterfall` does."""
    names, parts, mean = _parts(model, table)
    for row in rows:
        if not 0 <= row < len(parts):
            raise PredictorError(
                f"The table has {counted(len(parts), 'row')}: there is no row {row + 1}."
            )
    first, second = (parts[row] for row in rows)
    start = float(mean + first.sum())
    return _told(model, names, second - first, start, float(mean + second.sum()))


def _parts(model: TableRegression, table: Any) -> tuple[list[str], np.ndarray, float]:
    """Return names of the parts, what each row has of each over the mean [n, g], and the mean."""
    known = model.fitted.profile
    if known is None:
        raise PredictorError(
            "A predictor of a formula, of priors, or of an earlier edgenas has no breakdown.",
            "Fit it again: edgenas fit.",
        )
    params, read = model.regression.params, model.fitted.encoded.read(table)
    columns = {name: as_column(read[name]) for name in known.slopes}
    shared = profile.parts(model.fitted.atoms, model.matrix(table), columns, known.slopes)
    means = np.where(shared.centred, 0.0, known.means[shared.term])
    each = (shared.values - means) * params[1:][shared.term]
    parts = np.column_stack([each[:, index].sum(axis=1) for index in shared.members.values()])
    names = [" with ".join(x) if len(x) < 4 else "all together" for x in shared.members]
    return names, parts, float(params[0] + known.means @ params[1:])


def _told(
    model: TableRegression, names: list[str], parts: np.ndarray, start: float, end: float
) -> dict[str, Any]:
    order = np.argsort(-np.abs(parts), kind="stable")
    shown = [i for i in order[:MOST_PARTS].tolist() if parts[i] != 0]
    rest = float(parts.sum() - parts[shown].sum())
    told = [(names[i], float(parts[i])) for i in shown]
    if len(shown) < np.count_nonzero(parts):
        told.append(("all other columns", rest))
    multiplied = model.fitted.logarithm
    values = [np.exp(x) if multiplied else x for _, x in told]
    return {
        "multiplied": multiplied,
        "start": float(np.exp(start) if multiplied else start),
        "parts": [
            {"column": name, "adds": float(value)}
            for (name, _), value in zip(told, values, strict=True)
        ],
        "prediction": float(np.exp(end) if multiplied else end),
    }
