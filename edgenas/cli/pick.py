"""edgenas pick: the best network of a run's frontier for another budget, without a search."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

import edgenas
from edgenas.cli.completion import RunPath
from edgenas.cli.options import MILLISECONDS, json_option, space_file_option
from edgenas.cli.terminal import emit_json, say
from edgenas.cli.verdicts import NOT_VERIFIED

if TYPE_CHECKING:
    from edgenas.runs.frontier.stored import Front, MeasuredPoint
    from edgenas.runs.results import Pick


@click.command()
@click.argument("run", type=RunPath())
@click.option("--max-latency", "max_latency_ms", type=MILLISECONDS, help="Limit, such as 3ms.")
@click.option(
    "--constraint",
    "constraints",
    multiple=True,
    metavar="TEXT",
    help='Limit on a response, such as "peak_rss<=64MB"; again for more.',
)
@space_file_option
@json_option
def pick(
    run: Path, max_latency_ms: float | None, constraints: tuple[str, ...], as_json: bool
) -> None:
    """Say which network of a run's frontier is best within other limits, at once.

    The limits are on the prediction bounds, as in the search; nothing is searched or measured. Of
    evaluated networks that are not measurably worse than the best, it is the one whose expected
    accuracy is worth its latency: a point counts as a fifth of it.

    The exit code is 8 if something in the run is newer than what was verified.

    \b
    Examples:
      edgenas pick runs/pi4 --max-latency 3ms
      edgenas pick runs/pi4 --max-latency 3ms --constraint "model_bytes<=80kB" --json
    """
    started = time.perf_counter()
    best = edgenas.open_run(run).pick(max_latency_ms, constraints)
    if as_json:
        emit_json({**best.document(), "seconds": round(time.perf_counter() - started, 4)})
    else:
        _print(best)
    if best.front.verdict.outdated:
        raise click.exceptions.Exit(NOT_VERIFIED)


def _print(best: Pick) -> None:
    front, picked = best.front, best.picked
    say(picked.point.name)
    wide = max(len(front.known[name].label) for name in picked.point.predicted)
    for name, value in picked.point.predicted.items():
        kind = front.known[name]
        line = f"  {kind.label:<{wide}}  {kind.shown(value.mean)}"
        if value.lower < value.upper:
            bounds = f"{kind.shown(value.lower)} to {kind.shown(value.upper)}"
            line += f"  ({bounds} at {front.confidence:.0%})"
        if name == front.objective.name and picked.point.name in front.evaluated:
            line += (
                f"; {front.how_evaluated} {kind.shown(front.evaluated[picked.point.name].value)}"
            )
        elif name in picked.measured:
            line += f"; {front.how} {kind.shown(picked.measured[name])}"
        say(line)
    say(best.reason)
    for network in picked.choice.evaluated:
        if network.name in picked.choice.alike and network.name != picked.point.name:
            objective = front.objective.shown(front.evaluated[network.name].value)
            say(f"{front.how_evaluated}, not measurably worse: {front.objective.label} {objective}")
            say(f"  {network.name}")
    kind = front.known[picked.between]
    for side, point in (("under it", picked.below), ("over it", picked.above)):
        if point is not None:
            say(f"{front.how}, nearest {side} in {kind.label}: {_values(front, point)}")
            say(f"  {point.name}")
    for note in picked.notes:
        say(f"note: {note}")
    for text in front.verdict.outdated:
        say(f"not verified: {text}")
    if front.verdict.outdated:
        say(f"next: {front.verdict.next_command}")


def _values(front: Front, point: MeasuredPoint) -> str:
    wanted = [name for name in front.known if name in front.searched and name in point.measured]
    return ", ".join(
        f"{front.known[name].label} {front.known[name].shown(point.measured[name])}"
        for name in wanted
    )
