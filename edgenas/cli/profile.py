"""edgenas profile: the time of each operator of a model on a target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgenas.cli.options import access_given, access_options, json_option, space_file_option
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show import operator_table
from edgenas.cli.terminal import emit_json
from edgenas.runs import commands


@click.command()
@click.argument("what", metavar="RUN_OR_MODEL", type=click.Path(path_type=Path))
@click.option("--target", help="Where to run it: a name, user@host, or a .toml file.")
@click.option("--engine", help="In which engine: the run's, or one that takes such files.")
@click.option(
    "--runs", type=click.IntRange(1, 2000), default=30, show_default=True, help="Inferences timed."
)
@access_options
@space_file_option
@json_option
def profile(
    what: Path,
    target: str | None,
    engine: str | None,
    runs: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Time each operator of a model, and name what falls back or stays in float.

    RUN_OR_MODEL is a run folder, of which the model that passed is taken, or an .onnx or .tflite
    file. The engine's profiler slows operators down: their sum is no latency.

    \b
    Examples:
      edgenas profile runs/pi4
      edgenas profile model.onnx --target pi@raspberrypi.local --json
      edgenas profile model.tflite --engine litert_builtin
    """
    operators = commands.profile(what, target, runs, Bars(), engine=engine, **access_given(options))
    if as_json:
        emit_json(operators)
    else:
        operator_table(operators)
