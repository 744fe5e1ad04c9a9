"""The names that people give to the parts of a data set."""

from __future__ import annotations

import re
from typing import Literal

Part = Literal["train", "val", "test"]

# The first name of a part is taken where several are there.
NAMES: dict[Part, tuple[str, ...]] = {
    "train": ("train", "training", "trn"),
    "val": ("val", "validation", "valid", "dev", "devel", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "holdout"),
}
_PART: dict[str, Part] = {name: part for part, names in NAMES.items() for name in names}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_BEHIND = re.compile(r"(.+?)(?:set|data|images|imgs|split|folder)")


def exact_part(name: str) -> Part | None:
    """Return the part whose name this is, in any case; None if of none."""
    return _PART.get(name.lower())


def part_of(name: str) -> Part | None:
    """Return the part that one word of a name names, such as train_set or TestImages or val2017.

    None where no word does, or two name different parts.
    """
    found = set()
    for word in (match.lower() for match in _WORD.findall(name)):
        behind = _BEHIND.fullmatch(word)
        part = _PART.get(word) or (_PART.get(behind[1]) if behind else None)
        if part is not None:
            found.add(part)
    return found.pop() if len(found) == 1 else None


def rank(name: str) -> tuple[int, int, str]:
    """Return a key that sorts the folders of one part: those with its very name first."""
    part = exact_part(name)
    if part is None:
        return 1, 0, name
    return 0, NAMES[part].index(name.lower()), name
