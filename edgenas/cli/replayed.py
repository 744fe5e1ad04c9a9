"""What a search on a measured table prints: that it is a replay, then the candidates."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from edgenas.records import Interval, from_json
from edgenas.responses import of_column


def replay_result(document: dict[str, Any]) -> None:
    """Print the outcome of a search on a measured table."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"REPLAY: {document['provider']}; nothing was measured", style="blue")
    winner, table = document["winner"], document["table"]
    objective = document["objectives"][0]
    if winner is None:
        console.print("no network found keeps the limits when looked up", style="red")
    else:
        console.print(f"looked up: {_values(winner['looked_up'])}", markup=False)
    if table["regret"] is not None:
        best = _value(objective, table["best"]["values"][objective])
        console.print(f"best of the table within the limits: {best}", markup=False)
    console.print(_candidates(document["candidates"], document["limits"], objective))
    for number, candidate in enumerate(document["candidates"], 1):
        chosen = ", ".join(f"{name}={value}" for name, value in candidate["choices"].items())
        console.print(f"{number}: row {candidate['row']}: {chosen}", markup=False)
        for reason in candidate["reasons"]:
            console.print(f"   not kept: {reason}", markup=False)
    if document["report"]:
        console.print(f"report: {document['report']}", markup=False)


def found_result(result: dict[str, Any]) -> None:
    """Print what optimize found on a measured table."""
    Console(highlight=False, soft_wrap=True).print(
        _candidates(result["candidates"], result["limits"], result["objectives"][0])
    )


def table_card(card: dict[str, Any]) -> None:
    """Print what a measured table is."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{card['target']}: {card['provider']}", markup=False)
    words = [word for word in (card["board"], card["engine"]) if word]
    if words:
        console.print(f"measured on {', '.join(words)}", markup=False)
    console.print(
        f"{card['rows']} rows, {card['architectures']} architectures, {card['networks']} networks "
        f"of {card['combinations']:.4g} combinations of {len(card['variables'])} columns"
    )
    shown = Table(box=box.SIMPLE)
    for name in ("response", "column", "better", "networks", "least", "greatest"):
        shown.add_column(name, justify="left" if name in ("response", "column") else "right")
    for one in card["responses"]:
        name = one["name"]
        better = "more" if one["goal"] == "max" else "less"
        ends = (_value(name, one["least"]), _value(name, one["greatest"]))
        shown.add_row(name, one["column"], better, str(one["n"]), *ends)
    console.print(shown)
    for name, sha256 in card["files"].items():
        console.print(f"{name}: SHA-256 {sha256}", markup=False)


def _candidates(
    candidates: list[dict[str, Any]], limits: list[dict[str, Any]], objective: str
) -> Table:
    names = list(dict.fromkeys((objective, *(limit["response"] for limit in limits))))
    table = Table(box=box.SIMPLE)
    columns = [head for name in names for head in (f"{name} predicted", "looked up")]
    for column in ("", *columns, "kept"):
        table.add_column(column, justify="right")
    for number, one in enumerate(candidates, 1):
        cells = []
        for name in names:
            interval = from_json(one["predicted"][name], Interval, "An interval")
            value = one.get("looked_up", {}).get(name)
            cells += [_interval(name, interval), "-" if value is None else _value(name, value)]
        kept = "" if "within" not in one else "yes" if one["within"] else "no"
        table.add_row(str(number), *cells, kept)
    return table


def _values(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {_value(name, value)}" for name, value in values.items())


def _value(name: str, value: float) -> str:
    return of_column(name).shown(value)


def _interval(name: str, interval: Interval) -> str:
    if interval.lower == interval.upper:
        return "known"
    return f"{_value(name, interval.lower)} … {_value(name, interval.upper)}"
