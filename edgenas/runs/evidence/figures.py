"""Figures of a verdict held against what the evidence gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Status = Literal["follows", "differs", "unknown"]

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Check:
    """One figure: what the verdict states and what the evidence gives; None where it is not known.

    status : "unknown" when the bundle lacks what the figure rests on; `why` says what.
    """

    model: str
    figure: str
    status: Status
    stated: float | None
    replayed: float | None
    why: str = ""


def fraction(
    name: str,
    figure: str,
    stated: float | None,
    chosen: np.ndarray | None,
    right: np.ndarray | None,
) -> Check:
    """Return whether the share of images on which two classes agree is the stated one."""
    if chosen is None or right is None:
        return Check(name, figure, "unknown", stated, None, "The bundle lacks logits or labels.")
    if chosen.shape != right.shape:
        return Check(name, figure, "differs", stated, None, "Another number of images.")
    replayed = float((chosen == right).mean())
    if stated is None:
        return Check(name, figure, "differs", None, replayed, "The verdict does not state it.")
    return number(name, figure, stated, replayed)


def number(name: str, figure: str, stated: float, replayed: float, slack: float = 0.0) -> Check:
    """Return whether two numbers are the same, but for rounding and `slack`."""
    close = abs(stated - replayed) <= max(slack, _ROUNDING * abs(replayed))
    return Check(name, figure, "follows" if close else "differs", stated, replayed)
