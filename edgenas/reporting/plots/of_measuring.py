"""The measurement itself: what each pass took, in order, with those that were rejected."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from edgenas.core.records import Interval, Latency, Measurement
from edgenas.reporting.plots.kinds import LOOKS, Mark, Series, draw_series
from edgenas.reporting.plots.marks import Axes, span
from edgenas.reporting.plots.plot import INK, Plot
from edgenas.reporting.words import numbers

MOST_PASSES = 400  # that are drawn; others are left out evenly
KEPT, REJECTED = "one network in one pass", "rejected, with its reason"


def passes(measurements: Sequence[Measurement]) -> Plot | None:
    """Draw by how much each network's median of a pass is off its median of all, pass by pass.

    The samples of rejected passes are not kept: these stand on zero. None where nothing was timed.
    """
    timed = [(one, one.outcome.latency) for one in measurements if one.outcome.latency]
    kept = [mark for one, latency in timed for mark in _kept(str(one.architecture), latency)]
    rejected = [
        _mark(str(one.architecture), number, 0.0, f"rejected: {why}")
        for one, latency in timed
        for number, why in latency.rejected
    ]
    if not kept:
        return None
    kept, rejected = _thinned(kept), _thinned(rejected)
    marks = [*kept, *rejected]
    across = span("Pass, in the order of measuring", [mark.x.mean for mark in marks])
    up = span("Off the network's median (%)", [0.0, *(mark.y.mean for mark in marks)])
    axes = Axes(across, up, 560, 240)
    axes.at_y(0, INK)
    looks = {KEPT: LOOKS["known"]} | ({REJECTED: LOOKS["failed"]} if rejected else {})
    series = [Series(KEPT, "known", tuple(kept)), Series(REJECTED, "failed", tuple(rejected))]
    draw_series(axes, [one for one in series if one.marks], looks)
    return Plot("passes", axes.chart())


def _thinned(marks: list[Mark]) -> list[Mark]:
    step = max(1, -(-len(marks) // MOST_PASSES))
    return marks[::step]


def _kept(network: str, latency: Latency) -> list[Mark]:
    """Return the passes that count; their numbers are those that were not rejected."""
    out = set() if latency.stands_on_rejected else {number for number, _ in latency.rejected}
    n_all = len(latency.samples_ns) + len(out)
    known = [number for number in range(n_all + max(out, default=0) + 1) if number not in out]
    marks = []
    for number, samples, drift in zip(known, latency.samples_ns, latency.drift, strict=False):
        median_ms = statistics.median(samples) / drift / 1e6
        off = 100 * (median_ms / latency.median_ms - 1)
        told = f"{numbers.milliseconds(median_ms)}, {off:+.2f} %; anchor x{drift:.3f}"
        marks.append(_mark(network, number, off, told))
    return marks


def _mark(network: str, number: int, off: float, told: str) -> Mark:
    x = float(number + 1)
    tip = f"{network}\npass {number + 1}: {told}"
    return Mark(Interval(x, x, x), Interval(off, off, off), tip, network)
