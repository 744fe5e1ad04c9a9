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
VERDICT = {False: "is valid, as far as is known", True: "would be rejected"}


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
@click.option(
    "--challenge", required=True, type=PluginName("challenges"), help="Which one: see above."
)
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    help="Check and score this file or folder, made here or elsewhere, instead of a run.",
)
@click.option(
    "--set",
    "given",
    type=Setting(),
    multiple=True,
    help="A figure that the score needs; one that is missing is named, with where to look for it.",
)
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
    Challenges, and what each takes:
      generic           a folder: model, labels, card, hashes and evidence
      ovic2020          model.tflite: uint8 pixels to 1,001 classes
      lpcvc2023         solution.pyz, a segmentation package: make it, then --check
      lpcvc2025-track1  model.onnx: input "image" [1,3,224,224] to 64 classes

    RUN is a finished search whose winner is packed. The exit code is 0 if the submission is valid
    as far as is known, and 1 if it would be rejected.

    \b
    Examples:
      edgenas submit runs/pi4 --challenge generic
      edgenas submit --check runs/pi4/submission/generic --challenge generic
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
    rejected, steps = document["status"] == "fail", []
    for finding in document["findings"]:
        if finding["severity"] == "step":
            steps.append(finding["message"])
            continue
        click.echo(f"{finding['severity']}: {finding['message']}")
        for label in ("remedy", "source"):
            if finding[label]:
                click.echo(f"    {label}: {finding[label]}")
    click.echo(f"{document['challenge']}: {document['built']} {VERDICT[rejected]}")
    if "evidence" in document:
        click.echo(f"evidence, for edgenas verify --replay: {document['evidence']}")
    if rejected:
        return
    _show_score(document["score"])
    if steps:
        click.echo("what is left for you:")
    for number, step in enumerate(steps, 1):
        click.echo(f"  {number}. {step}")


def _show_score(score: dict[str, Any]) -> None:
    if score["value"] is None:
        click.echo(f"not scored: {score['reason']}")
    else:
        click.echo(f"score {score['value']:.4g} = {score['formula']}")
        for note in score["notes"]:
            click.echo(f"    {note}")
