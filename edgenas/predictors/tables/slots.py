"""Slots behind gates: columns of blocks that are only there if a stage is deep enough.

Once-for-all settings give each stage a depth, d0 to d4, and each of its slots a kernel size and an
expand ratio, ks0 to ks19; of a stage of depth 2 the third and fourth slots are not there, whatever
their cells say. A depth without a number, "decoder_layers", is the gate of the slots that go by its
first word. Which column is the gate of which is read off the names; whether slots beyond the depth
count as nothing, rows tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.core.errors import PredictorError, nearest
from edgenas.core.tables.columns import as_column

FEWEST_SLOTS = 2
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\W_]*")


@dataclass(frozen=True)
class Gates:
    """Numeric columns that count as 0 unless another is large enough.

    least : for each such column, its gate and the least value of that at which it counts.
    """

    least: dict[str, tuple[str, float]]

    @property
    def is_one(self) -> bool:
        """Whether all columns are behind one gate."""
        return len({gate for gate, _ in self.least.values()}) == 1

    def cut(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the columns, float64 [n], with 0 where a slot is not there."""
        cut = dict(columns)
        for name, (gate, least) in self.least.items():
            if name in columns and gate in columns:
                cut[name] = np.where(np.asarray(columns[gate]) >= least, columns[name], 0.0)
        return cut

    def read(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """Return a table as users give it, cut; `PredictorError` where a gate is missing."""
        needed = {gate for name, (gate, _) in self.least.items() if name in table}
        for gate in sorted(needed):
            if gate not in table:
                raise PredictorError(f"The table has no column '{gate}'.", nearest(gate, table))
        names = needed | (self.least.keys() & table.keys())
        columns = {name: as_column(table[name]) for name in names}
        if any(values.dtype.kind != "f" for values in columns.values()):
            return dict(table)  # the text among the numbers is found where they are read
        return {**table, **self.cut(columns)}

    def note(self) -> str:
        """Return in words what is cut."""
        gates = list(dict.fromkeys(gate for gate, _ in self.least.values()))
        slots = list(self.least)
        return (
            f"Of {_some(slots)}, those beyond the depth that {_some(gates)} "
            f"{'says' if len(gates) == 1 else 'say'} count as nothing."
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{names[0]}, {names[1]} … {names[-1]}"


def find(columns: Mapping[str, np.ndarray], numeric: Sequence[str]) -> Gates | None:
    """Return the gates that the names and values of the `numeric` columns tell of, or None.

    A kind of column with one number in its name and few whole values is a gate of the kinds that
    have as many slots for each of it: numbered on ("d1" of "ks4" to "ks7"), or by a first number
    ("s1_depth" of "s1_b0_k"). The greatest depth has all slots. Where there is no such kind, a
    column without a number is a gate of the kinds that begin with its first word.
    """
    kinds: dict[str, dict[tuple[int, ...], str]] = {}
    for name in numeric:
        numbers = tuple(int(x) for x in _NUMBER.findall(name))
        kinds.setdefault(_NUMBER.sub("#", name), {})[numbers] = name
    for gates in kinds.values():
        if len(gates) < FEWEST_SLOTS or any(len(numbers) != 1 for numbers in gates):
            continue
        if not all(_is_depth(columns[name]) for name in gates.values()):
            continue
        least: dict[str, tuple[str, float]] = {}
        for slots in kinds.values():
            if slots is not gates:
                least |= _behind(gates, slots, columns)
        if _is_any_cut(numbered := Gates(least), columns):
            return numbered
    single = Gates(_behind_one(kinds, columns))
    return single if _is_any_cut(single, columns) else None


def _is_any_cut(gates: Gates, columns: Mapping[str, np.ndarray]) -> bool:
    cut = gates.cut(columns)
    return any((cut[name] != columns[name]).any() for name in gates.least)


def _behind_one(
    kinds: Mapping[str, Mapping[tuple[int, ...], str]], columns: Mapping[str, np.ndarray]
) -> dict[str, tuple[str, float]]:
    """Return the gate of each slot, and the least value at which it counts, where the depth is one
    column without a number that goes up to the number of slots."""
    least: dict[str, tuple[str, float]] = {}
    for gate in [kind[()] for kind in kinds.values() if () in kind]:
        if not _is_depth(columns[gate]):
            continue
        for kind, slots in kinds.items():
            alike = _first_word(kind) == _first_word(gate)
            if alike and len(slots) == columns[gate].max() and not least.keys() & slots.values():
                least |= _behind({(): gate}, slots, columns)
    return least


def _first_word(name: str) -> str:
    return _WORD.findall(name)[0].lower()


def _is_depth(values: np.ndarray) -> bool:
    return bool(np.array_equal(values, np.round(values)) and values.min() >= 0 and np.ptp(values))


def _behind(
    gates: Mapping[tuple[int, ...], str],
    slots: Mapping[tuple[int, ...], str],
    columns: Mapping[str, np.ndarray],
) -> dict[str, tuple[str, float]]:
    """Return the gate of each of `slots` and the least value at which it counts; {} if they are
    not of these gates. Both are named by the numbers in their names."""
    stages = sorted(gates)
    each: dict[tuple[int, ...], list[str]] = {stage: [] for stage in stages}
    flat = all(len(numbers) == 1 for numbers in slots)
    if flat and len(slots) % len(stages) == 0:
        many = len(slots) // len(stages)
        for index, numbers in enumerate(sorted(slots)):
            each[stages[index // many]].append(slots[numbers])
    elif all(len(numbers) == 2 and numbers[:1] in each for numbers in slots):
        for numbers in sorted(slots):
            each[numbers[:1]].append(slots[numbers])
    places = {}
    for stage, members in each.items():
        depth = columns[gates[stage]]
        missing = len(members) - float(depth.max())
        if len(members) < FEWEST_SLOTS or missing < 0 or len(members) - np.ptp(depth) < 0:
            return {}
        for place, name in enumerate(members):
            if place + 1 > depth.min() + missing:
                places[name] = (gates[stage], place + 1 - missing)
    return places
