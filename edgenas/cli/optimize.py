"""edgenas optimize: search with a run's predictors, or with a published set of predictors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgenas.cli.completion import RunPath
from edgenas.cli.options import (
    EVERY_OPTION,
    PluginName,
    config_options,
    json_option,
    refuse_others,
)
from edgenas.cli.show import published_result
from edgenas.cli.terminal import emit_json
from edgenas.core.errors import InputError
from edgenas.core.run_options import taken_by
from edgenas.runs import commands


@click.command(epilog=EVERY_OPTION)
@click.argument("run", required=False, type=RunPath())
@config_options("optimize")
@click.option(
    "--predictors",
    type=PluginName("published predictors"),
    help="A published set instead of a run's own, such as foxnas-192px.",
)
@json_option
def optimize(run: Path | None, predictors: str | None, as_json: bool, **options: Any) -> None:
    """Search for the best architectures under the limit, from predictions.

    \b
    Examples:
      edgenas optimize runs/pi4 --max-latency 3ms
      edgenas optimize runs/pi4 --objective accuracy --objective energy_mj --constraint "size<=80kB"
      edgenas optimize --space foxnas-cpu --predictors foxnas-192px --max-latency 55ms --json
    """
    if predictors is None:
        if run is None:
            raise InputError("Name a run folder, or published predictors with --predictors.")
        from edgenas.cli.steps import run_step

        run_step("optimize", run, options, as_json)
        return
    if run is not None:
        raise InputError("Name a run folder, or published predictors: one of the two.")
    _published(predictors, options, as_json)


def _published(predictors: str, options: dict[str, Any], as_json: bool) -> None:
    if options["objectives"] or options["constraints"]:
        raise InputError(
            f"The published predictors '{predictors}' know accuracy and latency alone.",
            "Give a limit with --max-latency, and no --objective or --constraint.",
        )
    refuse_others(options, taken_by("optimize --predictors"), "published predictors")
    if options["max_latency_ms"] is None:
        raise InputError("A search with published predictors needs a limit.", "--max-latency 55ms")
    document = commands.published_search(
        options["space"] or "mbv3-tiny",
        predictors,
        options["max_latency_ms"],
        options["optimizer"] or "exact",
        options["seed"] or 0,
    )
    if as_json:
        emit_json(document)
    else:
        published_result(document)
