"""Cells: columns such as op_0_2, each the operation on an edge of a small graph, here from 0 to 2.

Three things that engines do with a graph show in what it costs: operations whose result nothing
uses are left out, so are operations on nothing, and one without weights that one input needs twice
is done once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

FEWEST_EDGES = 3
# What tables call no operation; where a table has codes, its rows tell (auto.py).
NO_OPERATION = ("none", "zero", "zeroize")
_EDGE = re.compile(r"(.*?)(\d+)(\D+)(\d+)(\D*)")


@dataclass(frozen=True)
class Cell:
    """A graph with one first and one last node, whose edges lead from lower to higher numbers.

    columns : one an edge. nothing : the category of no operation, where edges whose result nothing
    uses count as such; "" where they count as what they are. forward : edges whose input nothing
    made count as such, too.
    """

    columns: tuple[str, ...]
    nothing: str = ""
    forward: bool = False

    def cut(
        self, values: Mapping[str, np.ndarray], nothing: Mapping[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """Return the columns [n], of the edges with nothing where nothing uses their result, and
        where nothing made their input if edges are cut forwards.

        values : categories or their codes. nothing : what it is in each column; None for its name.
        """
        cleared = dict(values)
        of = nothing or dict.fromkeys(self.columns, self.nothing)
        edges = _edges(self.columns)
        used: dict[int, Any] = {max(end for _, end in edges.values()): np.True_}
        for node in sorted({start for start, _ in edges.values()}, reverse=True):
            used[node] = np.logical_or.reduce(
                [
                    (values[name] != of[name]) & used[end]
                    for name, (start, end) in edges.items()
                    if start == node
                ]
            )
        alive: dict[int, Any] = {min(start for start, _ in edges.values()): np.True_}
        for node in sorted({end for _, end in edges.values()}):
            alive[node] = np.logical_or.reduce(
                [
                    (values[name] != of[name]) & alive[start]
                    for name, (start, end) in edges.items()
                    if end == node
                ]
            )
        for name, (start, end) in edges.items() if self.nothing else ():
            live = used[end] & alive[start] if self.forward else used[end]
            cleared[name] = np.where(live, values[name], of[name])
        return cleared


def find(columns: Iterable[str]) -> Cell | None:
    """Return the cell that the columns with categories make up, or None."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in columns:
        if match := _EDGE.fullmatch(name):
            groups.setdefault((match[1], match[3], match[5]), []).append(name)
    for names in groups.values():
        edges = set(_edges(names).values())
        starts, ends = {start for start, _ in edges}, {end for _, end in edges}
        one_way = len(edges) == len(names) and all(start < end for start, end in edges)
        if len(names) >= FEWEST_EDGES and one_way and len(starts - ends) == len(ends - starts) == 1:
            return Cell(tuple(names))
    return None


def repeats(values: Mapping[str, np.ndarray], wanted: Mapping[str, Any]) -> np.ndarray:
    """Return how often an operation is asked for of an input that had it already, float64 [n].

    values : categories or their codes, of a cell's columns. wanted : the operation in each.
    """
    by_start: dict[int, list[str]] = {}
    for name, (start, _) in _edges(wanted).items():
        by_start.setdefault(start, []).append(name)
    repeated = np.zeros(len(values[next(iter(wanted))]), np.uint8)
    for names in by_start.values():
        if len(names) > 1:
            count = np.zeros(len(repeated), np.uint8)
            for name in names:
                count += values[name] == wanted[name]
            repeated += np.maximum(count, 1) - np.uint8(1)
    return repeated.astype(np.float64)


def _edges(columns: Iterable[str]) -> dict[str, tuple[int, int]]:
    matches = {name: _EDGE.fullmatch(name) for name in columns}
    return {name: (int(match[2]), int(match[4])) for name, match in matches.items() if match}
