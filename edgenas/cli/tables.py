"""edgenas fit and predict: predictors of a run, and of any table of measurements."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

import edgenas
from edgenas.cli.options import (
    EVERY_OPTION,
    config_options,
    json_option,
    overwrite_option,
    refuse_others,
)
from edgenas.cli.show import table_fit
from edgenas.cli.terminal import emit_json, say
from edgenas.core.counted import counted
from edgenas.core.errors import InputError
from edgenas.core.files.outputs import claim
from edgenas.core.run_options import taken_by
from edgenas.runs import commands

ADDED = ("mean", "lower", "upper", "outside")
OF_TABLES = {  # options of fit
    "response": "--response",
    "drop_rows": "--drop-rows",
    "features": "--features",
    "categorical": "--categorical",
    "exclude": "--exclude",
    "keep": "--keep",
    "derived": "--derived",
    "terms": "--terms",
    "bootstrap": "--bootstrap",
    "priors": "--prior",
    "hardware": "--hardware",
    "output": "-o",
}
_MOST_HEADER_BYTES, _MOST_PREDICTOR_BYTES = 1 << 20, 1 << 28


class Names(click.ParamType):
    """Column names, separated by commas; names with commas are quoted as in CSV, or stand alone.
    An empty item is refused. Names are known once the table is read (`_named`)."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        if not all(_split(value)):
            self.fail(f"'{value}' has an empty name", param, ctx)
        return (value,)


def _split(names: str) -> tuple[str, ...]:
    row = next(csv.reader([names], skipinitialspace=True), [""])
    return tuple(part.strip() for part in row)


def _named(given: tuple[str, ...], known: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names in an option's value: one of the columns `known`, or several."""
    return tuple(
        name for value in given for name in ((value,) if value in known else _split(value))
    )


class RowNumbers(click.ParamType):
    """Whole numbers from 1 on, separated by commas."""

    name = "rows"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in value.split(",")]
        if not all(part.isdecimal() and int(part) > 0 for part in parts):
            self.fail(f"'{value}' is no list of rows, such as 18,61", param, ctx)
        return tuple(map(int, parts))


@click.command(epilog=EVERY_OPTION)
@click.argument("source", type=click.Path(path_type=Path))
@config_options("fit")
@click.option("--response", help="Of a table: the column to predict.")
@click.option("--drop-rows", type=RowNumbers(), default=(), help="Rows to leave out, as 18,61.")
@click.option("--features", type=Names(), default=(), help="Columns to predict from.  [all]")
@click.option("--categorical", type=Names(), default=(), help="Columns that are categories.")
@click.option("--exclude", type=Names(), default=(), help="Columns to leave out.")
@click.option(
    "--keep",
    type=Names(),
    default=(),
    help="Columns to use although they look like no features: they count rows, name networks or "
    "runs, or say the response over again.",
)
@click.option(
    "--derived",
    multiple=True,
    metavar="'COLUMN = FORMULA'",
    help="Of a table: a column that others decide, such as 'params = 12 * layers * width**2'; "
    "effects take it along. Again for each further one.",
)
@click.option(
    "--terms", help='auto, main, annealed, foxnas, or a formula such as "a + log(b)".  [auto]'
)
@click.option(
    "--bootstrap",
    type=int,
    default=0,
    help="Of a table: repeat the fit so often, for standard errors that admit that terms were "
    "selected; 200 are enough.  [0: not]",
)
@click.option(
    "--prior",
    "priors",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of a table: another board's predictor to adapt to few rows; again for each further one.",
)
@click.option(
    "--hardware",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --prior: a TOML file with a table for each prior, by the name of its file, and "
    "[this]: cores, clock_ghz, memory_gb_s, int8_dot_product.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of a table: write the predictor there.",
)
@overwrite_option
@json_option
def fit(source: Path, as_json: bool, overwrite: bool, **options: Any) -> None:
    """Fit predictors: of a run folder's measurements, or of a column of a table.

    \b
    Examples:
      edgenas fit runs/pi4
      edgenas fit pi4.csv --response latency --exclude acc -o latency.json
      edgenas fit pi5-ten-rows.csv --response latency --prior latency.json -o pi5.json
    """
    from edgenas.core.tables.file import is_table

    if not source.is_file() and not is_table(source):
        from edgenas.cli.steps import run_step

        of_table = [option for name, option in OF_TABLES.items() if options[name]]
        if of_table:
            raise InputError(f"{of_table[0]} is of a table, and {source} is none.", "Leave it out.")
        run_step("fit", source, options, as_json)
        return
    refuse_others(options, taken_by("fit TABLE"), "a table")
    if not options["response"]:
        raise InputError(f"Which column of {source} is to be predicted?", "Say --response COLUMN.")
    output = options["output"]
    if output:
        read = [path for path in (source, *options["priors"], options["hardware"]) if path]
        output = claim(output, "-o", _is_predictor, inputs=read, overwrite=overwrite)
    fitted = _fit_table(source, options)
    if output:
        fitted.write(output)
    document = fitted.report()
    if as_json:
        emit_json(document)
    else:
        table_fit(document)


