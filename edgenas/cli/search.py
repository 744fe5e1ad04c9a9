"""edgenas search: the whole flow, on one run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import edgenas
from edgenas.cli.completion import RunPath
from edgenas.cli.options import (
    access_given,
    access_options,
    given,
    json_option,
    options_of_several_targets,
)
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show import search_result, several_result
from edgenas.cli.show_table import replay_result
from edgenas.cli.terminal import emit_json, is_quiet, is_verbose
from edgenas.cli.total_progress import TotalProgress
from edgenas.cli.verdicts import end_with, strict_option
from edgenas.runs import commands


@click.command()
@options_of_several_targets
@access_options
@click.option("--out", type=RunPath(), help="Run folder.  [runs/TIME]")
@click.option("--resume", is_flag=True, help="Go on with the run in --out, or with the last one.")
@strict_option
@json_option
def search(
    targets: tuple[str, ...],
    engines: tuple[str, ...],
    out: Path | None,
    *,
    resume: bool,
    strict: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train, measure, predict, search, export, verify and report: the whole product.

    The exit code is 0 only if an exported int8 network met the limit on the target when it was
    measured there, and its outputs are right; of several targets, on each. A pass may have
    reservations: with --strict it then ends in 7.

    \b
    Examples:
      edgenas search
      edgenas search --data imagefolder:flowers --max-latency 5ms --out runs/flowers
      edgenas search --target pi@raspberrypi.local
      edgenas search --target pi5-table.toml --max-latency 12ms
      edgenas search --target raspberrypi4 --target jetson-orin-nano --out runs/both
      edgenas search --engine onnxruntime --engine litert
      edgenas search --out runs/flowers --resume
    """
    path = commands.run_path(out, resume)
    several = len(targets) > 1 or len(engines) > 1 or commands.is_several(path)
    bars = Bars() if several or is_verbose() or is_quiet() else TotalProgress()
    bars.message(f"run folder: {path}")
    asked = {**given(options), **access_given(options), "progress": bars}
    if several:
        document = edgenas.search_boards(
            targets, engines=engines, out=path, resume=resume, **asked
        ).document
    else:
        asked |= {n: v[0] for n, v in (("target", targets), ("engine", engines)) if v}
        try:
            document = edgenas.search(out=path, resume=resume, **asked).document
        finally:
            bars.close()
    if as_json:
        emit_json(document)
    elif "provider" in document:
        replay_result(document)
    elif "boards" in document:
        several_result(document)
    else:
        search_result(document)
    end_with(document, strict)
