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

from edgenas.core.tables.columns import as_column, factorize
from edgenas.predictors.linear import names as vocabulary
from edgenas.predictors.tables import screening
from edgenas.predictors.tables.rows import FEWEST_LABELS, MOST_TEXTS, leave_out, two_readings
from edgenas.predictors.tables.slots import Gates

_CELL = re.compile(r"(\|([^|~+]+~\d+\|)+)(\+\|([^|~+]+~\d+\|)+)+")
_BETWEEN = re.compile(r"[^0-9A-Za-z_.]+")
# A part of a text that most rows have to themselves is no choice.
MOST_DISTINCT = 0.5
MOST_ODD = 0.05  # of the rows, may be written otherwise


@dataclass(frozen=True)
class Encoded:
    """How columns were made of others.

    marks : for each column made of 0/1 columns, those; its categories are their names.
    parts : for each column made of a text, that text's column and the place of the part in it.
    gates : of slots that are not there at some depths, which then count as 0.
    """

    marks: dict[str, tuple[str, ...]]
    parts: dict[str, tuple[str, int]]
    gates: Gates | None = None

    def __post_init__(self) -> None:
        if not all(self.marks.values()):
            raise ValueError("a column of categories is made of no column")
        for name, (_, place) in self.parts.items():
            if place < 0:
                raise ValueError(f"the column '{name[:60]}' is part {place} of a text")

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that others are made of."""
        marks = (name for group in self.marks.values() for name in group)
        return tuple(dict.fromkeys([*marks, *(text for text, _ in self.parts.values())]))

    def named(self, features: Sequence[str]) -> tuple[str, ...]:
        """Return `features` with those made of others in the place of these."""
        mark_of = {x: name for name, group in self.marks.items() for x in group}
        parts = [name for name, (text, _) in self.parts.items() if text in features]
        kept = (mark_of.get(x, x) for x in features if x not in {t for t, _ in self.parts.values()})
        return tuple(dict.fromkeys((*kept, *parts)))

    def notes(self) -> list[str]:
        """Return in words what was made of what."""
        notes = [
            f"One column of categories, '{name}': {', '.join(group)}."
            for name, group in self.marks.items()
        ]
        for text in dict.fromkeys(text for text, _ in self.parts.values()):
            names = [name for name, (source, _) in self.parts.items() if source == text]
            notes.append(f"Parts of '{text}' are columns: {', '.join(names)}.")
        if self.gates is not None:
            notes.append(self.gates.note())
        return notes

    def read(self, table: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the columns of `table`, those made of others among them; sources are left out.

        Where sources are missing, so is what is made of them.
        """
        if self == PLAIN:
            return table
        sources = set(self.sources)
        columns = {name: table[name] for name in table if name not in sources}
        for name, group in self.marks.items():
            if all(x in table for x in group):
                columns[name] = _category(name, {x: as_column(table[x]) for x in group})
        split: dict[str, list[np.ndarray]] = {}
        for name, (text, place) in self.parts.items():
            if text in table:
                if text not in split:
                    split[text] = _columns(as_column(table[text]))
                there = place < len(split[text])
                columns[name] = split[text][place] if there else np.array([""] * len(table[text]))
        return columns if self.gates is None else self.gates.read(columns)


PLAIN = Encoded({}, {})


def merged(encodings: Sequence[Encoded]) -> Encoded:
    """Return what all of them make."""
    marks = {name: group for x in encodings for name, group in x.marks.items()}
    return Encoded(marks, {name: part for x in encodings for name, part in x.parts.items()})


def of_features(
    columns: Mapping[str, np.ndarray], response: str, features: Sequence[str], taken: Sequence[str]
) -> Encoded:
    """Return `find` of the columns that may be choices: none whose numbers can be read in two ways,
    and no text that names runs. `taken` : columns that are left as they are."""
    unclear = [name for name, values in columns.items() if two_readings(values)]
    taken = (response, *taken, *unclear)
    read = find(columns, features, taken)
    texts = tuple(dict.fromkeys(text for text, _ in read.parts.values()))
    known = response in columns and columns[response].dtype.kind == "f"
    if texts and known and screening.names_runs(columns, response, texts):
        return find(columns, features, (*taken, *texts))
    return read


