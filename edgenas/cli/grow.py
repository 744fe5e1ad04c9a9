"""edgenas grow: a run's network grown towards its limits, held against other ways to that size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import click
from rich import box
from rich.table import Table

from edgenas.cli.completion import RunPath
from edgenas.cli.console import Terminal
from edgenas.cli.options import (
    MILLIJOULES,
    MILLISECONDS,
    SECONDS,
    access_given,
    access_options,
    json_option,
    space_file_option,
)
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show import search_result
from edgenas.cli.terminal import emit_json
from edgenas.cli.verdicts import end_with, strict_option
from edgenas.core.errors import InputError
from edgenas.core.records.growth import Start
from edgenas.runs import commands


@click.command()
@click.argument("run", type=RunPath())
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
    default="winner",
    show_default=True,
    help="What grows: the network that passed, or the smallest of the space.",
)
@click.option("--epochs", type=click.IntRange(1), help="Of training, for each way.  [by data set]")
@click.option(
    "--time", "time_s", type=SECONDS, help="That all ways may take, such as 10m: plans --epochs."
)
@access_options
@space_file_option
@strict_option
@json_option
def grow(
    run: Path,
    *,
    max_latency_ms: float | None,
    max_energy_mj: float | None,
    start: Start,
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

    Where the images are at hand, training the final shape from nothing is better: on 4,000 images
    of CIFAR-10 (recompressed as JPEG), 9 epochs, growing the smallest network gets 43 %, its shape
    from nothing 50 %, the pruned network 50 %; on 717 photographs, 30 epochs, 67, 74 and 74 %. It
    is for a network that passed faster than its limit and is to be larger after a few epochs.

    \b
    Examples:
      edgenas grow runs/flowers --max-latency 5ms
      edgenas grow runs/flowers --max-energy 2mJ --time 20m
      edgenas grow runs/flowers --max-latency 3ms --from smallest --epochs 12
    """
    if epochs is not None and time_s is not None:
        raise InputError("--epochs and --time both say how long to train.", "Leave one out.")
    document = commands.grow(
        run,
        {"max_latency_ms": max_latency_ms, "max_energy_mj": max_energy_mj},
        Bars(),
        start=start,
        epochs=epochs,
        time_s=time_s,
        **access_given(options),
    )
    if as_json:
        emit_json(document)
    else:
        search_result(document)
        _show(document["growth"])
    end_with(document, strict)


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
