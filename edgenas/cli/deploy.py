"""edgenas deploy: a network as a folder that classifies images, here or on a board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import edgenas
from edgenas.cli.completion import RunPath, complete_data, complete_engine
from edgenas.cli.options import (
    access_given,
    access_options,
    is_model,
    json_option,
    preprocessing_options,
)
from edgenas.cli.progress_bars import Bars
from edgenas.cli.terminal import emit_json, say
from edgenas.core.errors import InputError
from edgenas.core.records.image_input import FITS
from edgenas.runs import commands

FAILED = 1


@click.command()
@click.argument("what", metavar="RUN|MODEL", type=RunPath(or_file=True))
@click.option(
    "--to",
    required=True,
    metavar="FOLDER|BOARD:FOLDER",
    help="The folder to make, here or on a board (user@board:app); empty, or not there.",
)
@click.option(
    "--data", shell_complete=complete_data, help="Of a MODEL: images for the self-test.  [noise]"
)
@click.option(
    "--engine", shell_complete=complete_engine, help="Of a MODEL.  [the usual one of its format]"
)
@click.option("--fit", type=click.Choice(FITS), help="How images become square.  [crop]")
@preprocessing_options
@access_options
@json_option
def deploy(what: Path, to: str, as_json: bool, **options: Any) -> None:
    """Write the winner, or your own model, as an application that runs without edgenas.

    The folder holds the model, labels.txt, card.json, classify.py (Python 3.8, numpy and the
    engine), three images with the logits that they must give, and examples for systemd, Docker and
    make. Its self-test runs at once, on the board where it is sent to one; the exit code is 1 if it
    fails.

    Of a MODEL, an .onnx or .tflite file, --mean, --std, --fit and --labels say how images are made
    for it, and what its classes are called.

    \b
    Examples:
      edgenas deploy runs/flowers --to flowers-app
      edgenas deploy runs/flowers --to pi@raspberrypi.local:flowers-app
      edgenas deploy model.tflite --to app --labels labels.txt --mean 0.5 --std 0.5
    """
    own = {name: options.pop(name) for name in ("mean", "std", "fit", "labels", "data", "engine")}
    if is_model(what):
        data, engine = own.pop("data"), own.pop("engine")
        how = {"data": data, "engine": engine, "preprocessing": own}
        document = commands.deploy_model(what, to, Bars(), **how, **access_given(options))
    else:
        given = [name for name, value in own.items() if value is not None]
        if given:
            raise InputError(f"--{given[0]} is of a model file.", "Leave it out.")
        document = edgenas.open_run(what, progress=Bars(), **access_given(options)).deploy(to)
    result = document["result"]
    if as_json:
        emit_json(document)
    else:
        for report in result["self_test"]:
            said = report.get("error") or (
                f"{report['file']}: {report['label']}, {report['mean_steps']:.2g} mean steps from "
                "what they must give"
            )
            say(f"self-test {'ok' if report['ok'] else 'FAILED'}: {said}")
        for text in result["reservations"]:
            say(f"reservation: {text}")
        say(f"application: {result['folder']} ({result['model']} in {result['engine']})")
        host, colon, folder = result["folder"].rpartition(":")
        there = f"ssh {host} " if colon else ""
        say(f"try it: {there}python3 {Path(folder, 'classify.py')} IMAGE")
    if not result["ok"]:
        raise click.exceptions.Exit(FAILED)
