"""The steps as commands: each works on one run folder and can be repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from edgenas.cli.completion import RunPath
from edgenas.cli.options import (
    EVERY_OPTION,
    access_given,
    config_options,
    given,
    json_option,
    overwrite_option,
)
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show import step_result
from edgenas.cli.terminal import emit_json, say
from edgenas.cli.verdicts import end_with, strict_option
from edgenas.runs import commands


def run_step(
    name: str, run: Path, options: dict[str, Any], as_json: bool, *, strict: bool = False
) -> None:
    """Run one step on the run folder `run`, show its result and end as its verdict says."""
    document = commands.run_step(name, run, given(options), Bars(), **access_given(options))
    if not document:
        return  # not the first of several processes
    if as_json:
        emit_json(document)
    else:
        step_result(name, document)
    end_with(document, strict)


def _command(name: Literal["measure", "evaluate"], purpose: str) -> click.Command:
    @click.argument("run", type=RunPath())
    @config_options(name)
    @json_option
    def step(run: Path, as_json: bool, **options: Any) -> None:
        run_step(name, run, options, as_json)

    text = f"{purpose}\n\n\b\nExample:\n  edgenas {name} runs/pi4\n"
    return click.command(name=name, help=text, epilog=EVERY_OPTION)(step)


measure = _command("measure", "Time sampled subnets as int8 on the target.")
evaluate = _command("evaluate", "Evaluate sampled subnets with inherited weights.")


@click.command(epilog=EVERY_OPTION)
@click.argument("run", type=RunPath())
@click.option(
    "--input",
    "words",
    metavar="WORDS",
    help="Write the exported networks also as files that take this input, preprocessing inside: "
    "words joined by commas of uint8 or float32, nchw or nhwc, rgb or bgr, and pixel, unit "
    "(pixel / 255) or normalized. Held against the run's own file on the validation images.",
)
@click.option(
    "--format",
    "written_as",
    type=click.Choice(["c"]),
    help="Write the exported networks also as C99 sources: integer kernels, no heap, no engine.",
)
@config_options("export")
@json_option
def export(
    run: Path, words: str | None, written_as: str | None, *, as_json: bool, **options: Any
) -> None:
    """Export the candidates of the search as int8 models.

    \b
    Examples:
      edgenas export runs/pi4
      edgenas export runs/pi4 --input uint8,nhwc,bgr
      edgenas export runs/pi4 --format c
    """
    if words is not None and written_as is not None:
        raise click.UsageError("Give --input or --format: C files take bytes as they are.")
    if written_as is not None:
        _as_c(run, options, as_json)
        return
    if words is None:
        run_step("export", run, options, as_json)
        return
    document = commands.export_fed(run, words, given(options), Bars(), **access_given(options))
    if as_json:
        emit_json(document)
        return
    for model in document["result"]:
        say(f"{run / 'models' / model['int8_file']}: {model['input_text']}")
        if model["val_accuracy"] is not None:
            say(
                f"    {model['val_accuracy']:.2%} of the validation images, fed from image files; "
                f"the run's own file {model['val_accuracy_before']:.2%}"
            )


def _as_c(run: Path, options: dict[str, Any], as_json: bool) -> None:
    document = commands.export_c(run, Bars(), **access_given(options))
    if as_json:
        emit_json(document)
        return
    for files in document["result"]:
        say(
            f"{run / 'models' / files['folder']}: flash {files['flash_bytes'] / 1e3:.0f} kB and "
            f"code, RAM {files['ram_bytes'] / 1e3:.0f} kB, {files['macs'] / 1e6:.2f} M MACs"
        )
        if files["val_accuracy"] is not None:
            say(
                f"    {files['val_accuracy']:.2%} of the validation images; the run's own file "
                f"{files['val_accuracy_before']:.2%}"
            )


@click.command(epilog=EVERY_OPTION)
@click.argument("run", type=RunPath())
@config_options("report")
@click.option(
    "--animate",
    metavar="FILE.svg",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the search as a film for a talk instead, in the order of measuring.",
)
@overwrite_option
@strict_option
@json_option
def report(
    run: Path,
    *,
    animate: Path | None,
    overwrite: bool,
    strict: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write the report, one self-contained page.

    The exit code is that of the verdict: 0 only if a network passed and nothing is newer.

    \b
    Examples:
      edgenas report runs/pi4
      edgenas report runs/pi4 --animate search.svg
    """
    if animate is not None:
        film = commands.film(run, animate, overwrite=overwrite)
        emit_json({"run": str(run), "step": "report", "film": film}) if as_json else say(film)
        return
    run_step("report", run, options, as_json, strict=strict)
