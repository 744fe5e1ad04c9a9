"""Values of a response that may not be what they seem: failed runs, stand-ins, other boards."""

from __future__ import annotations

import re

import numpy as np

from edgenas.core.counted import counted

FAR = 5.0  # times the greatest of the others is a number that stands for none
MOST_STAND_INS = 0.3  # of the rows
APART = 1.3  # times, of rows of one network, from which on they are said to contradict
SHARE_APART = 0.5  # of the networks with several rows
_NAMED = 3


def zeros_among_rates(name: str, values: np.ndarray) -> str:
    """Return a warning of few zeros in a response that is else well above it, "" if there is none.

    values : float64 [n], NaN where missing.
    """
    known = values[np.isfinite(values)]
    zeros, positive = int((known == 0).sum()), known[known > 0]
    if not zeros or (known < 0).any() or zeros > len(known) / 5 or not positive.size:
        return ""
    if positive.min() < 0.05 * np.median(positive):
        return ""
    row = int(np.argmax(values == 0)) + 1
    rows = counted(zeros, "row has", "rows have")
    return (
        f"{rows} {name} = 0 among values from {positive.min():.4g} on (first: row {row}): if these "
        "are failed runs, leave their cells empty."
    )


def stand_ins(name: str, values: np.ndarray) -> str:
    """Return a warning of a number that seems to stand for "no value", "" if there is none.

    It stands there several times, or is written as 999 or -1 are, and lies far from all others.
    values : float64 [n], NaN where missing.
    """
    known = values[np.isfinite(values)]
    distinct, counts = np.unique(known, return_counts=True)
    if len(distinct) < 5:
        return ""
    for value, count, others in (
        (distinct[-1], counts[-1], distinct[:-1]),
        (distinct[0], counts[0], distinct[1:]),
    ):
        written = re.fullmatch(r"-?9{3,}|-1", f"{value:.10g}") is not None
        above = value > FAR * np.abs(others).max()
        below = value < 0 <= others.min()
        few = count <= MOST_STAND_INS * len(known)
        if few and (above or below) and (written or count > 1):
            row = int(np.argmax(values == value)) + 1
            rows = counted(count, "row has", "rows have")
            return (
                f"{rows} {name} = {value:g}, far from all others (first: row {row}): if that "
                "stands for no value, leave these cells empty."
            )
    return ""


def contradictions(name: str, values: np.ndarray, network: np.ndarray) -> str:
    """Return a warning of rows that are equal but for a response far apart, "" if there are none.

    values : float64 [n], known and positive ones. network : int64 [n], equal for equal rows.
    """
    if not len(values) or values.min() <= 0:
        return ""
    order = np.argsort(network, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(network[order]) > 0])
    most = np.maximum.reduceat(values[order], starts)
    least = np.minimum.reduceat(values[order], starts)
    several = np.diff(np.r_[starts, len(values)]) > 1
    ratio = (most / least)[several]
    apart = int((ratio > APART).sum())
    if not apart or apart < SHARE_APART * several.sum():
        return ""
    return (
        f"{apart} of {int(several.sum())} networks with several rows have {name} up to "
        f"{ratio.max():.3g} times apart, and no column says why: were the boards, engines or "
        "settings the same?"
    )
