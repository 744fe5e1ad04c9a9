"""What `edgenas explain` shows of a table's predictor."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from edgenas.cli.console import Terminal

MOST_SHARES = 8


def show(console: Terminal, report: dict[str, Any]) -> None:
    """Print shares, doubtful columns and a row's parts of a table's report; the rest is the same
    for runs."""
    if report.get("importance"):
        table = Table(
            title=f"Share of the variance of predicted {report['label']}",
            title_justify="left",
            box=box.SIMPLE,
        )
        table.add_column("column")
        table.add_column("share", justify="right")
        table.add_column("95% interval", justify="right")
        follows = {derived["column"]: derived["causes"] for derived in report["derived"]}
        for share in report["importance"][:MOST_SHARES]:
            name = " with ".join(share["columns"])
            if name in follows:
                name += f" (of {', '.join(follows[name])})"
            interval = f"{share['lower']:.1%} … {share['upper']:.1%}"
            table.add_row(name, f"{share['share']:.1%}", interval)
        console.print(table)
    if report.get("doubtful"):
        factors = [
            "not defined" if column["vif"] is None else f"{column['vif']:.0f}"
            for column in report["doubtful"]
        ]
        named = ", ".join(
            f"{column['column']} ({factor})"
            for column, factor in zip(report["doubtful"], factors, strict=True)
        )
        console.print(
            f"Rows hardly tell apart what these do (variance inflation factors): {named}. Their "
            "effects are of all of them together."
        )
    if "decomposition" in report:
        _rows(console, report)


def _rows(console: Terminal, report: dict[str, Any]) -> None:
    told = report["decomposition"]
    rows, start = told["rows"], "the mean of the measured rows"
    if len(rows) == 2:
        start = f"row {rows[0]}"
    title = f"From {start} to row {rows[-1]} of {told['table']}, predicted {report['label']}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    table.add_column("part")
    table.add_column("times" if told["multiplied"] else "adds", justify="right")
    table.add_row(start, f"{told['start']:.5g}")
    for part in told["parts"]:
        value = part["adds"]
        table.add_row(part["column"], f"{value:.4g}" if told["multiplied"] else f"{value:+.4g}")
    table.add_row("product" if told["multiplied"] else "sum", f"{told['prediction']:.5g}")
    console.print(table)
