"""What plots are made of: axes, points with a legend, lines, bars, intervals and texts, as layers.

A layer takes records with fixed fields: x, y, their bounds (x_lower, …), tip, series, net.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from edgenas.reporting.plots.plot import INK, MUTED, PAPER

Record = Mapping[str, Any]
Layer = alt.Chart
SQUARES = "M-1,-1H1V1H-1Z"  # of a band in a legend
# What the page changes in a drawn plot: networks that stand out (each with true; False for all of
# them), a rectangle, the limit, and the network that is chosen by it.
PICKED, BRUSH, BUDGET, CHOSEN = "picked", "brush", "budget", "chosen"
MARKS = "marks"  # the dataset of networks, which points and their intervals share
_IS_PICKED = "!picked || picked[datum.net] === true"


@dataclass(frozen=True)
class Look:
    """How marks of one series look. shape : of Vega, "stroke" for a line. size : square pixels."""

    shape: str
    size: float
    fill: str
    stroke: str


def line_look(colour: str) -> Look:
    """Return how a line is named in a legend."""
    return Look("stroke", 180.0, colour, colour)


def band_look(colour: str) -> Look:
    """Return how a band is named in a legend."""
    return Look(SQUARES, 110.0, colour, "transparent")


@dataclass(frozen=True)
class Span:
    """One axis: its title, and from where to where it shows. places : whether it has ticks."""

    title: str
    start: float
    end: float
    logarithmic: bool = False
    places: bool = True

    def place(self, value: float) -> float:
        """Return where on the axis a value lies: 0 at its start, 1 at its end."""
        start, end, at = (
            (math.log10(x) for x in (self.start, self.end, value))
            if self.logarithmic
            else (self.start, self.end, value)
        )
        return (at - start) / (end - start)

    def scale(self) -> alt.Scale:
        """Return the scale, the same of every layer."""
        ends = [self.start, self.end]
        if self.logarithmic:
            return alt.Scale(type="log", domain=ends, nice=False)
        return alt.Scale(type="linear", domain=ends, nice=False, zero=False)

    def axis(self) -> alt.Axis | None:
        """Return the axis' look."""
        if not self.places:
            return None
        if self.logarithmic:
            return alt.Axis(format="~g", tickCount=6, labelOverlap="greedy")
        return alt.Axis(tickCount=6)


def span(
    title: str, values: Sequence[float], logarithmic: bool = False, margin: float = 0.06
) -> Span:
    """Return an axis that shows all finite values with a margin on either side."""
    known = [value for value in values if math.isfinite(value) and (value > 0 or not logarithmic)]
    if not known:
        return Span(title, 0.0, 1.0)
    start, end = min(known), max(known)
    if logarithmic:
        more = (end / start) ** margin if end > start else 1.1
        return Span(title, start / more, end * more, True)
    more = margin * (end - start) or 0.05 * abs(start) or 1.0
    return Span(title, start - more, end + more)


