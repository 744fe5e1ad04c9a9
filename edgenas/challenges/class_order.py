"""The order in which a judge counts classes, against that of a network's scores: by their names."""

from __future__ import annotations

from collections.abc import Sequence

from edgenas.core.errors import InputError

_MOST_NAMED = 5


def class_order(own: Sequence[str], wanted: Sequence[str], who: str) -> tuple[int, ...]:
    """Return for each class of `wanted` which class of `own` it is.

    Names are the same where they differ in capital letters only, or in "_", "-" and spaces.
    who : whose classes are `wanted`, for the message.

    Raises
    ------
    InputError : the two do not name the same classes, or one names a class twice.
    """
    place = {plain_name(name): number for number, name in enumerate(own)}
    names = {plain_name(name) for name in wanted}
    lacks = [name for name in wanted if plain_name(name) not in place]
    more = [name for name in own if plain_name(name) not in names]
    if lacks or more or len(place) < len(own):
        raise InputError(
            f"The classes are not those of {who}: {_named('missing', lacks)}, "
            f"{_named('not among them', more)}.",
            "Name the classes' folders as the judge does, and search again.",
        )
    return tuple(place[plain_name(name)] for name in wanted)


def plain_name(name: str) -> str:
    """Return a class's name as it is compared: without capitals, "_" and "-" as spaces."""
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


def _named(what: str, names: Sequence[str]) -> str:
    if not names:
        return f"none {what}"
    rest = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{what} {', '.join(repr(name) for name in names[:_MOST_NAMED])}{rest}"
