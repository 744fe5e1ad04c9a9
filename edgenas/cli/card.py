"""The card of a target, as `edgenas probe` prints it."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from edgenas.cli.console import Terminal
from edgenas.cli.terminal import say

# in this order; what a card has besides comes after them
_ROWS = {
    "target": "target",
    "board": "board",
    "cpu": "processor",
    "cores": "cores",
    "machine": "architecture",
    "cpu_features": "int8 features",
    "memory_bytes": "memory",
    "free_disk_bytes": "free disk",
    "system": "system",
    "libc": "C library",
    "python": "Python",
    "governor": "governor",
    "frequency_mhz": "clock",
    "temperature_celsius": "temperature",
    "throttle_flags": "throttling",
    "sensors": "sensors",
}
_ELSEWHERE = ("problems", "engines", "offers", "engine_decision")


def card(profile: dict[str, Any]) -> None:
    """Print the JSON of a `DeviceProfile`: a table, then each problem with what mends it."""
    table = Table(box=box.SIMPLE, show_header=False)
    rows = [*_ROWS, *(name for name in profile if name not in (*_ROWS, *_ELSEWHERE))]
    for name in rows:
        if name in profile:
            table.add_row(_ROWS.get(name, name.replace("_", " ")), _shown(name, profile[name]))
    for name, offer in profile["offers"].items():
        table.add_row(f"engine {name}", engine(offer))
    Terminal().print(table)
    if profile.get("engine_decision"):
        say(profile["engine_decision"]["reason"])
    for problem in profile["problems"]:
        say(f"problem: {problem}")


def engine(offer: dict[str, str]) -> str:
    """Return in words whether an engine can be had."""
    said = []
    if offer["can_be_sent"]:
        said.append(f"{offer['can_be_sent']} can be sent")
    if offer["installed"]:
        said.append(f"{offer['installed']} is installed")
    if offer["why_not"]:
        said.append(offer["why_not"])
    return "; ".join(said)


def _shown(name: str, value: Any) -> str:
    if value is None or value == "":
        return "not known"
    if name.endswith("_bytes"):
        return f"{value / 1e9:.1f} GB"
    if name == "frequency_mhz":
        return f"{value:.0f} MHz"
    if name == "temperature_celsius":
        return f"{value:.1f} °C"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return str(value)
