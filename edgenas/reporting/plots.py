"""The plots: trade-off, predicted against observed, and intervals in rows. They know no records.

Every function takes plain numbers with labels and returns a `Plot`; several boards, or other pairs
of objectives, are more `Series` on the same axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from edgenas.records import Interval
from edgenas.reporting.plot import BLUE, GREEN, GREY, INK, MUTED, ORANGE, RED, Plot

Look = Literal["fitted", "known", "half_known", "predicted", "verified", "winner", "failed"]

_HALF_PAGE_IN = 5.2  # two stand side by side, so that their text is as large as the page's

MOST_BEYOND = 1.0  # widths of the plot: a limit farther off would press all else together
WIDE = 50.0  # times, above which the smaller values would stand in one place

# marker, size, face, edge, order
_LOOKS: dict[Look, tuple[str, float, str, str, int]] = {
    "half_known": ("o", 4.5, "white", GREY, 3),
    "fitted": ("o", 4.5, BLUE, "white", 4),
    "known": ("o", 4.5, GREY, GREY, 4),
    "predicted": ("D", 5.0, "white", ORANGE, 5),
    "verified": ("s", 5.5, BLUE, "white", 6),
    "failed": ("X", 7.5, RED, "white", 6),
    "winner": ("*", 14.0, GREEN, INK, 7),
}


@dataclass(frozen=True)
class Mark:
    """One network: a value with bounds on each axis (no bar where they are equal); hover text."""

    x: Interval
    y: Interval
    tip: str


@dataclass(frozen=True)
class Series:
    """Marks that mean the same; `name` is in the legend. `text` labels its first mark."""

    name: str
    look: Look
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
    limit_text: str = "budget",
) -> Plot:
    """Draw two objectives against each other, the predicted frontier as steps, the limit on x.

    frontier : (x, y) by rising x. labels : of the x and the y axis, with units. x is logarithmic
    where the marks differ by more than `WIDE` times.
    """
    plot = Plot(name, 5.8, 4.1)
    with plot.drawing() as axes:
        axes.set(xlabel=labels[0], ylabel=labels[1])
        if wide := _is_wide([mark.x.mean for one in series for mark in one.marks]):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            series = [replace(one, marks=tuple(map(_above_zero, one.marks))) for one in series]
            frontier = [point for point in frontier if point[0] > 0]
        if frontier:
            xs, ys = zip(*frontier, strict=True)
            axes.plot(
                xs, ys, drawstyle="steps-post", color=ORANGE, lw=1.6, label="predicted frontier"
            )
        for one in series:
            _draw_series(plot, axes, one)
            _label_first(axes, one, limit)
        axes.margins(0.06)
        if wide:
            axes.set_xlabel(f"{labels[0]}, logarithmic")
        if limit is not None:
            draw_budget(axes, limit, limit_text, RED)
        _legend(plot, ncols=3)
    return plot


def draw_budget(axes: Any, limit: float, text: str, colour: str, row: int = 0) -> None:
    """Draw a limit on x as a line; of one far beyond what is drawn already, say where it lies.

    row : of the text, from the bottom, above the axes.
    """
    scale = math.log10 if axes.get_xscale() == "log" else float
    left, right, place = map(scale, (*axes.get_xlim(), limit))
    near = place <= right + MOST_BEYOND * (right - left)
    if near:
        axes.axvline(limit, color=colour, lw=1.2, ls=(0, (5, 3)), zorder=2)
    axes.annotate(
        text if near else f"{text} \N{RIGHTWARDS ARROW}",
        (limit if near else 1.0, 1.0),
        xycoords=axes.get_xaxis_transform() if near else axes.transAxes,
        xytext=(0, 3 + 10 * row),
        textcoords="offset points",
        color=colour,
        ha="center" if near else "right",
    )


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
    plot = Plot(name, _HALF_PAGE_IN, 3.9)
    with plot.drawing() as axes:
        axes.set(xlabel=labels[0], ylabel=labels[1])
        _draw_series(plot, axes, Series(what, "fitted", tuple(marks)))
        values = [v for m in marks for v in (m.x.mean, m.y.mean, m.y.lower, m.y.upper)]
        values = [v for v in values if math.isfinite(v)]
        if values:
            pad = 0.05 * (max(values) - min(values)) or 0.05 * abs(values[0]) or 1.0
            ends = (min(values) - pad, max(values) + pad)
            axes.plot(ends, ends, color=INK, lw=0.9, label="prediction = observation")
            axes.set(xlim=ends, ylim=ends)
        _legend(plot, ncols=2)
    return plot


def residuals(
    name: str, marks: Sequence[Mark], labels: tuple[str, str], what: str = "one network"
) -> Plot:
    """Draw residuals (y) against predictions (x), with zero and twice their spread marked."""
    plot = Plot(name, _HALF_PAGE_IN, 3.2)
    with plot.drawing() as axes:
        axes.set(xlabel=labels[0], ylabel=labels[1])
        _draw_series(plot, axes, Series(what, "fitted", tuple(marks)))
        axes.axhline(0, color=INK, lw=0.9)
        values = [mark.y.mean for mark in marks]
        spread = 2 * math.sqrt(sum(value**2 for value in values) / max(len(values), 1))
        for level, label in ((spread, "twice the spread"), (-spread, "_")):
            axes.axhline(level, color=MUTED, lw=0.9, ls=(0, (4, 3)), label=label)
        axes.margins(0.06)
        _legend(plot, ncols=2)
    return plot


def interval_rows(name: str, rows: Sequence[Row], label: str, bars: bool = False) -> Plot:
    """Draw one value with its interval a row, first row on top, zero marked.

    bars : draw bars from zero (effects) instead of points (coefficients). Rows whose interval
    excludes zero are orange (up) or blue (down), the others grey.
    """
    groups = _group_starts(rows)
    height = 0.75 + 0.2 * len(rows) + 0.24 * len(groups)
    plot = Plot(name, _HALF_PAGE_IN, max(1.6, height))
    with plot.drawing() as axes:
        ticks, at = [], 0.0
        for index, row in enumerate(rows):
            if index in groups:
                _group_heading(axes, row.group, at)
                at += 1.1
            _draw_row(plot, axes, row, at, bars)
            ticks.append(at)
            at += 1.0
        axes.axvline(0, color=INK, lw=0.9, zorder=3)
        axes.set_yticks(ticks, [_short(row.label) for row in rows])
        axes.set(xlabel=label, ylim=(at - 0.3, -0.7))
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=5)
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.06)
        axes.spines["left"].set_visible(False)
    return plot


def _legend(plot: Plot, ncols: int) -> None:
    handles, labels = plot.axes.get_legend_handles_labels()
    if handles:
        plot.figure.legend(
            handles, labels, loc="outside upper center", ncols=ncols, handletextpad=0.5
        )


def _draw_series(plot: Plot, axes: Any, series: Series) -> None:
    marker, size, face, edge, order = _LOOKS[series.look]
    marks = [m for m in series.marks if math.isfinite(m.x.mean) and math.isfinite(m.y.mean)]
    _error_bars(axes, marks, edge if edge not in ("white", INK) else face, order - 0.5)
    label = series.name
    for mark in marks:
        (point,) = axes.plot(
            mark.x.mean,
            mark.y.mean,
            marker=marker,
            ms=size,
            mfc=face,
            mec=edge,
            mew=1.1 if face == "white" else 0.6,
            ls="none",
            zorder=order,
            label=label,
        )
        plot.tip(point, mark.tip)
        label = "_"  # one legend entry a series


def _label_first(axes: Any, series: Series, limit: float | None) -> None:
    if not series.text or not series.marks:
        return
    first = series.marks[0]
    left = limit is not None and first.x.mean <= limit  # away from the line of the limit
    axes.annotate(
        series.text,
        (first.x.mean, first.y.mean),
        xytext=(-10 if left else 10, 6),
        textcoords="offset points",
        ha="right" if left else "left",
        weight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.0},
        zorder=9,
    )


def _error_bars(axes: Any, marks: Sequence[Mark], color: str, order: float) -> None:
    look = {"color": color, "lw": 1.0, "alpha": 0.8 if len(marks) < 12 else 0.4, "zorder": order}
    wide = [m for m in marks if _has_width(m.x)]
    axes.hlines(
        [m.y.mean for m in wide], [m.x.lower for m in wide], [m.x.upper for m in wide], **look
    )
    tall = [m for m in marks if _has_width(m.y)]
    axes.vlines(
        [m.x.mean for m in tall], [m.y.lower for m in tall], [m.y.upper for m in tall], **look
    )


def _has_width(value: Interval) -> bool:
    return value.lower < value.upper and math.isfinite(value.upper - value.lower)


def _draw_row(plot: Plot, axes: Any, row: Row, at: float, bars: bool) -> None:
    value = row.value
    if not math.isfinite(value.mean):
        return
    known = value.lower > 0 or value.upper < 0
    color = (ORANGE if value.mean > 0 else BLUE) if known else GREY
    if bars:
        artist = axes.barh(at, value.mean, height=0.62, color=color, alpha=0.85)[0]
    else:
        (artist,) = axes.plot(value.mean, at, marker="o", ms=5, color=color, ls="none", zorder=4)
    if _has_width(value):
        axes.hlines(at, value.lower, value.upper, color=INK if bars else color, lw=1.3, zorder=3.5)
    plot.tip(artist, f"{row.label}: {value.mean:+.3g} [{value.lower:+.3g}, {value.upper:+.3g}]")


def _group_starts(rows: Sequence[Row]) -> set[int]:
    names = [row.group for row in rows]
    if not any(names):
        return set()
    return {i for i, group in enumerate(names) if i == 0 or group != names[i - 1]}


def _group_heading(axes: Any, group: str, at: float) -> None:
    axes.annotate(
        group,
        (0, at + 0.15),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        color=MUTED,
        weight="bold",
    )


def _short(label: str, most: int = 38) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"
