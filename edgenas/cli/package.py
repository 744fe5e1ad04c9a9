"""edgenas package: what a search needs beside a trained supernet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Table

import edgenas
from edgenas.cli.console import Terminal
from edgenas.cli.options import json_option, overwrite_option
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show import architecture
from edgenas.cli.terminal import emit_json, say


@click.command()
@click.argument("supernet", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--data", required=True, help="The images that it was trained on.")
@click.option("--evaluate", type=click.IntRange(8), default=256, help="Subnets.  [256]")
@click.option("--val-images", type=click.IntRange(2), default=500, help="To keep.  [500]")
@click.option("--test-images", type=click.IntRange(2), default=1000, help="To keep.  [1000]")
@click.option(
    "--synthetic",
    is_flag=True,
    help="Let images made from noise calibrate: none of the data set's leaves this computer. "
    "Accuracies of a search without --data are then predicted only.",
)
@click.option(
    "--note",
    default=None,
    help="What a reader of its figures must know of the images; stands on the card and in every "
    "search with it.",
)
@overwrite_option
@json_option
def package(  # noqa: PLR0917 - the command's options
    supernet: Path,
    data: str,
    evaluate: int,
    val_images: int,
    test_images: int,
    synthetic: bool,
    note: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Put beside SUPERNET what a search needs, so that it starts at once and without the images.

    That is: evaluated subnets, a card with the accuracy by size, the images that calibrate, and a
    few validation and test images to check results with. What is there already is reused.

    \b
    Examples:
      edgenas train --data imagefolder:flowers --epochs 30 -o flowers.safetensors
      edgenas package flowers.safetensors --data imagefolder:flowers
      edgenas search --supernet flowers.safetensors
      torchrun --nproc-per-node 4 --no-python edgenas package flowers.safetensors --data …
    """
    card = edgenas.package_supernet(
        supernet,
        data,
        evaluate=evaluate,
        val_images=val_images,
        test_images=test_images,
        synthetic=synthetic,
        note=note,
        overwrite=overwrite,
        progress=Bars(),
    )
    if not card:
        return  # not the first of several processes
    if as_json:
        emit_json(card)
    else:
        _show(str(supernet), card)


def _show(supernet: str, card: dict[str, Any]) -> None:
    table = Table(box=box.SIMPLE)
    for name in ("network", "MMAC", "fp32", "int8"):
        table.add_column(name, justify="left" if name == "network" else "right")
    for subnet in sorted(card["subnets"], key=lambda subnet: float(subnet["macs"])):
        table.add_row(
            architecture(subnet["architecture"]),
            f"{subnet['macs'] / 1e6:.2f}",
            f"{subnet['fp32_accuracy']:.2%}",
            f"{subnet['int8_accuracy']:.2%}",
        )
    Terminal().print(table)
    if card.get("note"):
        say(card["note"])
    say(f"on {card['subnets'][0]['n_images']} test images")
    say(f"{card['evaluated_subnets']} subnets evaluated on {card['n_val']} images")
    say(f"search with it: edgenas search --supernet {supernet}")
