"""Numbers of things in messages."""

from __future__ import annotations


def counted(number: int, singular: str, plural: str = "") -> str:
    """Return "1 image", or "1,200 images". plural : where it is not the singular and an s."""
    words = singular if number == 1 else plural or f"{singular}s"
    return f"{number:,} {words}"


def were(number: int) -> str:
    """Return "was" after one thing, "were" after several."""
    return "was" if number == 1 else "were"


def are(number: int) -> str:
    """Return "is" after one thing, "are" after several."""
    return "is" if number == 1 else "are"
