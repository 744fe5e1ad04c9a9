"""edgenas verify: a run's models on the target, or the replay of a bundle of evidence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from edgenas.cli.options import EVERY_OPTION, config_options, json_option, refuse_others
from edgenas.cli.render import emit_json
from edgenas.errors import InputError

NOT_CONFIRMED = 1
SAID = {
    "follows": "follow from the evidence",
    "differs": "not",
    "unknown": "cannot be worked out again",
}


@click.command(epilog=EVERY_OPTION)
@click.argument("run", required=False, type=click.Path(path_type=Path, file_okay=False))
@config_options("target", "engine", "max_latency_ms")
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    help="Work the figures of evidence out again instead, of a zip or a package's folder; needs no "
    "board.",
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
    refuse_others(options, (), "a replay")
    _replay(replay, as_json)


def _replay(path: Path | None, as_json: bool) -> None:
    from edgenas.challenges.replay import replay as replayed
    from edgenas.records import to_json
    from edgenas.replayed_limits import limit_checks
    from edgenas.replayed_predictions import prediction_checks

    assert path is not None
    checks = to_json((*replayed(path), *limit_checks(path), *prediction_checks(path)))
    counts = {status: sum(one["status"] == status for one in checks) for status in SAID}
    if as_json:
        status = "fail" if counts["differs"] else "pass"
        emit_json({"status": status, "counts": counts, "checks": checks})
    else:
        for model in dict.fromkeys(check["model"] for check in checks):
            _show(model, [check for check in checks if check["model"] == model])
        said = ", ".join(f"{count} {SAID[status]}" for status, count in counts.items() if count)
        click.echo(f"{len(checks)} figures: {said}")
    if counts["differs"]:
        raise click.exceptions.Exit(NOT_CONFIRMED)


def _show(model: str, checks: list[dict[str, Any]]) -> None:
    """Print what came of a model's figures: those that follow by number, the others by name."""
    follow = sum(check["status"] == "follows" for check in checks)
    click.echo(f"{model}: {follow} of {len(checks)} figures follow from the evidence")
    unknown: dict[str, list[str]] = {}
    for check in checks:
        if check["status"] == "unknown":
            unknown.setdefault(check["why"], []).append(check["figure"])
        elif check["status"] == "differs":
            click.echo(f"  differs: {check['figure']}: {_difference(check)}")
    for why, figures in unknown.items():
        names = dict.fromkeys(re.sub(", (lower|upper)", "", figure) for figure in figures)
        click.echo(f"  {len(figures)} cannot be worked out again. {why}")
        click.echo(f"    {', '.join(names)}")


def _difference(check: dict[str, Any]) -> str:
    stated, replayed, why = check["stated"], check["replayed"], check["why"]
    found = "" if replayed is None else f", the evidence gives {replayed}"
    return f"stated {stated}{found}" + (f". {why}" if why else "")