def _fit_table(source: Path, options: dict[str, Any]) -> edgenas.TableRegression:
    priors = _priors(options["priors"])
    boards = None
    if options["hardware"]:
        from edgenas.core.files.toml import read_toml

        if not priors:
            raise InputError("--hardware is for --prior.", "Say --prior PREDICTOR.json.")
        boards = read_toml(options["hardware"])
    terms, seed = options["terms"] or "auto", options["seed"] or 0
    table = edgenas.read_csv(source, without=options["drop_rows"])
    return edgenas.TableRegression(terms, seed, priors, boards).fit(
        table,
        options["response"],
        features=_named(options["features"], table),
        categorical=_named(options["categorical"], table),
        exclude=_named(options["exclude"], table),
        keep=_named(options["keep"], table),
        bootstrap=options["bootstrap"],
        derived=options["derived"],
    )


def _priors(paths: tuple[Path, ...]) -> dict[str, edgenas.TableRegression]:
    """Return the predictors in the files, by the names of the files."""
    predictors = {path.stem: read_predictor(path) for path in paths}
    if len(predictors) < len(paths):
        raise InputError("Two of the priors have the same name.", "Rename one of the files.")
    return predictors


def read_predictor(path: Path) -> edgenas.TableRegression:
    """Return the predictor that `edgenas fit TABLE.csv` wrote to `path`."""
    return edgenas.TableRegression.read(path)


def _is_predictor(path: Path) -> bool:
    """Return whether `path` is what `fit` wrote, unedited."""
    return path.stat().st_size <= _MOST_PREDICTOR_BYTES and commands.is_predictor(path)


@click.command()
@click.argument("predictor", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--confidence", default=0.9, show_default=True, help="Of the intervals.")
@overwrite_option
@json_option
def predict(  # noqa: PLR0917 - the command's options
    predictor: Path,
    table: Path,
    output: Path,
    confidence: float,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Predict a table's rows: writes it again with columns mean, lower, upper and outside.

    outside says 1 where a row is farther from what was measured than any measured row is from the
    others, has a new category, or differs where the measured rows did not: its interval is then no
    promise. A row that lacks a number is left empty there, and counted.

    \b
    Example:
      edgenas predict latency.json new.csv -o predicted.csv
    """
    from edgenas.core.files.run_folder import write_text
    from edgenas.core.tables.file import widened

    there = claim(output, "-o", _is_predicted, inputs=(predictor, table), overwrite=overwrite)
    fitted, rows = read_predictor(predictor), edgenas.read_csv(table)
    complete = fitted.complete(rows)
    whole = bool(complete.all())
    some = rows if whole else {name: values[complete] for name, values in rows.items()}
    if complete.any():
        prediction, outside = (
            fitted.get_prediction(some, confidence),
            fitted.outside(some).astype(int),
        )
        columns = (prediction.mean, prediction.lower, prediction.upper, outside)
    else:
        outside, columns = np.zeros(0, int), (np.zeros(0),) * 4
    answered = zip(*(column.tolist() for column in columns), strict=True)
    empty = ("",) * len(ADDED)
    added = [next(answered) if known else empty for known in complete.tolist()]
    write_text(there, widened(table, [ADDED, *added]))
    document: dict[str, Any] = {
        "n": int(complete.sum()),
        "missing": int((~complete).sum()),
        "outside": int(outside.sum()),
        "output": str(output),
        "confidence": confidence,
    }
    if as_json:
        emit_json(document)
        return
    say(f"{counted(document['n'], 'row')} predicted, in {output}")
    if document["missing"]:
        first = int(np.argmin(complete)) + 1
        say(
            f"warning: {counted(document['missing'], 'row lacks', 'rows lack')} a number that the "
            f"predictor takes (first: row {first}): these cells are empty",
            err=True,
        )
    if document["outside"]:
        say(
            f"warning: {counted(document['outside'], 'row lies', 'rows lie')} outside what was "
            "measured (column outside): do not rely on such intervals",
            err=True,
        )


def _is_predicted(path: Path) -> bool:
    """Return whether `path` is a table that `predict` wrote: its header ends in what that adds."""
    with path.open("rb") as stream:
        header = stream.readline(_MOST_HEADER_BYTES).decode("utf-8")
    return tuple(re.split(r"[,;\t|]", header.rstrip())[-len(ADDED) :]) == ADDED
