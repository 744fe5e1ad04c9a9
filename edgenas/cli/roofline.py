"""edgenas roofline: how far each layer of a network is from what its machine can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Table

from edgenas.cli.console import Terminal
from edgenas.cli.options import (
    access_given,
    access_options,
    json_option,
    overwrite_option,
    space_file_option,
)
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show import WIDEST
from edgenas.cli.terminal import emit_json
from edgenas.reporting.words.roofline import COLUMNS, row, slowest
from edgenas.runs import commands


@click.command()
@click.argument("what", metavar="RUN_OR_MODEL", type=click.Path(path_type=Path))
@click.option("--target", help="Where to measure: a name, user@host, or a .toml file.")
@click.option("--engine", help="In which engine: the run's, or one that takes such files.")
@click.option(
    "--shape", "shapes", multiple=True, help="Of an input that the file leaves open: x=1x3x224x224."
)
@click.option(
    "--png", type=click.Path(path_type=Path, dir_okay=False), help="Write the plot there."
)
@overwrite_option
@access_options
@space_file_option
@json_option
def roofline(
    what: Path,
    target: str | None,
    engine: str | None,
    shapes: tuple[str, ...],
    png: Path | None,
    *,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Say how far each layer is from what the machine can do, and what would help.

    RUN_OR_MODEL is a run folder, of which the network that passed is taken, or an .onnx or .tflite
    file. Twelve small models are timed beside it: they tell the rate of each kind of layer, the
    bandwidth in a cache and in memory, and what starting a kernel takes. Of a run the result is
    kept: `edgenas explain` and the report show it.

    \b
    Examples:
      edgenas roofline runs/pi4 --png roofline.png
      edgenas roofline model.tflite --target pi@raspberrypi.local
    """
    document = commands.roofline(
        what,
        target,
        Bars(),
        engine=engine,
        shapes=shapes,
        png=png,
        overwrite=overwrite,
        **access_given(options),
    )
    if as_json:
        emit_json(document)
        return
    title = f"{document['model']} on {document['roof']['target']} ({document['roof']['engine']})"
    Terminal(width=WIDEST).print(table(document["layers"], title))
    console = Terminal()
    for sentence in (*document["roof_says"], *document["says"]):
        console.print(sentence)
    if png is not None:
        console.print(f"plot: {png}")


def show_slowest(console: Terminal, document: dict[str, Any] | None, layers: bool) -> None:
    """Print what a document says of a network, and the `layers` that take most; nothing of None."""
    if document is None:
        return
    if layers:
        title = "How far the layers that take most are from what the machine can do"
        Terminal(width=WIDEST).print(table(slowest(document["layers"]), title))
    for sentence in document["says"]:
        console.print(sentence)


def table(layers: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Return a line a layer."""
    shown = Table(title=title, title_justify="left", box=box.SIMPLE)
    for column in COLUMNS:
        left = column in ("layer", "kind", "bound by")
        shown.add_column(column, justify="left" if left else "right", no_wrap=True)
    for layer in layers:
        shown.add_row(*row(layer))
    return shown