class Axes:
    """Two axes on which layers are drawn, all with the same scales and titles."""

    def __init__(self, across: Span, up: Span, width: int, height: int) -> None:
        self.across, self.up = across, up
        self.width, self.height = width, height
        self._layers: list[Layer] = []
        self._datasets: dict[str, list[dict[str, Any]]] = {}

    def chart(self, brushed: bool = False) -> alt.LayerChart:
        """Return the layers as one chart, first below.

        brushed : a rectangle can be drawn in it, whose networks are then `PICKED` in all plots.
        """
        layers = list(self._layers)
        if brushed:
            layers[-1] = layers[-1].add_params(alt.selection_interval(name=BRUSH))
        # all at once: each property that is set later copies every layer with its records
        more: dict[str, Any] = {"datasets": self._datasets} if self._datasets else {}
        layered = alt.layer(*layers, width=self.width, height=self.height, **more)
        return layered.add_params(alt.param(name=PICKED, value=False))

    def points(
        self, records: Sequence[Record], looks: Mapping[str, Look], legend: bool = True
    ) -> None:
        """Draw one point a record, with a legend of `looks`, lines and bands included."""
        wanted = ("x", "y", "x_upper", "series", "tip", "net")
        records = [{name: record[name] for name in wanted if name in record} for record in records]
        self._points(self._of(records), looks, legend)

    def marks(
        self,
        records: Sequence[Record],
        looks: Mapping[str, Look],
        bars: Mapping[str, tuple[str, float]],
        *,
        differences: bool = False,
    ) -> None:
        """Draw one point a record over its intervals on both axes, with a legend of `looks`.

        bars : colour and opacity of the intervals of each series. differences : what goes up is y
        minus x, without intervals.
        """
        wanted = ("x", "y", "series", "tip", "net")
        rows = []
        for record in records:
            row = {name: record[name] for name in wanted if name in record}
            for axis in "xy":
                lower, upper = f"{axis}_lower", f"{axis}_upper"
                width = record[upper] - record[lower]
                if math.isfinite(width) and width != 0:
                    row |= {lower: record[lower], upper: record[upper]}
            rows.append(_finite(row))
        self._datasets[MARKS] = rows
        base = alt.Chart(alt.NamedData(name=MARKS))
        if differences:
            base = base.transform_calculate(difference="datum.y - datum.x")
            self._points(base, looks, legend=True, up="difference")
            return
        names, looked = list(bars), list(bars.values())
        own: dict[str, Any] = {
            "color": alt.Color(
                "series:N",
                scale=alt.Scale(domain=names, range=[colour for colour, _ in looked]),
                legend=None,
            ),
            "strokeOpacity": alt.StrokeOpacity(
                "series:O",
                scale=alt.Scale(
                    type="ordinal", domain=names, range=[opacity for _, opacity in looked]
                ),
                legend=None,
            ),
        }
        others: tuple[tuple[str, dict[str, Any]], ...]
        others = (("x", {"y": self._y("y")}), ("y", {"x": self._x("x")}))
        for axis, along in others:
            if not any(f"{axis}_lower" in row for row in rows):
                continue
            rule = base.transform_filter(f"isValid(datum.{axis}_lower)").mark_rule(
                strokeWidth=1.3, aria=False, clip=True
            )
            start = self._x("x_lower") if axis == "x" else self._y("y_lower")
            between = {axis: start, f"{axis}2": f"{axis}_upper"}
            self._layers.append(rule.encode(**between, **along, **own))
        self._points(base, looks, legend=True)

    def _points(self, base: Layer, looks: Mapping[str, Look], legend: bool, up: str = "y") -> None:
        names, values = list(looks), list(looks.values())
        named = alt.Legend(title=None) if names and legend else None

        def scale(ends: Sequence[Any]) -> alt.Scale:
            return alt.Scale(type="ordinal", domain=names, range=list(ends))

        encoded = base.mark_point(filled=True, strokeWidth=1.2).encode(
            x=self._x("x"),
            y=self._y(up),
            shape=alt.Shape("series:N", scale=scale([v.shape for v in values]), legend=named),
            fill=alt.Fill("series:N", scale=scale([v.fill for v in values]), legend=named),
            stroke=alt.Stroke("series:N", scale=scale([v.stroke for v in values]), legend=named),
            size=alt.Size("series:O", scale=scale([v.size for v in values]), legend=named),
            opacity=alt.condition(_IS_PICKED, alt.value(1.0), alt.value(0.12)),
            **_told(),
        )
        self._layers.append(encoded)

    def lone(self, record: Record, look: Look) -> None:
        """Draw one point that is not in the legend."""
        mark = self._of([record]).mark_point(
            shape=look.shape,
            size=look.size,
            fill=look.fill,
            stroke=look.stroke,
            strokeWidth=1.0,
            opacity=1,
        )
        self._layers.append(mark.encode(x=self._x("x"), y=self._y("y"), **_told()))

    def discs(self, records: Sequence[Record]) -> None:
        """Draw one disc a record, of its `area` in square pixels, `fill` and `stroke`."""
        mark = self._of(records).mark_point(shape="circle", strokeWidth=1.2, opacity=0.85)
        own = {
            "fill": alt.Fill("fill:N", scale=None),
            "stroke": alt.Stroke("stroke:N", scale=None),
            "size": alt.Size("area:Q", scale=None),
        }
        self._layers.append(mark.encode(x=self._x("x"), y=self._y("y"), **own, **_told()))

    def line(
        self,
        points: Sequence[tuple[float, float]],
        colour: str,
        *,
        steps: str | None = None,
        dash: Sequence[float] = (),
        width: float = 2.0,
    ) -> None:
        """Join points in their order. steps : "step-after" or "step-before"."""
        if len(points):
            records = [{"x": x, "y": y, "order": i} for i, (x, y) in enumerate(points)]
            look: dict[str, Any] = {"color": colour, "strokeWidth": width, "aria": False}
            look |= {"strokeDash": list(dash)} if dash else {}
            look |= {"interpolate": steps} if steps else {}
            chart = self._of(records).mark_line(**look)
            self._layers.append(chart.encode(x=self._x("x"), y=self._y("y"), order="order:Q"))

    def tipped_lines(self, records: Sequence[Record]) -> None:
        """Draw one line for each `net` of records, in its own `colour` and `width`."""
        chart = self._of(records).mark_line(strokeJoin="round")
        self._layers.append(
            chart.encode(
                x=self._x("x"),
                y=self._y("y"),
                detail="net:N",
                color=alt.Color("colour:N", scale=None),
                strokeWidth=alt.StrokeWidth("width:Q", scale=None),
                opacity=alt.Opacity("opacity:Q", scale=None),
                **_told(),
            )
        )

    def across_bars(
        self, records: Sequence[Record], width: float = 1.3, tips: bool = False
    ) -> None:
        """Draw a line from x_lower to x_upper at y, in the record's `colour`."""
        wanted = ("x_lower", "x_upper", "y", "colour", "opacity", *(("x", "tip") if tips else ()))
        chart = self._of(_wide(records, "x", wanted)).mark_rule(strokeWidth=width, aria=tips)
        self._layers.append(
            chart.encode(
                x=self._x("x_lower"),
                x2="x_upper",
                y=self._y("y"),
                color=alt.Color("colour:N", scale=None),
                opacity=alt.Opacity("opacity:Q", scale=None),
                **(_told() if tips else {}),
            )
        )

    def at_x(self, value: float, colour: str, dash: Sequence[float] = (), text: str = "") -> None:
        """Draw a line across the plot at one x, with a text above it."""
        rule = self._of([{"x": value}]).mark_rule(
            color=colour, strokeWidth=1.3, strokeDash=list(dash), aria=False
        )
        self._layers.append(rule.encode(x=self._x("x")))
        if text:
            self.above(value, text, colour)

    def budget(self, limit: float | None, text: str, colour: str, row: int = 0) -> None:
        """Draw a limit on x, and a ring about each chosen point, all of which the page moves.

        row : of the text, from the bottom, above the axes.
        """
        self._datasets[BUDGET] = [] if limit is None else [{"x": limit, "text": text}]
        self._datasets[CHOSEN] = []
        at = alt.Chart(alt.NamedData(name=BUDGET))
        rule = at.mark_rule(color=colour, strokeWidth=1.5, strokeDash=[6, 4], aria=False)
        said = at.mark_text(
            color=colour, align="right", baseline="bottom", dx=4, dy=-4 - 14 * row, aria=False
        )
        ring = alt.Chart(alt.NamedData(name=CHOSEN)).mark_point(
            size=420, stroke=INK, strokeWidth=2, filled=False, aria=False
        )
        self._layers += [
            rule.encode(x=self._x("x")),
            said.encode(x=self._x("x"), y=alt.value(0), text="text:N"),
            ring.encode(x=self._x("x"), y=self._y("y")),
        ]

    def at_y(self, value: float, colour: str, dash: Sequence[float] = ()) -> None:
        """Draw a line across the plot at one y."""
        rule = self._of([{"y": value}]).mark_rule(
            color=colour, strokeWidth=1.1, strokeDash=list(dash), aria=False
        )
        self._layers.append(rule.encode(y=self._y("y")))

    def above(self, value: float | None, text: str, colour: str, row: int = 0) -> None:
        """Write a text above the plot, at one x; without one at its right end."""
        words = self._of([{"x": value or 0.0, "text": text}]).mark_text(
            color=colour,
            align="right" if value is None else "center",
            baseline="bottom",
            dy=-4 - 14 * row,
            aria=False,
        )
        x: Any = alt.value("width") if value is None else self._x("x")
        self._layers.append(words.encode(x=x, y=alt.value(0), text="text:N"))

    def beside(self, x: float, y: float, text: str, left: bool) -> None:
        """Write a bold text beside a point, on a halo."""
        for look in ({"stroke": PAPER, "strokeWidth": 4.0}, {"color": INK}):
            words = self._of([{"x": x, "y": y, "text": text}]).mark_text(
                align="right" if left else "left",
                baseline="bottom",
                dx=-11 if left else 11,
                dy=-3,
                fontWeight="bold",
                aria=False,
                **look,
            )
            self._layers.append(words.encode(x=self._x("x"), y=self._y("y"), text="text:N"))

    def upright_band(self, start: float, end: float, colour: str, opacity: float) -> None:
        """Fill what lies between two x."""
        area = self._of([{"x": start, "to": end}]).mark_rect(
            color=colour, opacity=opacity, aria=False
        )
        self._layers.append(area.encode(x=self._x("x"), x2="to"))

    def band(self, start: float, end: float, colour: str, opacity: float) -> None:
        """Fill what lies between two y."""
        area = self._of([{"y": start, "to": end}]).mark_rect(
            color=colour, opacity=opacity, aria=False
        )
        self._layers.append(area.encode(y=self._y("y"), y2="to"))

    def area(self, records: Sequence[Record], colour: str, opacity: float) -> None:
        """Fill what lies between y_lower and y_upper along x."""
        area = self._of(records).mark_area(color=colour, opacity=opacity, aria=False)
        self._layers.append(area.encode(x=self._x("x"), y=self._y("y_lower"), y2="y_upper"))

    def feet(self, records: Sequence[Record], colour: str) -> None:
        """Draw a short line at the foot of the plot at each x."""
        rule = self._of(records).mark_rule(color=colour, strokeWidth=1.2, aria=False)
        foot = {"y": alt.value(self.height), "y2": alt.value(self.height - 9)}
        self._layers.append(rule.encode(x=self._x("x"), **foot))

    def labels(self, records: Sequence[Record], bold: bool = False) -> None:
        """Write `text` left of the plot at y."""
        words = self._of(records).mark_text(
            align="right",
            baseline="middle",
            dx=-8,
            fontWeight="bold" if bold else "normal",
            color=MUTED if bold else INK,
            limit=260,
            aria=False,
        )
        self._layers.append(words.encode(x=alt.value(0), y=self._y("y"), text="text:N"))

    def texts(self, records: Sequence[Record], dy: float, baseline: str) -> None:
        """Write `text` at x and y, moved by `dy` pixels."""
        kind: Any = baseline
        words = self._of(records).mark_text(dy=dy, baseline=kind, aria=False, lineBreak="\n")
        self._layers.append(words.encode(x=self._x("x"), y=self._y("y"), text="text:N"))

    def _of(self, records: Sequence[Record]) -> alt.Chart:
        return alt.Chart(alt.Data(values=[_finite(record) for record in records]))

    def _x(self, field: str) -> alt.X:
        return alt.X(
            f"{field}:Q",
            title=self.across.title or None,
            scale=self.across.scale(),
            axis=self.across.axis(),
        )

    def _y(self, field: str) -> alt.Y:
        return alt.Y(
            f"{field}:Q", title=self.up.title or None, scale=self.up.scale(), axis=self.up.axis()
        )


def _finite(record: Record) -> dict[str, Any]:
    """Return a record in digits that can be seen, without the values that JSON cannot say."""
    return {
        name: float(f"{value:.6g}") if isinstance(value, float) else value
        for name, value in record.items()
        if not isinstance(value, float) or math.isfinite(value)
    }


def _told() -> dict[str, Any]:
    """Return the encodings by which a mark tells its record: on hover, and to a screen reader."""
    return {"tooltip": "tip:N", "description": "tip:N"}


def _wide(records: Sequence[Record], axis: str, wanted: Sequence[str]) -> list[Record]:
    """Return what is `wanted` of the records whose interval on an axis has a finite width."""
    wide: list[Record] = []
    for record in records:
        width = record[f"{axis}_upper"] - record[f"{axis}_lower"]
        if math.isfinite(width) and width != 0:
            wide.append({name: record[name] for name in wanted if name in record})
    return wide
