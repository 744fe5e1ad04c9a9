"""edgenas space: what can be chosen, before anything is trained or measured."""

from __future__ import annotations

from typing import Any

import click
from rich import box
from rich.table import Table

from edgenas.cli.console import Terminal
from edgenas.cli.options import SpaceName, json_option
from edgenas.cli.terminal import emit_json
from edgenas.runs import commands


@click.command()
@click.argument("name", type=SpaceName())
@click.option("--image-size", type=click.IntRange(8), default=224, show_default=True)
@click.option("--classes", type=click.IntRange(2), default=10, show_default=True)
@click.option("--channels", type=click.IntRange(1), default=3, show_default=True)
@click.option("--layers", is_flag=True, help="List every layer of the largest network.")
@json_option
def space(name: str, layers: bool, as_json: bool, **images: int) -> None:
    """Say what a search space is: its size, its layers, what engines make of it.

    NAME is that of a space, or a file that defines one: FILE.py or FILE.toml.

    \b
    Examples:
      edgenas space mbv3-tiny --image-size 32
      edgenas space mbv3-cpu --image-size 224 --layers
    """
    card = commands.space_card(name, images["classes"], images["channels"], images["image_size"])
    if as_json:
        emit_json(card)
    else:
        _show(card, layers)


def _show(card: dict[str, Any], layers: bool) -> None:
    console = Terminal()
    console.print(f"{card['name']}: {card['purpose']}")
    pixels = ", ".join(map(str, card["resolutions"]))
    console.print(f"{card['size']:.3g} architectures at {pixels} px")
    for which in ("smallest", "largest"):
        network = card[which]
        console.print(
            f"{which}: {network['macs'] / 1e6:.3g} million multiply-adds, "
            f"{network['params'] / 1e6:.3g} million params, {len(network['layers'])} layers"
        )
    for engine, obstacles in card["engines"].items():
        console.print(f"int8 on {engine}: {' '.join(obstacles) or 'all of it'}")
    if layers:
        console.print(_layers(card["largest"]["layers"]))


def _layers(layers: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE)
    table.add_column("layer", min_width=max(len(layer["name"]) for layer in layers))
    table.add_column("kind", no_wrap=True)
    for name in ("kernel", "stride", "channels", "pixels"):
        table.add_column(name, justify="right", no_wrap=True)
    for layer in layers:
        table.add_row(
            layer["name"],
            layer["kind"].replace("_", " "),
            str(layer["kernel_size"]),
            str(layer["stride"]),
            f"{layer['in_channels']} > {layer['out_channels']}",
            f"{layer['in_size']} > {layer['out_size']}",
        )
    return table
