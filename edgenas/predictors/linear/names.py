"""What column names tell: the same quantity in another place, and tables of block counts.

Names are read by their parts between "_", "." and the like. In "se_e4_k5_112_I" the part 112 is a
place and e4, k5 are attributes; such columns of mostly zero whole numbers are a block table: how
many blocks with expand ratio 4 and kernel size 5 place 112 has. "avg_e_80" and "stage2.moved_kb"
are quantities in a place. Nothing else is known about a table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.predictors import definite
from edgenas.predictors.linear.shrinkage import Level

# How far, in places, coefficients are alike; halving or doubling it changes errors by under 3 %.
PLACE_LENGTH = 2.0
_PARTS = re.compile(r"([^0-9A-Za-z]+)")
_UNIT = re.compile(r"\s*[(\[][^\d()\[\]]*[)\]]$")
_LABELLED = re.compile(r"([A-Za-z]+)(\d+)")


@dataclass(frozen=True)
class Name:
    """A column name taken apart.

    kind : the name with "#" for its numbers. role : kind without its first part if it has
    attributes, so that blocks that differ by place in their first part count as alike.
    """

    text: str
    kind: str
    role: str
    place: int | None
    labels: tuple[str, ...]
    attributes: tuple[int, ...]


@dataclass(frozen=True)
class Quantity:
    """A sum over columns, in one place. weights : float64 [p]; spread : its standard deviation."""

    name: str
    role: str
    place: int
    weights: np.ndarray
    spread: float


def parse(text: str) -> Name:
    """Take one column name apart; a unit in brackets at its end ("Res (px)") is none of it."""
    parts = _PARTS.split(_UNIT.sub("", text))
    labelled = [_LABELLED.fullmatch(part) for part in parts]
    lone = [index for index, part in enumerate(parts) if part.isdigit()]
    inside = [index for index, match in enumerate(labelled) if match]
    at = lone[-1] if lone else inside[0] if inside else None
    place = None if at is None else int(re.sub(r"\D", "", parts[at]))
    attributes = [match for index, match in enumerate(labelled) if match and index != at]
    kind = "".join(
        "#" if part.isdigit() else f"{match[1]}#" if match else part
        for part, match in zip(parts, labelled, strict=True)
    )
    role = kind.partition("_")[2] if attributes and not labelled[0] else kind
    labels = tuple(match[1].lower() for match in attributes)
    return Name(text, kind, role, place, labels, tuple(int(match[2]) for match in attributes))


def block_tables(names: Sequence[Name], matrix: np.ndarray) -> list[list[int]]:
    """Return the column indices of each block table (one kind in one place) of rows [n, p]."""
    groups: dict[tuple[str, int | None], list[int]] = {}
    for index, name in enumerate(names):
        if name.attributes:
            groups.setdefault((name.kind, name.place), []).append(index)
    found = []
    for members in groups.values():
        values = matrix[:, members]
        counts = (values >= 0).all() and (values == np.round(values)).all()
        if len(members) > 2 and counts and np.mean(values == 0) > 0.5:
            found.append(members)
    return found


def quantities(names: Sequence[Name], matrix: np.ndarray, work: bool) -> list[Quantity]:
    """Return the quantities that vary: columns as they are, block tables by their moments.

    work : moments are blocks, widths and work (what costs); else blocks and each attribute.
    Columns that only repeat the moments of a block table are left out.
    """
    tables = block_tables(names, matrix)
    known = _derivable(names, tables, matrix)
    found = []
    for index in sorted(set(range(len(names))) - {i for table in tables for i in table}):
        if not np.any(np.all(np.abs(known - matrix[:, index]) < 1e-6, axis=1)):
            weights = np.zeros(len(names))
            weights[index] = 1.0
            found.append((names[index].text, names[index].role, names[index].place, weights))
    for table in tables:
        blocks = [names[index] for index in table]
        for label, values in (_work(blocks) if work else _mains(blocks)).items():
            weights = np.zeros(len(names))
            weights[table] = values
            text = blocks[0].kind.replace("#", "*") + f" at {blocks[0].place}"
            found.append(
                (f"{label} of {text}", f"{blocks[0].role} {label}", blocks[0].place, weights)
            )
    return [
        Quantity(name, role, place or 0, weights, spread)
        for name, role, place, weights in found
        if (spread := varies(matrix @ weights)) > 0
    ]


def levels(terms: Sequence[str], matrix: np.ndarray, by_role: bool = False) -> tuple[Level, ...]:
    """Return the levels that the names of `terms` [p] give for rows `matrix` [n, p].

    "shared": a quantity counts the same in every place; "smooth": alike in neighbouring places;
    "own": by place. For block tables also "blocks alike" (similar attributes) and "blocks".

    by_role : each role has such levels of its own, so that a resolution may count for more than
        each of forty kernel sizes.
    """
    names = [parse(term) for term in terms]
    members = quantities(names, matrix, work=True)
    if by_role:
        found = []
        for role in dict.fromkeys(member.role for member in members):
            group = places([member for member in members if member.role == role])
            found += [Level(f"{level.name} {role}", level.root) for level in group]
    else:
        found = places(members)
    tables = [[i for i in table if varies(matrix[:, i])] for table in block_tables(names, matrix)]
    columns = [index for table in tables for index in table]
    if columns:
        alike = np.zeros((len(names), len(columns)))
        alike[columns, np.arange(len(columns))] = 1.0
        roots = [_alike([names[index] for index in table]) for table in tables if table]
        found.append(Level("blocks alike", alike @ _block_diagonal(roots)))
        found.append(Level("blocks", alike))
    return tuple(found)


def places(members: Sequence[Quantity]) -> list[Level]:
    """Return the levels "own", "shared" and "smooth" of quantities."""
    if not members:
        return []
    own = np.column_stack([member.weights / member.spread for member in members])
    shared, smooth = [], []
    for role in dict.fromkeys(member.role for member in members):
        group = [member for member in members if member.role == role]
        if len(group) > 1:
            weights = np.column_stack([member.weights for member in group])
            pooled = np.sqrt(np.mean([member.spread**2 for member in group]))
            shared.append(weights.sum(axis=1) / pooled)
            smooth.append(weights @ _along([member.place for member in group]) / pooled)
    if not shared:
        return [Level("own", own)]
    return [
        Level("own", own),
        Level("shared", np.column_stack(shared)),
        Level("smooth", np.hstack(smooth)),
    ]


def varies(values: np.ndarray) -> float:
    """Return the standard deviation, 0.0 where it is only rounding."""
    spread = float(values.std())
    return spread if spread > 1e-9 * float(np.abs(values).max(initial=1e-300)) else 0.0


def _mains(blocks: Sequence[Name]) -> dict[str, np.ndarray]:
    values = np.array([block.attributes for block in blocks], float)
    return {"n": np.ones(len(blocks)), **dict(zip(blocks[0].labels, values.T, strict=True))}


def _work(blocks: Sequence[Name]) -> dict[str, np.ndarray]:
    """A convolution's work is linear in its widths and quadratic in its kernel size, called k."""
    mains = _mains(blocks)
    kernels = [label for label in mains if label.startswith("k")]
    widths = {label: values for label, values in mains.items() if label not in kernels}
    work = np.prod([*widths.values(), *(mains[label] ** 2 for label in kernels)], axis=0)
    return {**widths, "work": work}


