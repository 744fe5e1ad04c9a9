"""edgenas submit: a challenge's package from a run, or the check of a file made anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import edgenas
from edgenas.cli.completion import RunPath
from edgenas.cli.options import (
    PluginName,
    access_given,
    access_options,
    json_option,
    space_file_option,
)
from edgenas.cli.progress_bars import Bars
from edgenas.cli.terminal import emit_json, say
from edgenas.cli.verdicts import end_with, show_reservations, strict_option
from edgenas.core.counted import counted
from edgenas.core.errors import InputError
from edgenas.runs import commands

VERDICT = {
    "pass": "is valid, as far as is known",
    "fail": "would be rejected",
    "unchecked": "cannot be checked here",
}


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
@click.argument("run", required=False, type=RunPath())
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
@click.option(
    "--anonymous/--no-anonymous",
    "private",
    default=True,
    show_default=True,
    help="Leave out of the package what names people, machines and places, and no figure needs.",
)
@click.option(
    "--sandbox",
    type=click.Choice(["auto", "off"]),
    default="auto",
    show_default=True,
    help="Of a package that is run to be judged: auto shuts it in with bubblewrap (bwrap), without "
    "network and with files read-only, where that is installed. Else it runs with your rights: run "
    "none that you do not trust.",
)
@access_options
@strict_option
@space_file_option
@json_option
def submit(
    run: Path | None,
    challenge: str,
    check: Path | None,
    given: tuple[tuple[str, str], ...],
    *,
    private: bool,
    sandbox: str,
    strict: bool,
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
    as far as is known or cannot be checked here (7 with --strict), 1 if it would be rejected, and 8
    if something changed since it was verified.

    \b
    Examples:
      edgenas submit runs/pi4 --challenge generic
      edgenas submit --check runs/pi4/submission/generic --challenge generic
      edgenas submit --check model.tflite --challenge ovic2020 --set accuracy=0.7 \\
        --set latency_ms=28 --set frontier_k=16.89 --set frontier_a0=12
    """
    if (run is None) == (check is None):
        raise InputError("Name a run folder, or a file with --check: one of the two.")
    if check is not None:
        settings = dict(given) if sandbox == "auto" else {**dict(given), "sandbox": sandbox}
        document = commands.check_submission(challenge, check, settings)
    else:
        assert run is not None
        opened = edgenas.open_run(run, progress=Bars(), **access_given(options))
        document = opened.submit(challenge, dict(given), private=private)
    if as_json:
        emit_json(document)
    else:
        _show(document)
    end_with(document, strict)


def _show(document: dict[str, Any]) -> None:
    steps = []
    for finding in document["findings"]:
        if finding["severity"] == "step":
            steps.append(finding["message"])
            continue
        mark = {"unchecked": "not checked"}.get(finding["severity"], finding["severity"])
        say(f"{mark}: {finding['message']}")
        for label in ("remedy", "source"):
            if finding[label]:
                say(f"    {label}: {finding[label]}")
    say(f"{document['challenge']}: {document['built']} {VERDICT[document['status']]}")
    if referee := document.get("referee"):
        say(
            f"referee run: {referee['accuracy']:.2%} of "
            f"{counted(referee['n_images'], 'image file')}, fed "
            f"as the judge feeds them; verified: {referee['verified_accuracy']:.2%}"
            + _alike(referee)
        )
    if document["status"] != "unchecked":
        show_reservations(document)
    if "evidence" in document:
        say(f"evidence, for edgenas verify --replay: {document['evidence']}")
    if document["status"] == "fail":
        return
    _show_score(document["score"])
    if steps:
        say("what is left for you:")
    for number, step in enumerate(steps, 1):
        say(f"  {number}. {step}")


def _alike(referee: dict[str, Any]) -> str:
    """Return on how many images the target and the judge agree; "" where that is not known."""
    if referee["n_alike"] is None:
        return ""
    return f" (the same {counted(referee['n_alike'], 'image')} right or wrong on the target)"


def _show_score(score: dict[str, Any]) -> None:
    if score["value"] is None:
        say(f"not scored: {score['reason']}")
    else:
        say(f"score {score['value']:.4g} = {score['formula']}")
        for note in score["notes"]:
            say(f"    {note}")
