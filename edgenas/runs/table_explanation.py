"""What a table's predictor says of every choice: the document and plots of `edgenas explain`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgenas.core.errors import InputError
from edgenas.core.tables.file import read_table
from edgenas.predictors.tables import effects, waterfall
from edgenas.predictors.tables.regression import TableRegression

MOST_CURVES, MOST_ROWS = 8, 2


def explained(
    predictor: Path,
    confidence: float,
    table: Path | None = None,
    rows: tuple[int, ...] = (),
    png: Path | None = None,
    *,
    overwrite: bool = False,
    references: dict[str, str] | None = None,
    derived: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the explanation of the predictor in a file.

    references : the category of each column that others are compared with.
    table, rows : whose rows, from 1 on, are broken down; of two, the second is compared with the
    first. png : folder of the plots. derived : columns that others decide, as of a fit, which the
    rows of `table` have to bear out.
    """
    if derived and table is None:
        raise InputError("--derived needs rows that bear it out.", "Say --rows TABLE.csv.")
    asked = bool(rows or derived)
    if asked != (table is not None) or len(rows) > MOST_ROWS:
        raise InputError(
            "A breakdown takes a table and one or two of its rows.",
            f"Say: edgenas explain {predictor} --rows TABLE.csv --row 1 --row 2",
        )
    if png is not None:
        from edgenas.reporting.plots.plot import claim_plots

        claim_plots(("shares", "rows") if rows else ("shares",), png, overwrite=overwrite)
    fitted = TableRegression.read(predictor)
    read = None if table is None else read_table(table)
    if read is not None and derived:
        fitted = effects.with_derived(fitted, read, derived)
    report = effects.explanation(fitted, confidence, references)
    if read is not None and rows:
        at = [row - 1 for row in rows]
        if len(at) == MOST_ROWS:
            told = waterfall.comparison(fitted, read, (at[0], at[1]))
        else:
            told = waterfall.waterfall(fitted, read, at[0])
        report["decomposition"] = {"table": str(table), "rows": list(rows), **told}
    plots = [] if png is None else _drawn(report, png, overwrite)
    document = {"run": str(predictor), "step": "explain", "result": [report]}
    return {**document, "savings": [], "int8": None, "plots": plots}


def _drawn(report: dict[str, Any], folder: Path, overwrite: bool) -> list[str]:
    """Write the plots of a report into `folder`; return their paths."""
    from edgenas.reporting.plots import of_tables
    from edgenas.reporting.plots.plot import write_plots

    response = report["label"]
    plots = {}
    if report["importance"]:
        plots["shares"] = of_tables.shares(report["importance"], response)
    for at, one in enumerate(report["curves"][:MOST_CURVES], 1):
        name = _file_name(one["column"])
        plots[f"curve-{at}-{name}"] = of_tables.curve(one, response, report["effects_in"])
    for at, one in enumerate(report["together"], 1):
        name = _file_name("-".join(one["columns"]))
        plots[f"together-{at}-{name}"] = of_tables.together(one, response, report["effects_in"])
    if "decomposition" in report:
        plots["rows"] = of_tables.waterfall(report["decomposition"], response)
    return write_plots(plots, folder, overwrite=overwrite)


def _file_name(column: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", column)[:40]
