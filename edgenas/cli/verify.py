"""edgenas verify: a run's models on the target, or the replay of a bundle of evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgenas.cli.options import EVERY_OPTION, config_options, json_option
from edgenas.cli.render import emit_json
from edgenas.errors import InputError

NOT_CONFIRMED = 1


@click.command(epilog=EVERY_OPTION)
@click.argument("run", required=False, type=click.Path(path_type=Path, file_okay=False))
@config_options("target", "engine", "max_latency_ms")
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    help="Work the figures of a bundle of evidence out again instead; needs no board.",
)
@json_option
def verify(run: Path | None, replay: Path | None, as_json: bool, **options: Any) -> None:
    """Run the exported models on the target; exit 0 only if one passes.

    \b
    Examples:
      edgenas verify runs/pi4
      edgenas verify --replay runs/pi4/submission/evidence.zip
    """
    if (run is None) == (replay is None):
        raise InputError("Name a run folder, or a bundle with --replay: one of the two.")
    if run is not None:
        from edgenas.cli.steps import run_step

        run_step("verify", run, options, as_json)
        return
    _replay(replay, as_json)


def _replay(path: Path | None, as_json: bool) -> None:
    from edgenas.challenges.replay import replay as replayed
    from edgenas.records import to_json

    assert path is not None
    checks = to_json(replayed(path))
    differing = [check for check in checks if check["status"] == "differs"]
    if as_json:
        emit_json({"status": "fail" if differing else "pass", "checks": checks})
    else:
        for check in checks:
            figures = f"stated {check['stated']}, replayed {check['replayed']}"
            why = f" ({check['why']})" if check["why"] else ""
            click.echo(f"{check['status']:>8}  {check['model']} {check['figure']}: {figures}{why}")
        click.echo(f"{len(checks)} figures, {len(differing)} of which do not follow")
    if differing:
        raise click.exceptions.Exit(NOT_CONFIRMED)