def find(
    columns: Mapping[str, np.ndarray], names: Sequence[str], but: Sequence[str] = ()
) -> Encoded:
    """Return how those of the `columns` called `names`, () means all, are to be read, none of `but`
    among them."""
    free = {x: columns[x] for x in (names or columns) if x in columns and x not in but}
    parts = {}
    for name, values in free.items():
        if values.dtype.kind != "f" and _is_one_text(values):
            for place, part in enumerate(_names(name, values)):
                parts[part] = (name, place)
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
    groups: list[tuple[bool, tuple[str, ...]]] = []
    group: list[str] = []
    names, whole = list(marks), False
    for name, following in zip(names, [*names[1:], ""], strict=True):
        total = sum((marks[x] for x in group), marks[name])
        if total.max() > 1 or (
            whole and (marks[name].any() or not _nearer(name, group, following))
        ):
            groups.append((whole, tuple(group)))
            group, total = [], marks[name]
        group.append(name)
        whole = bool(total.min() == 1)
    groups.append((whole, tuple(group)))
    return [group for whole, group in groups if whole and len(group) > 2]


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
    """Return whether texts are mostly different, or many, but of as many parts that are not."""
    distinct = [str(text) for text in factorize(values)[1]]
    most = min(MOST_DISTINCT * len(values), MOST_TEXTS)
    if len(values) < FEWEST_LABELS or len(distinct) <= most:
        return False
    counts = {len(_split(text)) for text in distinct if text.strip()}
    if len(counts) != 1 or max(counts) < 2:
        return False
    return all(len(np.unique(part)) <= most for part in _columns(values))


def odd_rows(values: np.ndarray) -> np.ndarray:
    """Return the few rows, int64, without which a column of text is made of as many parts in each
    row; none where it is not, or is so as it stands."""
    parts = np.array([len(_split(text)) for text in values.tolist()])
    written = parts[parts > 0]
    if not written.size:
        return np.zeros(0, np.int64)
    usual = np.bincount(written).argmax()
    odd = (parts != usual) & (np.char.strip(values) != "")
    few = 0 < odd.sum() <= MOST_ODD * len(values)
    return np.flatnonzero(odd) if few and _is_one_text(values[~odd]) else np.zeros(0, np.int64)


def of_odd_rows(columns: Mapping[str, np.ndarray], left_out: Sequence[str]) -> list[str]:
    """Return a warning of each column of text that a few rows drop: without them it has parts."""
    warnings = []
    for name in left_out:
        text = name in columns and columns[name].dtype.kind != "f"
        rows = odd_rows(columns[name]) if text else np.zeros(0, np.int64)
        if said := leave_out(rows):
            shown = ", ".join(f"row {row + 1}: '{columns[name][row]}'" for row in rows[:3].tolist())
            warnings.append(
                f"'{name}' is left out because of {rows.size} of {len(columns[name])} rows, which "
                f"are written otherwise ({shown}). To read its parts, {said}."
            )
    return warnings


def _split(text: str) -> list[str]:
    if _CELL.fullmatch(text):
        return [edge.partition("~")[0] for edge in re.split(r"[|+]+", text.strip("|"))]
    return [part for part in _BETWEEN.split(text) if part]


def _columns(texts: np.ndarray) -> list[np.ndarray]:
    """Return each part of the texts, of numbers where all are; texts with fewer parts: ""."""
    codes, distinct = factorize(texts)
    split = [_split(str(text)) for text in distinct.tolist()]
    parts = []
    for place in range(max(map(len, split), default=0)):
        part = np.array([*(x[place] if place < len(x) else "" for x in split), ""])
        with contextlib.suppress(ValueError):
            blank = np.array([not x for x in split])
            numbers = np.where(blank, "nan", part[:-1]).astype(np.float64)
            part = np.append(numbers, np.nan)
        parts.append(part[codes])
    return parts


def _names(name: str, texts: np.ndarray) -> list[str]:
    """Return what the parts are called: "arch_0_2" of a cell's edge from 0 to 2, or "arch_0"."""
    first = str(texts[0])
    if not _CELL.fullmatch(first):
        return [f"{name}_{place}" for place in range(len(_split(first)))]
    nodes = enumerate(first.split("+"), 1)
    edges = [(edge.partition("~")[2], node) for node, text in nodes for edge in text.split("|")]
    return [f"{name}_{start}_{node}" for start, node in edges if start]
