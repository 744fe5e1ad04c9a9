"""Categories whose names say what they are: "k3_e6", "mbconv_5x5_e3_se".

Such a name is numbers and flags: a kernel size, an expand ratio, whether there is attention. A
category then costs what its numbers say, in its column and in all, besides what it costs by itself;
whether that helps, rows tell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from edgenas.predictors.linear.shrinkage import Level
from edgenas.predictors.tables.main_terms import Vocabulary

LEVEL = "codes"
# Columns within so many of each other cost alike.
ALONG = 3.0
# No operation is described by no number and no flag.
_NOTHING = {"none", "zero", "skip", "identity", "id"}
# Categories from which on numbers in their names can be told from chance.
FEWEST_CATEGORIES = 4
_PART = re.compile(r"([A-Za-z]*)(\d+(?:\.\d+)?)(?:x(\d+))?([A-Za-z]*)")
_BETWEEN = re.compile(r"[^0-9A-Za-z.]+")


def attributes(texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Return numbers and flags by name, float64 [n] each, of the categories `texts`, 0 where one
    has none; {} if fewer than two categories in three have numbers, or none of them varies."""
    numbers = [_numbers(text) for text in texts]
    coded = sum(any(name[:1] == "#" for name in named) for named in numbers)
    if len(texts) < FEWEST_CATEGORIES or 3 * coded < 2 * len(texts):
        return {}
    names = dict.fromkeys(name for named in numbers for name in named)
    by_name = {name: np.array([named.get(name, 0.0) for named in numbers]) for name in names}
    varied = {name: values for name, values in by_name.items() if np.ptp(values) > 0}
    return varied if any(name[:1] == "#" for name in varied) else {}


def add(vocabulary: Vocabulary) -> Vocabulary | None:
    """Return it with levels of what the names of categories say, None if they say nothing.

    By column, shared by all columns, and alike in neighbouring ones.
    """
    marks = [index for index, atom in enumerate(vocabulary.atoms) if atom.kind == "is"]
    texts = list(dict.fromkeys(vocabulary.atoms[index].category for index in marks))
    known = attributes(texts)
    if not known:
        return None
    values = _features(known)
    values = values[[texts.index(vocabulary.atoms[index].category) for index in marks]]
    columns = list(dict.fromkeys(vocabulary.atoms[index].columns[0] for index in marks))
    place = np.array([columns.index(vocabulary.atoms[index].columns[0]) for index in marks])
    each = np.eye(len(columns))[place]  # [marks, columns]
    own = (each[:, :, None] * values[:, None]).reshape(len(marks), -1)
    roots = {LEVEL: own}
    if len(columns) > 1:
        distance = np.arange(len(columns))[:, None] - np.arange(len(columns))
        along = np.linalg.cholesky(
            np.exp(-0.5 * (distance / ALONG) ** 2) + 1e-8 * np.eye(len(columns))
        )
        roots["codes, smooth along columns"] = (
            (each @ along)[:, :, None] * values[:, None]
        ).reshape(len(marks), -1)
        roots["codes, shared by columns"] = values
    levels = []
    for name, root in roots.items():
        whole = np.zeros((len(vocabulary.atoms), root.shape[1]))
        whole[marks] = root
        levels.append(Level(name, whole))
    return vocabulary.and_also_levels(levels)


def _features(known: dict[str, np.ndarray]) -> np.ndarray:
    """Return standardised attributes and their products [n, f]: work is a kernel's area times a
    width."""
    numbers = [values for name, values in known.items() if name[:1] == "#"]
    products = [*known.values(), *(np.square(values) for values in numbers)]
    products += [first * second for first, second in combinations(known.values(), 2)]
    products += [first * np.square(second) for first in numbers for second in numbers]
    values = np.column_stack([x for x in products if np.ptp(x) > 0])
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    return np.unique(values.round(9), axis=1)


def _numbers(text: str) -> dict[str, float]:
    """Return what one category says: "#e": 6 of "e6", "#x": 3 of "3x3", "se": 1 of "se"."""
    by_name: dict[str, float] = {}
    for part in _BETWEEN.split(text):
        match = _PART.fullmatch(part)
        if match is None:
            if part and part.lower() not in _NOTHING:
                by_name[part.lower()] = 1.0
            continue
        square = match[3] is not None
        name = (match[1] or match[4]).lower() or ("x" if square else "")
        while f"#{name}" in by_name:
            name += "'"
        by_name[f"#{name}"] = float(match[2])
    return by_name
