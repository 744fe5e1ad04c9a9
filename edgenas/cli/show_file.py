"""What is printed of a model file that was verified."""

from __future__ import annotations

from typing import Any

from edgenas.cli.console import Terminal
from edgenas.cli.terminal import say
from edgenas.cli.verdicts import show_reservations
from edgenas.core.counted import counted


def show_verified_file(document: dict[str, Any]) -> None:
    """Print the verdict on a model file, and the figures that it stands on."""
    console, where = Terminal(), f"on {document['target']} ({document['engine']})"
    count = len(document["reservations"])
    if document["status"] == "fail":
        console.print(f"FAIL: {document['model']} {where}", style="red")
    else:
        word = f"PASS with {count} reservation{'s' if count > 1 else ''}" if count else "PASS"
        console.print(f"{word}: {document['model']} {where}", style="yellow" if count else "green")
    for text in document["reasons"]:
        say(f"   {text}")
    latency = document["outcome"]["latency"]
    if latency is not None:
        interval = latency["ci95_ms"]
        bounds = "" if interval is None else f" [{interval[0]:.4g}, {interval[1]:.4g}]"
        limit = document["limit_ms"]
        held = "" if limit is None else f", limit {limit:.4g} ms"
        say(f"latency: {latency['median_ms']:.4g} ms{bounds}{held}")
    what = "input" if document["input"] is None else "image"
    if document["accuracy"] is not None:
        say(
            f"accuracy: {percent(document['accuracy'])} % of "
            f"{counted(document['n_images'], what)}; on "
            f"this computer ({document['host_engine']}) {percent(document['host_accuracy'])} %"
        )
    if document["agreement"] is not None:
        say(
            f"parity: {document['agreement']:.1%} of the classes of "
            f"{counted(document['n_images'], what)} alike, scores "
            f"{document['mean_steps']:.2g} steps apart in the mean"
        )
    if (reference := document["reference"]) is not None:
        change = reference["change"]
        points = "" if change is None else f"{percent(change, '+')} points, "
        say(
            f"against {reference['model']}: {points}{reference['changed']:.1%} of the {what}s in "
            "another class"
        )
    show_reservations(document)


def percent(value: dict[str, float], sign: str = "") -> str:
    """Return a fraction with its interval, in percent."""
    mean, lower, upper = (100 * value[key] for key in ("mean", "lower", "upper"))
    return f"{mean:{sign}.1f} [{lower:{sign}.1f}, {upper:{sign}.1f}]"
