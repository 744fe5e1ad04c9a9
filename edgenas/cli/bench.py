"""edgenas bench: model files of any make, measured as a search measures its networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Table

from edgenas.cli.console import Terminal
from edgenas.cli.options import SHARE, access_given, access_options, json_option, overwrite_option
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show import WIDEST, operator_table
from edgenas.cli.terminal import emit_json
from edgenas.core.counted import counted, were
from edgenas.core.errors import InputError
from edgenas.runs import commands

FAILED = 1
_COLOURS = {"slower": "red", "not measured": "red", "undecided": "yellow", "kept": "green"}


@click.command()
@click.argument(
    "models", metavar="MODEL...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--target", "targets", multiple=True, help="Where; several times for several.  [local]"
)
@click.option(
    "--engine", "engines", multiple=True, help="In which engine; several times for several."
)
@click.option(
    "--shape", "shapes", multiple=True, help="Of an input that the file leaves open: x=1x3x224x224."
)
@click.option("--operators", is_flag=True, help="Time each operator, too, and name the slow paths.")
@click.option(
    "--against",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A baseline: what --json printed before.",
)
@click.option(
    "--fail-if-slower",
    "allowed",
    type=SHARE,
    help="How much slower than the baseline a model may be, such as 5%.",
)
@click.option(
    "--png", type=click.Path(path_type=Path, dir_okay=False), help="Write the plot there."
)
@overwrite_option
@access_options
@json_option
def bench(
    *,
    models: tuple[Path, ...],
    targets: tuple[str, ...],
    engines: tuple[str, ...],
    shapes: tuple[str, ...],
    operators: bool,
    against: Path | None,
    allowed: float | None,
    png: Path | None,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure your own model files, side by side.

    MODEL is an .onnx or .tflite file of any make. It is timed as a search times its networks:
    interleaved passes, 95 % intervals, passes on a busy or hot machine rejected.

    The exit code is 1 if a model could not be measured, or if --fail-if-slower is given and the
    whole interval of the ratio to the baseline is beyond it.

    \b
    Examples:
      edgenas bench model.onnx model.tflite --target pi@raspberrypi.local
      edgenas bench model.onnx --shape 1x3x224x224 --operators
      edgenas bench model.onnx --json > baseline.json
      edgenas bench model.onnx --against baseline.json --fail-if-slower 5%
    """
    if allowed is not None and against is None:
        raise InputError("--fail-if-slower needs a baseline.", "Add --against FILE.")
    document = commands.bench(
        models,
        targets,
        engines,
        Bars(),
        shapes=shapes,
        operators=operators,
        against=against,
        fail_if_slower=allowed,
        png=png,
        overwrite=overwrite,
        **access_given(options),
    )
    if as_json:
        emit_json(document)
    else:
        _show(document, allowed)
    failed = any(row["status"] != "ok" for row in document["rows"])
    slower = any(change["verdict"] == "slower" for change in document["changes"])
    if failed or (slower and allowed is not None):
        raise click.exceptions.Exit(FAILED)


def _show(document: dict[str, Any], allowed: float | None) -> None:
    Terminal(width=WIDEST).print(_table(document["rows"]))
    console = Terminal()
    for row in document["rows"]:
        where = f"{row['model']} on {row['target']} ({row['engine']})"
        if row["status"] != "ok":
            console.print(f"{where}: NOT MEASURED: {row['reason']}", style="red")
        for text in _doubts(row):
            console.print(f"{where}: {text}", style="yellow")
        if row["energy"] is not None:
            console.print(f"{where}: {row['energy']['energy_mj']:.4g} mJ an inference")
    for row in document["rows"]:
        if row["profile"] is not None:
            operator_table(row["profile"])
        elif row["profile_missing"]:
            console.print(f"{row['model']} ({row['engine']}): {row['profile_missing']}")
    for change in document["changes"]:
        colour = _COLOURS.get(change["verdict"]) if allowed is not None else None
        console.print(
            f"{change['verdict'].upper()}: {change['model']} on {change['target']}: "
            f"{change['reason']}",
            style=colour,
        )


def _table(rows: list[dict[str, Any]]) -> Table:
    """Return a line a row; what is the same in all rows stands in the heading alone."""
    ends = [end for end in ("target", "engine") if len({row[end] for row in rows}) > 1]
    same = [f"{end} {rows[0][end]}" for end in ("target", "engine") if end not in ends]
    table = Table(box=box.SIMPLE, title=", ".join(same) or None, title_justify="left")
    for name in ("model", *ends):
        table.add_column(name)
    for name in ("median ms", "95 %", "p90 ms", "memory MB", "file MB"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row["model"], *(row[end] for end in ends), *_figures(row))
    return table


def _figures(row: dict[str, Any]) -> tuple[str, ...]:
    size = f"{row['model_bytes'] / 1e6:.3g}"
    if row["median_ms"] is None:
        return ("not measured", "", "", "", size)
    interval = row["ci95_ms"]
    memory = row["peak_rss_bytes"]
    return (
        f"{row['median_ms']:.4g}",
        "none" if interval is None else f"{interval[0]:.4g} to {interval[1]:.4g}",
        f"{row['p90_ms']:.4g}",
        "unknown" if memory is None else f"{memory / 1e6:.0f}",
        size,
    )


def _doubts(row: dict[str, Any]) -> list[str]:
    """Return what makes a latency less sure."""
    if row["median_ms"] is None:
        return []
    doubts = []
    if row["stands_on_rejected"]:
        doubts.append("too few passes were quiet, so the time stands on rejected ones")
    elif row["rejected_passes"]:
        every = row["passes"] + row["rejected_passes"]
        rejected = row["rejected_passes"]
        doubts.append(f"{rejected} of {counted(every, 'pass', 'passes')} {were(rejected)} rejected")
    if not row["converged"]:
        doubts.append("the interval is wider than was asked for")
    if "built-in kernels for" in row["provider"] or " with " in row["provider"]:
        doubts.append(f"ran on {row['provider']}")
    return doubts
