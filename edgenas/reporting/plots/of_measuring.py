"""The measurement itself: what each pass took, in order, with those that were rejected."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from edgenas.core.records import Interval, Latency, Measurement
from edgenas.reporting.document import PassCondition
from edgenas.reporting.plots.kinds import LOOKS, Mark, Series, draw_series
from edgenas.reporting.plots.marks import Axes, span
from edgenas.reporting.plots.plot import BLUE, GREEN, INK, ORANGE, Plot
from edgenas.reporting.words import numbers

LEAST_CONDITIONS = 3  # passes
MOST_PASSES = 400  # that are drawn; others are left out evenly
CAPTIONS = {
    "pass-temperature": "Temperature of the hottest zone at the end of each pass, one line a job.",
    "pass-clock": "Mean clock of the cores at the end of each pass, one line a job.",
    "pass-anchor": "The anchor's time in each pass over its usual one, which is divided out.",
}
KEPT, REJECTED = "one network in one pass", "rejected, with its reason"


def passes(measurements: Sequence[Measurement]) -> Plot | None:
    """Draw by how much each network's median of a pass is off its median of all, pass by pass.

    The samples of rejected passes are not kept: these stand on zero. None where nothing was timed.
    """
    timed = [
        (measurement, measurement.outcome.latency)
        for measurement in measurements
        if measurement.outcome.latency
    ]
    kept = [
        mark
        for measurement, latency in timed
        for mark in _kept(str(measurement.architecture), latency)
    ]
    rejected = [
        _mark(str(measurement.architecture), number, 0.0, f"rejected: {why}")
        for measurement, latency in timed
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
    draw_series(axes, [group for group in series if group.marks], looks)
    return Plot("passes", axes.chart())


def conditions(data: Sequence[PassCondition], measurements: Sequence[Measurement]) -> list[Plot]:
    """Draw what may disturb timings, pass by pass: temperature, clock, and the anchor's time.

    One line a job of the target; what no pass tells is not drawn.
    """
    jobs = sorted({reading.job for reading in data})
    heat = [
        [(reading.number, reading.temperature_celsius) for reading in data if reading.job == j]
        for j in jobs
    ]
    clocks = [
        [(reading.number, reading.clock_mhz) for reading in data if reading.job == j] for j in jobs
    ]
    drawn = [
        _lines("pass-temperature", "Temperature (°C)", heat, ORANGE),
        _lines("pass-clock", "Clock (MHz)", clocks, BLUE),
        _lines("pass-anchor", "Anchor (x its usual)", [_anchor(measurements)], GREEN),
    ]
    return [plot for plot in drawn if plot is not None]


def _lines(
    name: str, title: str, lines: Sequence[Sequence[tuple[int, float | None]]], colour: str
) -> Plot | None:
    known = [[(float(x), y) for x, y in line if y is not None] for line in lines]
    points = [point for line in known for point in line]
    if len(points) < LEAST_CONDITIONS:
        return None
    across = span("Pass", [x for x, _ in points])
    axes = Axes(across, span(title, [y for _, y in points], margin=0.15), 560, 90)
    for line in known:
        axes.line(line, colour, width=1.6)
    return Plot(name, axes.chart())


def _anchor(measurements: Sequence[Measurement]) -> list[tuple[int, float | None]]:
    """Return by pass the anchor's time over its usual one; nothing where there was no anchor."""
    by_pass: dict[int, list[float]] = {}
    for measurement in measurements:
        if (latency := measurement.outcome.latency) is not None:
            for number, drift in zip(_counted(latency), latency.drift, strict=False):
                by_pass.setdefault(number + 1, []).append(drift)
    if all(drift == 1.0 for drifts in by_pass.values() for drift in drifts):
        return []
    return [(number, statistics.median(by_pass[number])) for number in sorted(by_pass)]


def _thinned(marks: list[Mark]) -> list[Mark]:
    step = max(1, -(-len(marks) // MOST_PASSES))
    return marks[::step]


def _kept(network: str, latency: Latency) -> list[Mark]:
    """Return the passes that count; their numbers are those that were not rejected."""
    marks = []
    for number, samples, drift in zip(
        _counted(latency), latency.samples_ns, latency.drift, strict=False
    ):
        median_ms = statistics.median(samples) / drift / 1e6
        off = 100 * (median_ms / latency.median_ms - 1)
        told = f"{numbers.milliseconds(median_ms)}, {off:+.2f} %; anchor x{drift:.3f}"
        marks.append(_mark(network, number, off, told))
    return marks


def _counted(latency: Latency) -> list[int]:
    """Return the numbers of the passes that count, from 0; the last of them may be too many."""
    out = set() if latency.stands_on_rejected else {number for number, _ in latency.rejected}
    n_all = len(latency.samples_ns) + len(out)
    return [number for number in range(n_all + max(out, default=0) + 1) if number not in out]


def _mark(network: str, number: int, off: float, told: str) -> Mark:
    x = float(number + 1)
    tip = f"{network}\npass {number + 1}: {told}"
    return Mark(Interval(x, x, x), Interval(off, off, off), tip, network)
