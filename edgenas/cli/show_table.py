"""What a search on a measured table prints: that it is a replay, then the candidates."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from edgenas.cli.console import Terminal
from edgenas.cli.show_search import table_candidates
from edgenas.cli.verdicts import show_not_verified, show_reservations
from edgenas.core.counted import counted
from edgenas.core.metrics import of_column
from edgenas.core.records import Interval, from_json


def replay_result(document: dict[str, Any]) -> None:
    """Print the outcome of a search on a measured table."""
    console = Terminal()
    console.print(f"REPLAY: {document['provider']}; nothing was measured", style="blue")
    winner, table = document["winner"], document["table"]
    objective = document["objectives"][0]
    if document["status"] == "not verified":
        show_not_verified(document)
    elif winner is None:
        console.print("no network found keeps the limits when looked up", style="red")
    else:
        console.print(f"looked up: {_values(winner['looked_up'])}")
        show_reservations(document)
    if table["regret"] is not None:
        best = _value(objective, table["best"]["values"][objective])
        console.print(f"best of the table within the limits: {best}")
    metrics = (objective, *(limit["response"] for limit in document["limits"]))
    console.print(table_candidates([_candidate(x) for x in document["candidates"]], metrics))
    if document["choice"]:
        console.print(f"chosen: {document['choice']['reason']}")
    for number, candidate in enumerate(document["candidates"], 1):
        chosen = ", ".join(f"{name}={value}" for name, value in candidate["choices"].items())
        console.print(f"{number}: row {candidate['row']}: {chosen}")
        for reason in candidate["reasons"]:
            console.print(f"   not kept: {reason}")
    if document["report"]:
        console.print(f"report: {document['report']}")


def table_card(card: dict[str, Any]) -> None:
    """Print what a measured table is."""
    console = Terminal()
    console.print(f"{card['target']}: {card['provider']}")
    words = [word for word in (card["board"], card["engine"]) if word]
    if words:
        console.print(f"measured on {', '.join(words)}")
    console.print(
        f"{counted(card['rows'], 'row')}, {counted(card['architectures'], 'architecture')}, "
        f"{counted(card['networks'], 'network')} of {card['combinations']:.4g} combinations of "
        f"{counted(len(card['variables']), 'column')}"
    )
    shown = Table(box=box.SIMPLE)
    for name in ("response", "column", "better", "networks", "least", "greatest"):
        shown.add_column(name, justify="left" if name in ("response", "column") else "right")
    for response in card["responses"]:
        name = response["name"]
        better = "more" if response["goal"] == "max" else "less"
        ends = (_value(name, response["least"]), _value(name, response["greatest"]))
        shown.add_row(name, response["column"], better, str(response["n"]), *ends)
    console.print(shown)
    for name, sha256 in card["files"].items():
        console.print(f"{name}: SHA-256 {sha256}")


def _candidate(candidate: dict[str, Any]) -> tuple[dict[str, Interval], dict[str, float], str]:
    predicted = {
        name: from_json(value, Interval, "An interval")
        for name, value in candidate["predicted"].items()
    }
    kept = "winner" if candidate["winner"] else "yes" if candidate["within"] else "no"
    return predicted, candidate["looked_up"], kept


def _values(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {_value(name, value)}" for name, value in values.items())


def _value(name: str, value: float) -> str:
    return of_column(name).shown(value)
