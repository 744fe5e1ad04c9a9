"""edgenas pick: the best network of a run's frontier for another budget, without a search."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgenas.cli.options import MILLISECONDS, json_option

if TYPE_CHECKING:
    from edgenas.picking import Front, MeasuredPoint, Picked


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--max-latency", "max_latency_ms", type=MILLISECONDS, help="Limit, such as 3ms.")
@click.option(
    "--constraint",
    "constraints",
    multiple=True,
    metavar="TEXT",
    help='Limit on a response, such as "peak_rss<=64MB"; again for more.',
)
@json_option
def pick(
    run: Path, max_latency_ms: float | None, constraints: tuple[str, ...], as_json: bool
) -> None:
    """Say which network of a run's frontier is best within other limits, at once.

    The limits are on the prediction bounds, as in the search; nothing is searched or measured.

    \b
    Examples:
      edgenas pick runs/pi4 --max-latency 3ms
      edgenas pick runs/pi4 --max-latency 3ms --constraint "model_bytes<=80kB" --json
    """
    from edgenas.goals import parse_constraints
    from edgenas.picking import pick as best_of
    from edgenas.picking import read_front

    started = time.perf_counter()
    front = read_front(run)
    latency = [] if max_latency_ms is None else [f"latency_ms<={max_latency_ms!r}"]
    limits = parse_constraints([*latency, *constraints], front.known)
    picked = best_of(front, limits)
    if as_json:
        from edgenas.cli.render import emit_json

        emit_json(_document(front, picked, time.perf_counter() - started))
    else:
        _print(front, picked)


def _document(front: Front, picked: Picked, seconds: float) -> dict[str, Any]:
    from edgenas.records import to_json

    return {
        "run": str(front.run),
        "network": picked.point.name,
        "architecture": to_json(picked.point.architecture),
        "objective": front.objective.name,
        "confidence": front.confidence,
        "predicted": {name: to_json(value) for name, value in picked.point.predicted.items()},
        "measured": dict(picked.measured),
        "between": {
            "response": picked.between,
            "below": _point(picked.below),
            "above": _point(picked.above),
        },
        "notes": list(picked.notes),
        "frontier_points": len(front.points),
        "seconds": round(seconds, 4),
    }


def _point(measured: MeasuredPoint | None) -> dict[str, Any] | None:
    if measured is None:
        return None
    return {"network": measured.name, "measured": dict(measured.measured)}


def _print(front: Front, picked: Picked) -> None:
    click.echo(picked.point.name)
    wide = max(len(front.known[name].label) for name in picked.point.predicted)
    for name, value in picked.point.predicted.items():
        kind = front.known[name]
        line = f"  {kind.label:<{wide}}  {kind.shown(value.mean)}"
        if value.lower < value.upper:
            bounds = f"{kind.shown(value.lower)} to {kind.shown(value.upper)}"
            line += f"  ({bounds} at {front.confidence:.0%})"
        if name in picked.measured:
            line += f"; {front.how} {kind.shown(picked.measured[name])}"
        click.echo(line)
    kind = front.known[picked.between]
    for side, point in (("under it", picked.below), ("over it", picked.above)):
        if point is not None:
            click.echo(f"{front.how}, nearest {side} in {kind.label}: {_values(front, point)}")
            click.echo(f"  {point.name}")
    for note in picked.notes:
        click.echo(f"note: {note}")


def _values(front: Front, point: MeasuredPoint) -> str:
    wanted = [name for name in front.known if name in front.searched and name in point.measured]
    return ", ".join(
        f"{front.known[name].label} {front.known[name].shown(point.measured[name])}"
        for name in wanted
    )
