"""edgenas compare: any finished runs on one page."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.cli.completion import RunPath
from edgenas.cli.options import json_option, overwrite_option
from edgenas.cli.progress_bars import Bars
from edgenas.cli.terminal import emit_json, say
from edgenas.runs import commands


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RunPath())
@click.option(
    "-o",
    "--output",
    default=Path("comparison.html"),
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page.",
)
@overwrite_option
@json_option
def compare(runs: tuple[Path, ...], output: Path, *, overwrite: bool, as_json: bool) -> None:
    """Write one page that compares finished runs: boards, engines, data sets or dates.

    It has the frontiers over each other, what each choice costs in every run and as a ratio to the
    first, each winner's predicted latency in the other runs, and what the runs were done with
    where that differs.

    \b
    Examples:
      edgenas compare runs/pi4 runs/phone
      edgenas compare runs/before runs/after -o change.html
    """
    document = commands.compare_runs(runs, output, Bars(), overwrite=overwrite)
    if as_json:
        emit_json(document)
        return
    for target, speed in document["speed"].items():
        say(
            f"{target} takes {speed['ratio']:.3g} times ({speed['lower']:.3g} to "
            f"{speed['upper']:.3g}) as long as {document['reference']} for the same networks"
        )
    for difference in document["changed"]:
        say(f"{difference['what']}: {' | '.join(difference['values'])}")
    say(f"page: {document['report']}")
