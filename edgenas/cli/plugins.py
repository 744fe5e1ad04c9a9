"""edgenas plugins: the members of every plug-in family, with their distributions."""

from __future__ import annotations

import click
from rich import box
from rich.table import Table

from edgenas.cli.console import Terminal
from edgenas.cli.options import json_option
from edgenas.cli.terminal import emit_json
from edgenas.core import plugins as registry
from edgenas.core.contracts import CONTRACTS


@click.command()
@json_option
def plugins(as_json: bool) -> None:
    """List the plug-ins by family, with the distribution of each, and why any cannot be used.

    Plug-ins of other distributions are imported to see that they can be used.

    \b
    Examples:
      edgenas plugins
      edgenas plugins --json
    """
    rows = [
        {
            "family": member.family,
            "name": member.name,
            "distribution": member.distribution,
            "version": member.version,
            "module": member.module,
            "fault": "" if member.built_in else registry.fault(member),
        }
        for family in CONTRACTS
        for member in registry.members(family)
    ]
    if as_json:
        emit_json({"plugins": rows})
        return
    table = Table(box=box.SIMPLE)
    for title in ("family", "name", "distribution", "version"):
        table.add_column(title, no_wrap=True)
    for row in rows:
        table.add_row(*(row[key] for key in ("family", "name", "distribution", "version")))
    console = Terminal()
    console.print(table)
    for row in rows:
        if row["fault"]:
            console.print(f"cannot be used: {row['fault']}", style="red")
