"""edgenas verify: a run's models on the target, or the replay of a bundle of evidence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from edgenas.cli.completion import RunPath
from edgenas.cli.options import (
    EVERY_OPTION,
    access_given,
    config_options,
    is_model,
    json_option,
    preprocessing_options,
    refuse_others,
)
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show_file import show_verified_file
from edgenas.cli.terminal import emit_json, say
from edgenas.cli.verdicts import end_with, strict_option
from edgenas.core.counted import counted
from edgenas.core.errors import InputError
from edgenas.runs import commands

NOT_CONFIRMED = 1
SAID = {
    "follows": "follow from the evidence",
    "differs": "not",
    "unknown": "cannot be worked out again",
}


@click.command(epilog=EVERY_OPTION)
@click.argument("run", metavar="RUN|MODEL", required=False, type=RunPath(or_file=True))
@config_options("verify")
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    help="Work the figures of evidence out again instead, of a zip or a package's folder; needs no "
    "board.",
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of a MODEL: the file that it was made of, whose accuracy is compared.",
)
@click.option(
    "--inputs",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of a MODEL, in place of --data: an .npz file with 'inputs', as the model takes them, and "
    "perhaps 'labels'.",
)
@preprocessing_options
@strict_option
@json_option
def verify(
    run: Path | None, replay: Path | None, *, strict: bool, as_json: bool, **options: Any
) -> None:
    """Run the exported models on the target; exit 0 only if one passes.

    Of a MODEL, an .onnx or .tflite file that somebody else made, all test images of --data, or the
    arrays of --inputs, are run on the target: it passes if its scores are those of the same engine
    on this computer and its latency keeps the limit. --mean, --std, --fit and --labels say how
    images are made for it.

    \b
    Examples:
      edgenas verify runs/pi4
      edgenas verify model.tflite --target pi@raspberrypi.local --data imagefolder:flowers
      edgenas verify keywords.onnx --inputs clips.npz --target pi@raspberrypi.local
      edgenas verify --replay runs/pi4/submission/evidence.zip
    """
    if (run is None) == (replay is None):
        raise InputError("Name a run folder, or a bundle with --replay: one of the two.")
    own = {name: options.pop(name) for name in ("mean", "std", "labels", "reference", "inputs")}
    if run is not None and is_model(run):
        _verify_file(run, own, options, strict=strict, as_json=as_json)
        return
    given = [name for name, value in own.items() if value is not None]
    if given:
        raise InputError(f"--{given[0]} is of a model file.", "Leave it out.")
    if run is not None:
        from edgenas.cli.steps import run_step

        run_step("verify", run, options, as_json, strict=strict)
        return
    refuse_others(options, (), "a replay")
    assert replay is not None
    _replay(replay, as_json)


def _verify_file(
    model: Path, own: dict[str, Any], options: dict[str, Any], *, strict: bool, as_json: bool
) -> None:
    refuse_others(options, ("target", "engine", "data", "fit", "max_latency_ms"), "a model file")
    document = commands.verify_file(
        model,
        options["data"],
        Bars(),
        target=options["target"],
        engine=options["engine"],
        max_latency_ms=options["max_latency_ms"],
        reference=own.pop("reference"),
        inputs=own.pop("inputs"),
        preprocessing={**own, "fit": options["fit"]},
        **access_given(options),
    )
    if as_json:
        emit_json(document)
    else:
        show_verified_file(document)
    end_with(document, strict)


def _replay(path: Path, as_json: bool) -> None:
    checks = commands.replay(path)
    counts = {status: sum(check["status"] == status for check in checks) for status in SAID}
    if as_json:
        status = "fail" if counts["differs"] else "pass"
        emit_json({"status": status, "counts": counts, "checks": checks})
    else:
        for model in dict.fromkeys(check["model"] for check in checks):
            _show(model, [check for check in checks if check["model"] == model])
        said = ", ".join(f"{count} {SAID[status]}" for status, count in counts.items() if count)
        say(f"{counted(len(checks), 'figure')}: {said}")
    if counts["differs"]:
        raise click.exceptions.Exit(NOT_CONFIRMED)


def _show(model: str, checks: list[dict[str, Any]]) -> None:
    """Print what came of a model's figures: those that follow by number, the others by name."""
    follow = sum(check["status"] == "follows" for check in checks)
    every, says = counted(len(checks), "figure"), "follows" if follow == 1 else "follow"
    say(f"{model}: {follow} of {every} {says} from the evidence")
    unknown: dict[str, list[str]] = {}
    for check in checks:
        if check["status"] == "unknown":
            unknown.setdefault(check["why"], []).append(check["figure"])
        elif check["status"] == "differs":
            say(f"  differs: {check['figure']}: {_difference(check)}")
    for why, figures in unknown.items():
        names = dict.fromkeys(re.sub(", (lower|upper)", "", figure) for figure in figures)
        say(f"  {len(figures)} cannot be worked out again. {why}")
        say(f"    {', '.join(names)}")


def _difference(check: dict[str, Any]) -> str:
    stated, replayed, why = check["stated"], check["replayed"], check["why"]
    if stated is None and replayed is None:
        return str(why)
    again = "" if replayed is None else f", the evidence gives {replayed}"
    return f"stated {stated}{again}" + (f". {why}" if why else "")
