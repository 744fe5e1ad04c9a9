"""What int8 costs the winner and each of its layers, on the terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from edgenas.cli.console import Terminal
from edgenas.cli.show import WIDEST

COLUMNS = ("own output", "logits", "of the noise", "changed", "points lost")


def show(console: Terminal, int8: dict[str, Any] | None, layers: bool) -> None:
    """Print the sentences; with `layers` the table of all layers, in the order of computation."""
    if int8 is None:
        if layers:
            console.print("What int8 costs each layer is not known before edgenas verify.")
        return
    for sentence in int8["says"]:
        console.print(sentence)
    if layers:
        Terminal(width=WIDEST).print(_table(int8))


def _table(int8: dict[str, Any]) -> Table:
    from edgenas.core.records import Int8Layers, from_json
    from edgenas.reporting.words.int8_layers import kind_of_images, row

    extra = ("noise_shares", "says")
    record = {name: value for name, value in int8.items() if name not in extra}
    costs = from_json(record, Int8Layers, "What int8 costs each layer")
    title = (
        f"One layer in int8, the others float, on {costs.n_images} {kind_of_images(costs)} images"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    for column in ("layer", "kind"):
        table.add_column(column, no_wrap=True)
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for layer in costs.layers:
        table.add_row(*row(layer, costs))
    return table
