"""Columns that are written in another way: choices as 0/1 columns, as code numbers, as one text.

A group of 0/1 columns side by side of which each row has exactly one 1 is one column of categories
("op_0_1_conv" and "op_0_1_pool" are "op_0_1"). A text that is another one in most rows, but is made
of as many parts in each row, is a column for each part; in NAS-Bench-201's
"|conv~0|+|skip~0|pool~1|" these are the operations on the edges of a cell.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.predictors import vocabulary
from edgenas.predictors.table_columns import FEWEST_LABELS, as_column, factorize

_CELL = re.compile(r"(\|([^|~+]+~\d+\|)+)(\+\|([^|~+]+~\d+\|)+)+")
_BETWEEN = re.compile(r"[^0-9A-Za-z_.]+")
# A part of a text that most rows have to themselves is no choice.
MOST_DISTINCT = 0.5


@dataclass(frozen=True)
class Encoded:
    """How columns were made of others.

    marks : for each column made of 0/1 columns, those; its categories are their names.
    parts : for each column made of a text, that text's column and the place of the part in it.
    """

    marks: dict[str, tuple[str, ...]]
    parts: dict[str, tuple[str, int]]

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that others are made of."""
        marks = (name for group in self.marks.values() for name in group)
        return tuple(dict.fromkeys([*marks, *(text for text, _ in self.parts.values())]))

    def named(self, features: Sequence[str]) -> tuple[str, ...]:
        """Return `features` with those made of others in the place of these."""
        made = {x: name for name, group in self.marks.items() for x in group}
        parts = [name for name, (text, _) in self.parts.items() if text in features]
        kept = (made.get(x, x) for x in features if x not in {t for t, _ in self.parts.values()})
        return tuple(dict.fromkeys((*kept, *parts)))

    def notes(self) -> list[str]:
        """Return in words what was made of what."""
        found = [
            f"One column of categories, '{name}': {', '.join(group)}."
            for name, group in self.marks.items()
        ]
        for text in dict.fromkeys(text for text, _ in self.parts.values()):
            made = [name for name, (source, _) in self.parts.items() if source == text]
            found.append(f"Parts of '{text}' are columns: {', '.join(made)}.")
        return found

    def read(self, table: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the columns of `table`, those made of others among them; sources are left out.

        Where sources are missing, so is what is made of them.
        """
        if self == PLAIN:
            return table
        sources = set(self.sources)
        found = {name: table[name] for name in table if name not in sources}
        for name, group in self.marks.items():
            if all(x in table for x in group):
                found[name] = _category(name, {x: as_column(table[x]) for x in group})
        split: dict[str, list[np.ndarray]] = {}
        for name, (text, place) in self.parts.items():
            if text in table:
                if text not in split:
                    split[text] = _columns(as_column(table[text]))
                there = place < len(split[text])
                found[name] = split[text][place] if there else np.array([""] * len(table[text]))
        return found


PLAIN = Encoded({}, {})


def merged(encodings: Sequence[Encoded]) -> Encoded:
    """Return what all of them make."""
    marks = {name: group for x in encodings for name, group in x.marks.items()}
    return Encoded(marks, {name: part for x in encodings for name, part in x.parts.items()})


def find(
    columns: Mapping[str, np.ndarray], names: Sequence[str], but: Sequence[str] = ()
) -> Encoded:
    """Return how those of the `columns` called `names`, () means all, are to be read, none of `but`
    among them."""
    free = {x: columns[x] for x in (names or columns) if x in columns and x not in but}
    parts = {}
    for name, values in free.items():
        if values.dtype.kind != "f" and _is_one_text(values):
            for place, made in enumerate(_names(name, values)):
                parts[made] = (name, place)
    marks = {}
    numbers = {x: v for x, v in free.items() if v.dtype.kind == "f"}
    for group in _groups(numbers) if numbers else ():
        marks[_common(group)] = group
    taken = columns.keys() & (parts.keys() | marks.keys())
    if taken or parts.keys() & marks.keys():
        return PLAIN
    return Encoded(marks, parts)


def _category(name: str, group: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the names, without what they share, of the columns that are 1; "" if not one is."""
    values = np.column_stack(list(group.values()))
    short = [x.removeprefix(name).lstrip("_.=-: ") or x for x in group]
    texts = np.array([*short, ""])
    one = (values == 1).sum(axis=1) == 1
    return texts[np.where(one, np.argmax(values == 1, axis=1), len(short))]


def _groups(columns: Mapping[str, np.ndarray]) -> list[tuple[str, ...]]:
    """Return columns side by side of 0 and 1, three or more, one of which is 1 in each row."""
    marks = {x: v for x, v in columns.items() if np.isin(v, (0.0, 1.0)).all()}
    if not marks:
        return []
    names = list(marks)
    for block in vocabulary.block_tables(
        [vocabulary.parse(x) for x in names], np.column_stack(list(marks.values()))
    ):
        for index in block:  # counts of blocks, of which there is one in this place
            marks.pop(names[index])
    if not marks:
        return []
    found: list[tuple[bool, tuple[str, ...]]] = []
    group: list[str] = []
    names, whole = list(marks), False
    for name, following in zip(names, [*names[1:], ""], strict=True):
        total = sum((marks[x] for x in group), marks[name])
        if total.max() > 1 or (
            whole and (marks[name].any() or not _nearer(name, group, following))
        ):
            found.append((whole, tuple(group)))
            group, total = [], marks[name]
        group.append(name)
        whole = bool(total.min() == 1)
    found.append((whole, tuple(group)))
    return [group for whole, group in found if whole and len(group) > 2]


def _nearer(name: str, group: Sequence[str], following: str) -> bool:
    """Return whether a category that no row has is called like the group, not like what follows."""
    return len(_prefix([name, group[-1]])) > len(_prefix([name, following]))


def _common(names: Sequence[str]) -> str:
    """Return what the names begin with alike, up to a separator; the ends if that is nothing."""
    whole = re.match(r"(.*[^0-9A-Za-z])", _prefix(names))
    return (whole[1].rstrip("_.=-: ") if whole else "") or f"{names[0]} to {names[-1]}"


def _prefix(names: Sequence[str]) -> str:
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in alike)


