"""edgenas train: a supernet of its own in a file, or that of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import edgenas
from edgenas.cli.completion import RunPath
from edgenas.cli.options import (
    EVERY_OPTION,
    config_options,
    json_option,
    overwrite_option,
    refuse_others,
)
from edgenas.cli.progress_bars import Bars
from edgenas.cli.terminal import emit_json, say
from edgenas.core.errors import InputError
from edgenas.core.run_options import taken_by

# Given on the command line; else as `edgenas.supernet.settings` has it.
ALONE = ("augment", "learning_rate", "random_subnets", "qat_epochs", "ema")  # not of a run
AUGMENTATIONS = ("auto", "none", "shift", "flip", "strong")


@click.command(epilog=EVERY_OPTION)
@click.argument("run", required=False, type=RunPath())
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Train outside a run, into this file, such as supernet.safetensors.",
)
@click.option("--resume", is_flag=True, help="Go on with the interrupted training of -o.")
@click.option(
    "--augment",
    type=click.Choice(AUGMENTATIONS),
    help="With -o. auto: shift; flip too if the images have colour. strong: also colours, hidden "
    "squares, blended images, smooth labels, for long trainings.  [auto]",
)
@click.option("--learning-rate", type=float, help="With -o; at the end of the warm-up.  [0.08]")
@click.option("--random-subnets", type=int, help="With -o; in each step.  [2]")
@click.option("--qat-epochs", type=int, help="With -o; of the last, which round as int8 does.  [0]")
@click.option("--ema", type=float, help="With -o; decay of the weights' average.  [0.998]")
@config_options("train")
@overwrite_option
@json_option
def train(
    run: Path | None,
    output: Path | None,
    resume: bool,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train the supernet of a space on images.

    \b
    Examples:
      edgenas train --data imagefolder:flowers --space mbv3-tiny --epochs 30 -o flowers.safetensors
      edgenas train --data imagefolder:flowers --epochs 30 -o flowers.safetensors --resume
      torchrun --nproc-per-node 2 --no-python edgenas train --epochs 30 -o digits.safetensors
      edgenas train runs/pi4
    """
    if (run is None) == (output is None):
        raise InputError("Name a run folder, or a file with -o: one of the two.")
    if run is not None:
        from edgenas.cli.steps import run_step

        alone = [name for name in ALONE if options[name] is not None]
        if alone:
            raise InputError(
                f"--{alone[0].replace('_', '-')} is of train -o: a run trains by the usual recipe.",
                "Train with -o FILE, then: edgenas search --supernet FILE",
            )
        run_step("train", run, options, as_json)
        return
    assert output is not None
    refuse_others(options, taken_by("train -o"), "train -o")
    names = (*taken_by("train -o"), *ALONE)
    asked = {name: options[name] for name in names if options[name] is not None}
    document = edgenas.train_supernet(
        output, resume=resume, overwrite=overwrite, progress=Bars(), **asked
    )
    if not document:
        return  # not the first of several processes
    if as_json:
        emit_json(document)
    else:
        _show(document)


def _show(document: dict[str, Any]) -> None:
    report = document["report"]
    say(
        f"largest {report['largest_accuracy']:.2%}, smallest {report['smallest_accuracy']:.2%} "
        f"on {document['n_val']} validation images"
    )
    say(
        f"{report['seconds']:.0f} s on {report['device']}, {report['images_per_second']:.0f} "
        f"images/s, {report['waiting_share']:.1%} of it waiting for images"
    )
    say(f"supernet: {document['supernet']} ({document['bytes'] / 1e6:.2f} MB)")
