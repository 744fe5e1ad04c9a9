"""The plots: trade-off, predicted against observed, and intervals in rows. They know no records.

Every function takes plain numbers with labels and returns a `Plot`; several boards, or other pairs
of objectives, are more `Series` on the same axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from edgenas.core.records import Interval
from edgenas.reporting.plots.marks import Axes, Look, Record, Span, band_look, line_look, span
from edgenas.reporting.plots.plot import BLUE, GREEN, GREY, INK, MUTED, ORANGE, RED, Plot

SeriesLook = Literal["fitted", "known", "half_known", "predicted", "verified", "winner", "failed"]

_HALF_PAGE = 440  # pixels; two stand side by side, so that their text is as large as the page's
_ROW = 19  # pixels between the rows of a plot

MOST_BEYOND = 1.0  # widths of the plot: a limit farther off would press all else together
WIDE = 50.0  # times, above which the smaller values would stand in one place

STAR = "M0,-1L.26,-.36L.95,-.31L.42,.14L.59,.81L0,.44L-.59,.81L-.42,.14L-.95,-.31L-.26,-.36Z"
CROSS = "M-1,-.5L-.5,-1L0,-.5L.5,-1L1,-.5L.5,0L1,.5L.5,1L0,.5L-.5,1L-1,.5L-.5,0Z"
LOOKS: dict[SeriesLook, Look] = {
    "half_known": Look("circle", 36, "white", GREY),
    "fitted": Look("circle", 42, BLUE, "white"),
    "known": Look("circle", 34, GREY, GREY),
    "predicted": Look("diamond", 60, "white", ORANGE),
    "verified": Look("square", 54, BLUE, "white"),
    "failed": Look(CROSS, 90, RED, "white"),
    "winner": Look(STAR, 260, GREEN, INK),
}


@dataclass(frozen=True)
class Mark:
    """One network: a value with bounds on each axis (no bar where they are equal); hover text.

    network : by which the same network is known in other plots; "" for none.
    """

    x: Interval
    y: Interval
    tip: str
    network: str = ""


@dataclass(frozen=True)
class Series:
    """Marks that mean the same; `name` is in the legend. `text` labels its first mark."""

    name: str
    look: SeriesLook
    marks: tuple[Mark, ...]
    text: str = ""


@dataclass(frozen=True)
class Row:
    """One line of a row plot; rows of one `group` stand together under its name."""

    label: str
    value: Interval
    group: str = ""


def tradeoff(
    name: str,
    series: Sequence[Series],
    frontier: Sequence[tuple[float, float]],
    *,
    limit: float | None,
    labels: tuple[str, str],
    band: tuple[float, float] | None = None,
    limit_text: str = "budget",
) -> Plot:
    """Draw two objectives against each other, the predicted frontier as steps, the limit on x.

    band : the y, from lowest to highest, that noise does not tell apart; None for none.
    frontier : (x, y) by rising x. labels : of the x and the y axis, with units. x is logarithmic
    where the marks differ by more than `WIDE` times.
    """
    marks = [mark for group in series for mark in group.marks]
    wide = _is_wide([mark.x.mean for mark in marks])
    if wide:
        series = [replace(group, marks=tuple(map(_above_zero, group.marks))) for group in series]
        marks = [mark for group in series for mark in group.marks]
        frontier = [point for point in frontier if point[0] > 0]
    xs = [v for m in marks for v in (m.x.mean, m.x.lower, m.x.upper)] + [x for x, _ in frontier]
    ys = [v for m in marks for v in (m.y.mean, m.y.lower, m.y.upper)] + [y for _, y in frontier]
    title = f"{labels[0]}, logarithmic" if wide else labels[0]
    across = with_limits(span(title, xs, wide), [] if limit is None else [limit])
    axes = Axes(across, span(labels[1], [*ys, *(band or ())]), 560, 360)
    series = [group for group in series if group.marks]
    looks = {group.name: LOOKS[group.look] for group in series}
    if band is not None:
        axes.band(*band, GREY, 0.16)
        looks = {"not measurably worse than the best": band_look("#d5d9dd"), **looks}
    if frontier:
        axes.line(frontier, ORANGE, steps="step-after")
        looks = {"predicted frontier": line_look(ORANGE), **looks}
    for group in series:
        if group.text:
            x, y = group.marks[0].x.mean, group.marks[0].y.mean
            axes.beside(x, y, group.text, left=limit is not None and x <= limit)
    if limit is not None and not 0 <= axes.across.place(limit) <= 1:
        draw_budget(axes, limit, limit_text, RED)
        limit = None
    axes.budget(limit, limit_text, RED)
    draw_series(axes, series, looks)
    return Plot(name, axes.chart(brushed=True))


def with_limits(across: Span, limits: Sequence[float]) -> Span:
    """Return an axis that shows the limits too, but for those far beyond what it shows."""
    near = [limit for limit in limits if is_near(across, limit)]
    beyond = [limit for limit in near if across.place(limit) > 1]
    before = [limit for limit in near if across.place(limit) < 0]
    start, end = min([across.start, *before]), max([across.end, *beyond])
    return replace(across, start=start, end=end)


def is_near(across: Span, limit: float) -> bool:
    """Return whether a limit is not so far off that it would press all else together."""
    return (limit > 0 or not across.logarithmic) and across.place(limit) <= 1 + MOST_BEYOND


def draw_budget(axes: Axes, limit: float, text: str, colour: str, row: int = 0) -> None:
    """Draw a limit on x as a line; of one far beyond what is drawn, say where it lies.

    row : of the text, from the bottom, above the axes.
    """
    if 0 <= axes.across.place(limit) <= 1:
        axes.at_x(limit, colour, (6, 4))
        axes.above(limit, text, colour, row)
    else:
        axes.above(None, f"{text} \N{RIGHTWARDS ARROW}", colour, row)


def draw_series(
    axes: Axes, series: Sequence[Series], looks: dict[str, Look], *, differences: bool = False
) -> None:
    """Draw marks with their intervals; one legend for all. differences : see `Axes.marks`."""
    records: list[Record] = []
    bars = {}
    for group in series:
        marks = [m for m in group.marks if math.isfinite(m.x.mean) and math.isfinite(m.y.mean)]
        look = looks[group.name]
        colour = look.stroke if look.stroke not in ("white", INK) else look.fill
        bars[group.name] = (colour, 0.8 if len(marks) < 12 else 0.4)
        records += [_record(mark, group.name) for mark in marks]
    axes.marks(records, looks, bars, differences=differences)


def _record(mark: Mark, series: str) -> Record:
    told = {"series": series, "tip": mark.tip} | ({"net": mark.network} if mark.network else {})
    return told | {
        f"{axis}{end}": value
        for axis, of in (("x", mark.x), ("y", mark.y))
        for end, value in (("", of.mean), ("_lower", of.lower), ("_upper", of.upper))
    }


def _is_wide(values: Sequence[float]) -> bool:
    known = [value for value in values if math.isfinite(value)]
    return len(known) > 1 and 0 < WIDE * min(known) < max(known)


def _above_zero(mark: Mark) -> Mark:
    """Return a mark whose interval a logarithmic axis can show: cut where it falls to 1/`WIDE`."""
    return replace(mark, x=replace(mark.x, lower=max(mark.x.lower, mark.x.mean / WIDE)))


def predicted_observed(
    name: str, marks: Sequence[Mark], labels: tuple[str, str], what: str = "one network"
) -> Plot:
    """Draw predictions (x) against observations (y) with their intervals and the diagonal."""
    both = span("", [v for m in marks for v in (m.x.mean, m.y.mean, m.y.lower, m.y.upper)])
    ends = (both.start, both.end)
    axes = Axes(replace(both, title=labels[0]), replace(both, title=labels[1]), _HALF_PAGE, 330)
    looks = {what: LOOKS["fitted"], "prediction = observation": line_look(INK)}
    axes.line([(end, end) for end in ends], INK, width=1.1)
    draw_series(axes, [Series(what, "fitted", tuple(marks))], looks)
    return Plot(name, axes.chart())


def residuals(
    name: str, marks: Sequence[Mark], labels: tuple[str, str], what: str = "one network"
) -> Plot:
    """Draw observations minus predictions against these, with zero and twice their spread marked.

    marks : as for `predicted_observed`, so that a page has their records once.
    """
    values = [mark.y.mean - mark.x.mean for mark in marks]
    spread = 2 * math.sqrt(sum(value**2 for value in values) / max(len(values), 1))
    across = span(labels[0], [mark.x.mean for mark in marks])
    axes = Axes(across, span(labels[1], [*values, spread, -spread]), _HALF_PAGE, 260)
    axes.at_y(0, INK)
    for level in (spread, -spread):
        axes.at_y(level, MUTED, (5, 4))
    looks = {what: LOOKS["fitted"], "twice the spread": line_look(MUTED)}
    draw_series(axes, [Series(what, "fitted", tuple(marks))], looks, differences=True)
    return Plot(name, axes.chart())


def calibration(
    name: str,
    points: Sequence[tuple[float, float]],
    band: Sequence[Record],
    labels: tuple[str, str],
) -> Plot:
    """Draw what was covered (y) against the nominal level (x), percent, with the band of chance."""
    lowest = min([*(y for _, y in points), *(place["y_lower"] for place in band)])
    axes = Axes(
        Span(labels[0], 48, 101), Span(labels[1], min(48, lowest - 2), 101), _HALF_PAGE, 260
    )
    axes.area(band, GREY, 0.25)
    axes.line([(50, 50), (100, 100)], INK, width=1.1)
    axes.line(points, BLUE)
    marks = [
        Mark(Interval(x, x, x), Interval(y, y, y), f"{x:.0f} % intervals hold {y:.1f} %")
        for x, y in points
    ]
    looks = {
        "held-out": LOOKS["fitted"],
        "covered = nominal": line_look(INK),
        "chance (95 %)": band_look("#d5d9dd"),
    }
    draw_series(axes, [Series("held-out", "fitted", tuple(marks))], looks)
    return Plot(name, axes.chart())


def interval_rows(
    name: str, rows: Sequence[Row], label: str, bars: bool = False, colour: str | None = None
) -> Plot:
    """Draw one value with its interval a row, first row on top, zero marked.

    bars : draw bars from zero (effects) instead of points (coefficients). Rows whose interval
    excludes zero are orange (up) or blue (down), the others grey; or all have one `colour`.
    """
    groups = _group_starts(rows)
    records, labels, headings, at = [], [], [], 0.0
    for index, row in enumerate(rows):
        if index in groups:
            headings.append({"y": at + 0.15, "text": row.group})
            at += 1.1
        labels.append({"y": at, "text": short(row.label)})
        if math.isfinite(row.value.mean):
            records.append(_row(row, at, colour))
        at += 1.0
    shown = [v for record in records for v in (record["x"], record["x_lower"], record["x_upper"])]
    axes = row_axes(label, [0.0, *shown], at)
    axes.at_x(0, INK)
    if bars:
        full = [
            {**record, "x_lower": 0.0, "x_upper": record["x"], "opacity": 0.85}
            for record in records
        ]
        axes.across_bars(full, 0.62 * _ROW, tips=True)
        axes.across_bars([{**record, "colour": INK} for record in records], 1.6)
    else:
        axes.across_bars(records, 1.6)
        colours = {
            record["series"]: Look("circle", 48, record["series"], "white") for record in records
        }
        axes.points(records, colours, legend=False)
    axes.labels(labels)
    axes.labels(headings, bold=True)
    return Plot(name, axes.chart())


def row_axes(
    label: str,
    values: Sequence[float],
    rows: float,
    *,
    logarithmic: bool = False,
    height: float = 1.0,
) -> Axes:
    """Return axes that show `values` across, and rows from 0 on downwards; `height` of one row."""
    up = Span("", rows - 0.3, -0.7, places=False)
    tall = max(60, round(_ROW * height * (rows + 0.4)))
    return Axes(span(label, values, logarithmic), up, 330, tall)


def _row(row: Row, at: float, colour: str | None) -> dict[str, Any]:
    value = row.value
    known = value.lower > 0 or value.upper < 0
    shade = colour or ((ORANGE if value.mean > 0 else BLUE) if known else GREY)
    told = f"{row.label}: {value.mean:+.3g} [{value.lower:+.3g}, {value.upper:+.3g}]"
    place = {"x": value.mean, "x_lower": value.lower, "x_upper": value.upper, "y": at}
    return {**place, "tip": told, "colour": shade, "series": shade, "opacity": 1.0}


def _group_starts(rows: Sequence[Row]) -> set[int]:
    names = [row.group for row in rows]
    if not any(names):
        return set()
    return {i for i, group in enumerate(names) if i == 0 or group != names[i - 1]}


def short(label: str, most: int = 38) -> str:
    """Return a label that is cut to what fits beside a plot."""
    return label if len(label) <= most else f"{label[: most - 1]}…"
