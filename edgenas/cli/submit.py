"""edgenas submit: a challenge's package from a run, or the check of a file made anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgenas.cli.options import PluginName, access, access_options, json_option
from edgenas.cli.progress_bars import Bars
from edgenas.cli.render import emit_json
from edgenas.errors import InputError

REJECTED = 1


class Setting(click.ParamType):
    """NAME=VALUE."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value[0], value[1]
        name, equals, given = value.partition("=")
        if not (name and equals):
            self.fail(f"'{value}' is not NAME=VALUE", param, ctx)
        return name, given


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--challenge", required=True, type=PluginName("challenges"))
@click.option("--check", type=click.Path(path_type=Path), help="Check this file instead of a run.")
@click.option("--set", "given", type=Setting(), multiple=True, help="A figure the score needs.")
@access_options
@json_option
def submit(
    run: Path | None,
    challenge: str,
    check: Path | None,
    given: tuple[tuple[str, str], ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Build, lint and score a challenge submission; nothing is sent anywhere.

    \b
    Examples:
      edgenas submit runs/pi4 --challenge generic
      edgenas submit --check model.tflite --challenge ovic2020 --set accuracy=0.7 \\
        --set latency_ms=28 --set frontier_k=16.89 --set frontier_a0=12
    """
    from edgenas import submission

    if (run is None) == (check is None):
        raise InputError("Name a run folder, or a file with --check: one of the two.")
    bars = Bars()
    if check is not None:
        document = submission.check(challenge, check, dict(given))
    else:
        assert run is not None
        allowed = access(options, bars.message)
        document = submission.submit(run, challenge, dict(given), bars, allowed)
    if as_json:
        emit_json(document)
    else:
        _show(document)
    if document["status"] == "fail":
        raise click.exceptions.Exit(REJECTED)


def _show(document: dict[str, Any]) -> None:
    for finding in document["findings"]:
        click.echo(f"{finding['severity']}: {finding['message']}")
        for label in ("remedy", "source"):
            if finding[label]:
                click.echo(f"    {label}: {finding[label]}")
    verdict = "would be rejected" if document["status"] == "fail" else "valid, as far as is known"
    click.echo(f"{document['built']}: {verdict} for {document['challenge']}")
    if "evidence" in document:
        click.echo(f"evidence, for edgenas verify --replay: {document['evidence']}")
    score = document["score"]
    if score["value"] is None:
        click.echo(f"not scored: {score['reason']}")
    else:
        click.echo(f"score {score['value']:.4g} = {score['formula']}")
        for note in score["notes"]:
            click.echo(f"    {note}")