def _derivable(
    names: Sequence[Name], tables: Sequence[list[int]], matrix: np.ndarray
) -> np.ndarray:
    """Return what other columns may only repeat of block tables: sums and means, [m, n]."""
    sums: dict[tuple[object, ...], dict[str, np.ndarray]] = {}
    for table in tables:
        blocks = [names[index] for index in table]
        for label, values in _mains(blocks).items():
            for key in ((blocks[0].role, blocks[0].place), (blocks[0].place,), ()):
                group = sums.setdefault(key, {})
                group[label] = group.get(label, 0.0) + matrix[:, table] @ values
    found = [np.zeros((0, matrix.shape[0]))]
    for group in sums.values():
        found += [values := np.stack(list(group.values()))]
        found += [values / np.maximum(group["n"], 1e-9)]
    return np.vstack(found)


def _along(numbers: Sequence[int]) -> np.ndarray:
    """Return a root of the correlation along places, by their rank, float64 [m, m]."""
    rank = np.unique(numbers, return_inverse=True)[1]
    return _root(np.exp(-0.5 * ((rank[:, None] - rank[None]) / PLACE_LENGTH) ** 2))


def _alike(blocks: Sequence[Name]) -> np.ndarray:
    """Return a root of the correlation of the blocks of one table, float64 [m, m]."""
    values = np.log1p(np.array([block.attributes for block in blocks], float))
    values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9)
    return _root(np.exp(-0.5 * ((values[:, None] - values[None]) ** 2).sum(axis=2)))


def _block_diagonal(roots: Sequence[np.ndarray]) -> np.ndarray:
    from scipy.linalg import block_diag

    return np.asarray(block_diag(*roots))


def _root(correlation: np.ndarray) -> np.ndarray:
    return definite.factor(correlation + 1e-8 * np.eye(len(correlation)), "correlation of places")
