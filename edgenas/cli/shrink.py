"""edgenas shrink: a search within a network that the user trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgenas.cli.completion import RunPath, complete_data
from edgenas.cli.options import (
    Command,
    access_given,
    access_options,
    given,
    json_option,
    preprocessing_options,
    run_option,
)
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show import search_result
from edgenas.cli.terminal import emit_json, is_quiet, is_verbose
from edgenas.cli.total_progress import TotalProgress
from edgenas.cli.verdicts import end_with, strict_option
from edgenas.core.run_options import OPTIONS
from edgenas.runs import commands

_OF_THE_MODEL = ("space", "supernet", "image_size")
_TOLD_HERE = "data"  # no default


def _run_options(command: Command) -> Command:
    for name in reversed(OPTIONS):
        if name not in (*_OF_THE_MODEL, _TOLD_HERE):
            command = run_option(name)(command)
    return command


@click.command()
@click.argument("model", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--data",
    shell_complete=complete_data,
    help="Labelled images of the network's classes: imagefolder:DIR or hf:NAME.",
)
@_run_options
@preprocessing_options
@click.option(
    "--shape", help="Of the input, where the file leaves height and width open: 3x224x224."
)
@access_options
@click.option("--out", type=RunPath(), help="A new run folder.  [runs/TIME]")
@strict_option
@json_option
def shrink(
    *,
    model: Path,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    labels: Path | None,
    shape: str | None,
    out: Path | None,
    strict: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Search for a smaller network within one that you trained.

    MODEL is a float ONNX file with a classifier for the classes of --data. It becomes the largest
    network of a space of its own: residual blocks may go, hidden channels be fewer, larger
    depthwise kernels lose their edge, images be smaller. Its weights are the supernet, which learns
    from the network itself. What follows is a search: the same steps, run folder, exit codes and
    report; `edgenas search --out RUN --resume` goes on with it.

    \b
    Examples:
      edgenas shrink model.onnx --data imagefolder:flowers --max-latency 5ms
      edgenas shrink model.onnx --data imagefolder:flowers --time 1h --out runs/own
    """
    asked = given(options)
    if "data" not in asked:
        raise click.UsageError("Name the images of the network's classes: --data imagefolder:DIR")
    path = commands.run_path(out, resume=False)
    bars = Bars() if is_verbose() or is_quiet() else TotalProgress()
    bars.message(f"run folder: {path}")
    try:
        document = commands.shrink(
            model,
            path,
            asked,
            bars,
            shape=shape,
            preprocessing={"mean": mean, "std": std, "fit": options["fit"], "labels": labels},
            **access_given(options),
        )
    finally:
        bars.close()
    if as_json:
        emit_json(document)
    else:
        search_result(document)
    end_with(document, strict)
