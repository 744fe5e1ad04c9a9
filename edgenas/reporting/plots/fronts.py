"""A front in several responses, as plots take it: axes, and marks with one value an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgenas.core.metrics import ResponseKind
from edgenas.core.records import Interval


@dataclass(frozen=True)
class FrontAxis:
    """One response. scale : what its own unit is multiplied by to be shown in `unit`.

    at_most, at_least : limits, in the response's own unit.
    """

    name: str
    label: str
    unit: str
    goal: Literal["max", "min"]
    scale: float = 1.0
    at_most: float | None = None
    at_least: float | None = None

    @property
    def title(self) -> str:
        """The axis' label: arrows point to where it is better, upwards on a vertical axis."""
        unit = f" ({self.unit})" if self.unit else ""
        text = f"{self.label[:1].upper()}{self.label[1:]}{unit}"
        return f"{text}\u2003better →" if self.goal == "max" else f"← better\u2003{text}"

    def shown(self, value: float) -> float:
        """Return a value of the response in the axis' unit."""
        return self.scale * value

    def better(self, value: float, other: float) -> bool:
        """Return whether `one` is at least as good as `other`."""
        return value >= other if self.goal == "max" else value <= other


@dataclass(frozen=True)
class FrontMark:
    """One network: a value with bounds on each axis, in the responses' own units; hover text.

    network : by which the same network is known in other plots; "" for none.
    """

    values: tuple[Interval, ...]
    tip: str
    network: str = ""


@dataclass(frozen=True)
class FrontData:
    """What the plots of a front show; every part but `axes` may be empty.

    front : the trade-offs that were found, as predicted or as looked up. true_front : those that
    exist, where a table tells. verified : candidates as measured, `winner` the one that won, and
    `failed` those that broke a limit. measured : other networks that were measured. moved : the
    response whose limit the page moves; "" for none.
    """

    axes: tuple[FrontAxis, ...]
    front: tuple[FrontMark, ...] = ()
    true_front: tuple[FrontMark, ...] = ()
    measured: tuple[FrontMark, ...] = ()
    verified: tuple[FrontMark, ...] = ()
    failed: tuple[FrontMark, ...] = ()
    winner: FrontMark | None = None
    front_name: str = "predicted front"
    measured_name: str = "measured"
    verified_name: str = "verified"
    moved: str = ""

    @property
    def marks(self) -> tuple[FrontMark, ...]:
        """Every mark."""
        won = () if self.winner is None else (self.winner,)
        parts = (self.front, self.true_front, self.measured, self.verified, self.failed, won)
        return tuple(mark for part in parts for mark in part)


def axis(
    kind: ResponseKind,
    greatest: float,
    at_most: float | None = None,
    at_least: float | None = None,
) -> FrontAxis:
    """Return the axis of a response whose values reach `greatest`, in a unit that suits them."""
    unit, scale = kind.unit, 1.0
    if kind.unit == "fraction":
        unit, scale = "%", 100.0
    elif kind.unit in ("bytes", ""):
        for divisor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if greatest >= divisor:
                words = {"G": "billion", "M": "million", "k": "thousand"}
                unit = f"{prefix}B" if kind.unit == "bytes" else words[prefix]
                scale = 1 / divisor
                break
    goal: Literal["max", "min"] = kind.goal or "min"
    return FrontAxis(kind.name, kind.label, unit, goal, scale, at_most, at_least)


def pair_front(
    marks: Sequence[FrontMark], axes: Sequence[FrontAxis], i: int, j: int
) -> list[FrontMark]:
    """Return the marks that no other dominates in the axes i and j alone, by rising value of i."""
    signs = [-1.0 if axes[k].goal == "max" else 1.0 for k in (i, j)]

    def costs(mark: FrontMark) -> tuple[float, float]:
        return signs[0] * mark.values[i].mean, signs[1] * mark.values[j].mean

    kept: list[FrontMark] = []
    for mark in sorted(marks, key=costs):
        if not kept or costs(mark)[1] < costs(kept[-1])[1]:
            kept.append(mark)
    return sorted(kept, key=lambda mark: mark.values[i].mean)
