"""edgenas fit and predict: predictors of a run, and of any table of measurements."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgenas.cli.options import EVERY_OPTION, config_options, json_option, refuse_others
from edgenas.cli.render import emit_json, table_fit
from edgenas.errors import InputError

if TYPE_CHECKING:
    from edgenas.predictors.table import TableRegression

ADDED = ("mean", "lower", "upper", "outside")
OF_TABLES = {  # options of fit
    "response": "--response",
    "features": "--features",
    "categorical": "--categorical",
    "exclude": "--exclude",
    "terms": "--terms",
    "bootstrap": "--bootstrap",
    "priors": "--prior",
    "hardware": "--hardware",
    "output": "-o",
}
TABLE_SUFFIXES = (".csv", ".csv.gz")


class Names(click.ParamType):
    """Column names, separated by commas; an empty item is refused."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        parts = tuple(part.strip() for part in value.split(","))
        if not all(parts):
            self.fail(f"'{value}' has an empty name", param, ctx)
        return parts


@click.command(epilog=EVERY_OPTION)
@click.argument("source", type=click.Path(path_type=Path))
@config_options("seed", "warm_start")
@click.option("--response", help="Of a table: the column to predict.")
@click.option("--features", type=Names(), default=(), help="Columns to predict from.  [all]")
@click.option("--categorical", type=Names(), default=(), help="Columns that are categories.")
@click.option("--exclude", type=Names(), default=(), help="Columns to leave out.")
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
@json_option
def fit(source: Path, as_json: bool, **options: Any) -> None:
    """Fit predictors: of a run folder's measurements, or of a column of a table.

    \b
    Examples:
      edgenas fit runs/pi4
      edgenas fit pi4.csv --response latency --exclude acc -o latency.json
      edgenas fit pi5-ten-rows.csv --response latency --prior latency.json -o pi5.json
    """
    if source.is_file() and not source.name.endswith(TABLE_SUFFIXES):
        raise InputError(f"{source} is no table that edgenas reads.", "Save it as .csv or .csv.gz.")
    if not source.name.endswith(TABLE_SUFFIXES):
        from edgenas.cli.steps import run_step

        of_table = [option for name, option in OF_TABLES.items() if options[name]]
        if of_table:
            raise InputError(f"{of_table[0]} is of a table, and {source} is none.", "Leave it out.")
        run_step("fit", source, options, as_json)
        return
    refuse_others(options, ("seed",), "a table")
    if not options["response"]:
        raise InputError(f"Which column of {source} is to be predicted?", "Say --response COLUMN.")
    fitted = _fit_table(source, options)
    if options["output"]:
        from edgenas.run_folder import write_json

        write_json(options["output"], fitted.to_json())
    document = fitted.report()
    if as_json:
        emit_json(document)
    else:
        table_fit(document)


def _fit_table(source: Path, options: dict[str, Any]) -> TableRegression:
    from edgenas.predictors.table import TableRegression
    from edgenas.predictors.table_columns import read_csv

    priors = _priors(options["priors"])
    boards = None
    if options["hardware"]:
        from edgenas.toml_file import read_toml

        if not priors:
            raise InputError("--hardware is for --prior.", "Say --prior PREDICTOR.json.")
        boards = read_toml(options["hardware"])
    return TableRegression(options["terms"] or "auto", options["seed"] or 0, priors, boards).fit(
        read_csv(source),
        options["response"],
        features=options["features"],
        categorical=options["categorical"],
        exclude=options["exclude"],
        bootstrap=options["bootstrap"],
    )


def _priors(paths: tuple[Path, ...]) -> dict[str, TableRegression]:
    """Return the predictors in the files, by the names of the files."""
    found = {path.stem: read_predictor(path) for path in paths}
    if len(found) < len(paths):
        raise InputError("Two of the priors have the same name.", "Rename one of the files.")
    return found


def read_predictor(path: Path) -> TableRegression:
    """Return the predictor that `edgenas fit TABLE.csv` wrote to `path`."""
    from edgenas.predictors.table import load
    from edgenas.run_folder import read_json

    return load(read_json(path, "A predictor is what edgenas fit TABLE.csv writes with -o."))


@click.command()
@click.argument("predictor", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--confidence", default=0.9, show_default=True, help="Of the intervals.")
@json_option
def predict(predictor: Path, table: Path, output: Path, confidence: float, as_json: bool) -> None:
    """Predict a table's rows: writes it again with columns mean, lower, upper and outside.

    outside says 1 where a row is farther from what was measured than any measured row is from the
    others, has a new category, or differs where the measured rows did not: its interval is then no
    promise.

    \b
    Example:
      edgenas predict latency.json new.csv -o predicted.csv
    """
    from edgenas.predictors.table_columns import read_csv
    from edgenas.run_folder import write_bytes

    fitted, rows = read_predictor(predictor), read_csv(table)
    found, outside = fitted.get_prediction(rows, confidence), fitted.outside(rows).astype(int)
    columns = (found.mean, found.lower, found.upper, outside)
    added = zip(*(column.tolist() for column in columns), strict=True)
    write_bytes(output, _widened(table, [ADDED, *added]).encode())
    document = {
        "n": len(found.mean),
        "outside": int(outside.sum()),
        "output": str(output),
        "confidence": confidence,
    }
    if as_json:
        emit_json(document)
        return
    click.echo(f"{document['n']} rows predicted, in {output}")
    if document["outside"]:
        click.echo(
            f"warning: {document['outside']} of them lie outside what was measured (column "
            "outside): do not rely on their intervals",
            err=True,
        )


def _widened(table: Path, added: list[tuple[Any, ...]]) -> str:
    """Return the text of a CSV file with more cells at the end of each of its rows."""
    opener = gzip.open if table.suffix == ".gz" else open
    with opener(table, "rt", newline="", encoding="utf-8-sig") as stream:
        rows = [row for row in csv.reader(stream) if len(row) > 1 or "".join(row).strip()]
    text, width = io.StringIO(), len(rows[0])
    even = ([*row, *[""] * width][:width] for row in rows)  # some rows end early, or in a comma
    pairs = zip(even, added, strict=True)
    csv.writer(text, lineterminator="\n").writerows((*row, *cells) for row, cells in pairs)
    return text.getvalue()
