"""Verdicts on the command line: how they are printed, and the exit code that they end in."""

from __future__ import annotations

from typing import Any

import click

from edgenas.cli.console import Terminal

FAILED_VERIFICATION = 1
RESERVED = 7
NOT_VERIFIED = 8

strict_option = click.option(
    "--strict",
    is_flag=True,
    help=f"Exit with {RESERVED} where a pass has reservations, such as passes that were rejected.",
)


def end_with(document: dict[str, Any], strict: bool = False) -> None:
    """End with the exit code of a verdict's document; return of a pass.

    1 where no network passed, 8 where something is newer than the verification, and with `strict`
    7 where a pass has reservations.
    """
    status = document.get("status")
    if status in ("fail", "error"):
        raise click.exceptions.Exit(FAILED_VERIFICATION)
    if status == "not verified":
        raise click.exceptions.Exit(NOT_VERIFIED)
    if strict and document.get("reservations"):
        raise click.exceptions.Exit(RESERVED)


def show_not_verified(document: dict[str, Any]) -> None:
    """Print why a run is not verified, and the next command."""
    console = Terminal()
    console.print(f"NOT VERIFIED: {document['run']}, as it is now", style="yellow")
    for text in document["not_verified"]:
        console.print(f"   {text}")
    console.print(f"next: {document['next_command']}")


def show_reservations(document: dict[str, Any]) -> None:
    """Print what a pass stands under."""
    for text in document["reservations"]:
        Terminal().print(f"reservation: {text}", style="yellow")
