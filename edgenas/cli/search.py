"""edgenas search: the whole flow, on one run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgenas.cli.options import (
    access,
    access_options,
    given,
    json_option,
    options_of_several_targets,
)
from edgenas.cli.progress_bars import Bars
from edgenas.cli.render import emit_json, search_result, several_result
from edgenas.cli.replayed import replay_result

FAILED_VERIFICATION = 1


@click.command()
@options_of_several_targets
@access_options
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Run folder.  [runs/TIME]"
)
@click.option("--resume", is_flag=True, help="Go on with the run in --out, or with the last one.")
@json_option
def search(
    targets: tuple[str, ...],
    engines: tuple[str, ...],
    out: Path | None,
    resume: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train, measure, predict, search, export, verify and report: the whole product.

    The exit code is 0 only if an exported int8 network met the limit on the target when it was
    measured there, and its outputs are right; of several targets, on each.

    \b
    Examples:
      edgenas search
      edgenas search --data imagefolder:flowers --max-latency 5ms --out runs/flowers
      edgenas search --target pi@raspberrypi.local
      edgenas search --target pi5-table.toml --max-latency 12ms
      edgenas search --target pi4 --target orin-nano --out runs/both
      edgenas search --engine onnxruntime --engine litert
      edgenas search --out runs/flowers --resume
    """
    from edgenas import pipeline, several
    from edgenas.boards_file import is_several
    from edgenas.open_run import new_run_path, newest_run_path

    path = out or (newest_run_path() if resume else new_run_path())
    bars = Bars()
    bars.message(f"run folder: {path}")
    allowed = access(options, bars.message)
    asked = given(options)
    if len(targets) > 1 or len(engines) > 1 or is_several(path):
        document = several.search_several(
            path, targets, asked, bars, resume, engines=engines, access=allowed
        )
    else:
        asked |= {n: v[0] for n, v in (("target", targets), ("engine", engines)) if v}
        document = pipeline.search(path, asked, bars, resume, allowed)
    if as_json:
        emit_json(document)
    elif "provider" in document:
        replay_result(document)
    elif "boards" in document:
        several_result(document)
    else:
        search_result(document)
    if document["status"] == "fail":
        raise click.exceptions.Exit(FAILED_VERIFICATION)
