"""edgenas grow: a network grown towards its limits, held against other ways to that size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import click
from rich import box
from rich.table import Table

from edgenas.cli.completion import RunPath, complete_data
from edgenas.cli.console import Terminal
from edgenas.cli.options import (
    MILLIJOULES,
    MILLISECONDS,
    SECONDS,
    Command,
    access_given,
    access_options,
    given,
    is_model,
    json_option,
    preprocessing_options,
    refuse_others,
    run_option,
    space_file_option,
)
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show import search_result
from edgenas.cli.terminal import emit_json
from edgenas.cli.verdicts import end_with, strict_option
from edgenas.core.errors import InputError
from edgenas.core.records.growth import Start
from edgenas.runs import commands

# Of the run that a MODEL begins, and of the model itself.
_OF_A_RUN = (*("fit", "target", "engine", "samples", "evaluate", "top", "batch_size", "seed"),)
_OF_A_MODEL = ("mean", "std", "labels", "shape", "out")


def _run_options(command: Command) -> Command:
    for name in reversed(_OF_A_RUN):
        command = run_option(name)(command)
    return command


@click.command()
@click.argument("what", metavar="RUN|MODEL", type=RunPath(or_file=True))
@click.option(
    "--max-latency",
    "max_latency_ms",
    type=MILLISECONDS,
    help="How slow it may get, such as 2ms.  [the run's limit]",
)
@click.option(
    "--max-energy",
    "max_energy_mj",
    type=MILLIJOULES,
    help="How much energy an inference may take, such as 2mJ, where the target measures it.",
)
@click.option(
    "--from",
    "start",
    type=click.Choice(get_args(Start)),
    help="What grows of a run: the network that passed, the smallest of the space, or the one that "
    "was imported, with its own weights.  [winner, imported of a MODEL]",
)
@click.option("--epochs", type=click.IntRange(1), help="Of training, for each way.  [by data set]")
@click.option(
    "--time", "time_s", type=SECONDS, help="That all ways may take, such as 10m: plans --epochs."
)
@click.option(
    "--data",
    shell_complete=complete_data,
    help="Labelled images of a MODEL's classes: imagefolder:DIR or hf:NAME.",
)
@_run_options
@preprocessing_options
@click.option("--shape", help="Of a MODEL's input, where the file leaves it open: 3x224x224.")
@click.option("--out", type=RunPath(), help="A new run folder for a MODEL.  [runs/TIME]")
@access_options
@space_file_option
@strict_option
@json_option
def grow(
    what: Path,
    *,
    max_latency_ms: float | None,
    max_energy_mj: float | None,
    start: Start | None,
    epochs: int | None,
    time_s: float | None,
    strict: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Grow a network towards the limits by splitting channels, and keep the best way there.

    In three rounds the channels whose splitting lowers the loss most for what they cost on the
    board are split, blocks are added where that gains more, and the network is trained on. Beside
    it, for the same epochs: the same shape from nothing, the network widened alike everywhere from
    nothing, and a wider subnet pruned. The best on the validation images goes through search,
    export and verification as any candidate, and the result says which it was.

    A MODEL is a float ONNX file of yours with a classifier for the classes of --data. It becomes
    the smallest network of a space of its own, whose blocks have up to twice its hidden channels.
    A search is made in that space, and then it grows with its own weights.

    Where the images are at hand, training the final shape from nothing is better at every limit
    measured: on 4,000 images of CIFAR-10 (recompressed as JPEG), 9 epochs, growing the smallest
    network gets 44 %, its shape from nothing 50 %, and 55 % in the seconds that growing takes; on
    717 photographs, 30 epochs, 67 and 74 %. Growing is for a network that passed faster than its
    limit, or that may not be trained from nothing, and is to be larger after a few epochs.

    \b
    Examples:
      edgenas grow runs/flowers --max-latency 5ms
      edgenas grow runs/flowers --max-energy 2mJ --time 20m
      edgenas grow runs/flowers --max-latency 3ms --from smallest --epochs 12
      edgenas grow model.onnx --data imagefolder:flowers --max-latency 5ms --out runs/larger
    """
    if epochs is not None and time_s is not None:
        raise InputError("--epochs and --time both say how long to train.", "Leave one out.")
    limits = {"max_latency_ms": max_latency_ms, "max_energy_mj": max_energy_mj}
    trained = {"epochs": epochs, "time_s": time_s, **access_given(options)}
    if is_model(what):
        document = _model(what, limits, start, options, trained)
    else:
        own = [name for name in _OF_A_MODEL if options[name] is not None]
        if own:
            raise InputError(f"--{own[0]} is of a model file.", "Leave it out.")
        refuse_others(options, (), "growing what a run holds")
        document = commands.grow(what, limits, Bars(), start=start or "winner", **trained)
    if as_json:
        emit_json(document)
    else:
        search_result(document)
        _show(document["growth"])
    end_with(document, strict)


def _model(
    model: Path,
    limits: Mapping[str, float | None],
    start: Start | None,
    options: Mapping[str, Any],
    trained: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what growing a model file came to, in a new run."""
    asked = given(dict(options))
    if start not in (None, "imported"):
        raise InputError(f"--from {start} is of a run, not of a model file.", "Leave it out.")
    if "data" not in asked:
        raise click.UsageError("Name the images of the network's classes: --data imagefolder:DIR")
    if (most_ms := limits["max_latency_ms"]) is not None:
        asked["max_latency_ms"] = most_ms
    if (most_mj := limits["max_energy_mj"]) is not None:
        asked["constraints"] = (f"energy_mj<={most_mj:g}mJ",)
    if not any(limits.values()):
        raise InputError(
            "Nothing says how far the network may grow.", "Give a limit: --max-latency 2ms"
        )
    path = commands.run_path(options["out"], resume=False)
    bars = Bars()
    bars.message(f"run folder: {path}")
    preprocessing = {name: options[name] for name in ("mean", "std", "fit", "labels")}
    return commands.grow_model(
        model,
        path,
        asked,
        bars,
        shape=options["shape"],
        preprocessing=preprocessing,
        **trained,
    )


def _show(growth: Mapping[str, Any]) -> None:
    """Print each way with what it came to, and what follows."""
    table = Table(title="Ways to that size", title_justify="left", box=box.SIMPLE)
    for name in ("way", "accuracy", "upper bound ms", "epochs", "seconds"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for contender in growth["contenders"]:
        answers = contender["answers"]
        table.add_row(
            contender["way"],
            f"{answers['right'] / answers['n_images']:.2%}",
            f"{contender['latency_ms']['upper']:.4g}",
            str(contender["epochs"]),
            f"{contender['seconds']:.0f}",
        )
    console = Terminal()
    console.print(table)
    for sentence in growth["says"]:
        console.print(sentence)