def _is_one_text(values: np.ndarray) -> bool:
    """Return whether texts are mostly different, but made of as many parts that are not."""
    if len(values) < FEWEST_LABELS or len(factorize(values)[1]) <= MOST_DISTINCT * len(values):
        return False
    counts = {len(_split(text)) for text in values.tolist()}
    if len(counts) > 1 or max(counts) < 2:
        return False
    most = MOST_DISTINCT * len(values)
    return all(len(np.unique(part)) <= most for part in _columns(values))


def _split(text: str) -> list[str]:
    if _CELL.fullmatch(text):
        return [edge.partition("~")[0] for edge in re.split(r"[|+]+", text.strip("|"))]
    return [part for part in _BETWEEN.split(text) if part]


def _columns(texts: np.ndarray) -> list[np.ndarray]:
    """Return each part of the texts, of numbers where all are; texts with fewer parts: ""."""
    codes, distinct = factorize(texts)
    split = [_split(str(text)) for text in distinct.tolist()]
    found = []
    for place in range(max(map(len, split), default=0)):
        part = np.array([*(x[place] if place < len(x) else "" for x in split), ""])
        with contextlib.suppress(ValueError):
            part = np.append(part[:-1].astype(np.float64), np.nan)
        found.append(part[codes])
    return found


def _names(name: str, texts: np.ndarray) -> list[str]:
    """Return what the parts are called: "arch_0_2" of a cell's edge from 0 to 2, or "arch_0"."""
    first = str(texts[0])
    if not _CELL.fullmatch(first):
        return [f"{name}_{place}" for place in range(len(_split(first)))]
    nodes = enumerate(first.split("+"), 1)
    edges = [(edge.partition("~")[2], node) for node, text in nodes for edge in text.split("|")]
    return [f"{name}_{start}_{node}" for start, node in edges if start]
