"""The plots of a front: scatters of two responses, one line a network over all, boards overlaid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from edgenas.reporting.plots.fronts import FrontAxis, FrontData, FrontMark, pair_front
from edgenas.reporting.plots.kinds import LOOKS
from edgenas.reporting.plots.marks import Axes, Look, Record, Span, line_look, span
from edgenas.reporting.plots.plot import BLUE, GREEN, GREY, INK, MUTED, ORANGE, RED, Plot
from edgenas.reporting.words import numbers

_WIDTH, _HEIGHT = 440, 330
MOST_MARKS = 150  # of the front in one plot; the others are left out evenly
_MOST_LINES = 120
_LOG_FROM = 20.0  # greatest over least value of an axis
COLOURS = (BLUE, ORANGE, GREEN, RED, INK, GREY)
DASHES: tuple[tuple[float, ...], ...] = ((), (9, 3), (3, 2), (8, 3, 2, 3), (1.5, 2))
_PALEST, _FULL = (201, 214, 224), (0, 114, 178)  # a network's colour, from worst to best


def plots(name: str, data: FrontData) -> list[Plot]:
    """Return the plots of a front: one scatter of two responses; of more, all pairs and lines."""
    drawn = [scatter(one, data, *pair) for one, pair in pairs(name, data.axes).items()]
    return [*drawn, parallel(f"{name}-parallel", data)] if len(data.axes) > 2 else drawn


def pairs(name: str, axes: Sequence[FrontAxis]) -> dict[str, tuple[int, int]]:
    """Return, by the name of its plot, which axis goes across and which up, of each two."""
    numbered = itertools.combinations(range(len(axes)), 2)
    return {f"{name}-{i}-{j}": _across_up(axes, i, j) for i, j in numbered}


def scatter(name: str, data: FrontData, across: int = 0, up: int = 1) -> Plot:
    """Draw two responses of a front against each other.

    The line joins the networks that are best in these two alone; the others on the front pay for
    a third response.
    """
    pair = _Pair(data.axes, across, up, data.marks)
    on_line = pair.best(data.front)
    others = [mark for mark in _thinned(data.front, MOST_MARKS) if mark not in on_line]
    won = () if data.winner is None else (data.winner,)
    pair.steps("true front", pair.best(data.true_front), INK, (3, 2))
    pair.steps(data.front_name, on_line, ORANGE)
    pair.marks(data.measured_name, data.measured, Look("circle", 24, GREY, GREY))
    in_all = "front in all responses"
    pair.marks(in_all, others, Look("diamond", 20, "white", ORANGE))
    pair.marks(data.front_name, _thinned(on_line, MOST_MARKS), Look("diamond", 34, "white", ORANGE))
    pair.marks(data.verified_name, data.verified, Look("square", 58, BLUE, "white"))
    pair.marks("failed", data.failed, LOOKS["failed"])
    pair.marks("winner", won, LOOKS["winner"])
    pair.limits()
    if data.moved == data.axes[across].name:
        pair.moved()
    return pair.finished(name)


def overlaid(
    name: str, axes: Sequence[FrontAxis], boards: Sequence[tuple[str, Sequence[FrontMark]]]
) -> Plot:
    """Draw the fronts of several boards in the first two responses, a colour and dash a board."""
    marks = [mark for _, of in boards for mark in of]
    pair = _Pair(axes, *_across_up(axes, 0, 1), marks)
    for number, (board, of) in enumerate(boards):
        colour = COLOURS[number % len(COLOURS)]
        best = pair.best(of)
        pair.steps(board, best, colour, DASHES[number % len(DASHES)])
        pair.marks(board, _thinned(best, MOST_MARKS), Look("circle", 26, colour, "white"))
    return pair.finished(name)


class _Pair:
    """A plot of two responses, on scales that suit the marks that it will show."""

    def __init__(
        self, axes: Sequence[FrontAxis], across: int, up: int, marks: Sequence[FrontMark]
    ) -> None:
        self._of, self._across, self._up = axes, across, up
        self._x, self._y = axes[across], axes[up]
        shown = self._span(across, marks), self._span(up, marks)
        self._axes = Axes(*shown, _WIDTH, _HEIGHT)
        self._looks: dict[str, Look] = {}
        self._records: list[Record] = []

    def best(self, marks: Sequence[FrontMark]) -> list[FrontMark]:
        """Return the marks that are best in these two responses alone."""
        return pair_front(marks, self._of, self._across, self._up)

    def steps(
        self, name: str, marks: Sequence[FrontMark], colour: str, dash: Sequence[float] = ()
    ) -> None:
        """Join marks by steps: between two of them only the worse on each axis is sure."""
        if marks:
            where = "step-after" if self._x.goal == "min" else "step-before"
            self._axes.line([*map(self._place, marks)], colour, steps=where, dash=dash)
            self._looks[name] = line_look(colour)

    def marks(self, name: str, marks: Sequence[FrontMark], look: Look) -> None:
        """Draw marks with their hover texts; one legend entry for them all."""
        placed = [(self._place(mark), mark) for mark in marks]
        shown = [(at, mark) for at, mark in placed if all(map(math.isfinite, at))]
        if shown:
            self._looks[name] = look
            self._records += [
                {"x": x, "y": y, "tip": mark.tip, "series": name, "net": mark.network}
                for (x, y), mark in shown
            ]

    def limits(self) -> None:
        """Draw a line where a limit is."""
        for axis, draw in ((self._x, self._axes.at_x), (self._y, self._axes.at_y)):
            for limit in (axis.at_most, axis.at_least):
                if limit is not None:
                    draw(axis.shown(limit), RED, (6, 4))
                    self._looks["limit"] = line_look(RED)

    def moved(self) -> None:
        """Leave room for the limit that the page moves, and for the network that it gives."""
        self._axes.budget(None, "", INK)

    def finished(self, name: str) -> Plot:
        """Return the plot with its legend."""
        self._axes.points(self._records, self._looks)
        return Plot(name, self._axes.chart())

    def _place(self, mark: FrontMark) -> tuple[float, float]:
        x, y = mark.values[self._across].mean, mark.values[self._up].mean
        return self._x.shown(x), self._y.shown(y)

    def _span(self, index: int, marks: Sequence[FrontMark]) -> Span:
        axis = self._of[index]
        values = [axis.shown(mark.values[index].mean) for mark in marks]
        limits = [axis.shown(limit) for limit in (axis.at_most, axis.at_least) if limit is not None]
        known = [value for value in values if math.isfinite(value)]
        wide = bool(known) and 0 < min(known) < max(known) / _LOG_FROM
        return span(axis.title, [*known, *limits], wide)


def parallel(name: str, data: FrontData) -> Plot:
    """Draw one line a network over all responses, each scaled to its range, better upwards."""
    won = () if data.winner is None else (data.winner,)
    ranges = [
        _range(axis, index, (*data.front, *data.verified, *won))
        for index, axis in enumerate(data.axes)
    ]

    def heights(mark: FrontMark) -> list[float]:
        return [_height(value.mean, *ends) for value, ends in zip(mark.values, ranges, strict=True)]

    lines: list[tuple[FrontMark, str, float]] = [
        (mark, _shade(heights(mark)[0]), 1.2)
        for mark in sorted(
            _thinned(data.front, _MOST_LINES), key=lambda front_mark: heights(front_mark)[0]
        )
    ]
    lines += [(mark, INK, 2.1) for mark in data.verified]
    lines += [(mark, GREEN, 3.6) for mark in won]
    records = [
        {"x": x, "y": y, "net": str(i), "tip": mark.tip, "colour": colour, "width": width}
        for i, (mark, colour, width) in enumerate(lines)
        for x, y in enumerate(heights(mark))
        if math.isfinite(y)
    ]
    last = len(ranges) - 1
    axes = Axes(
        Span("", -0.35, last + 0.35, places=False),
        Span("", -0.02, 1.02, places=False),
        _WIDTH,
        _HEIGHT,
    )
    for at in range(len(ranges)):
        axes.at_x(at, MUTED)
    axes.tipped_lines([{**record, "opacity": 0.8} for record in records])
    _ends(axes, data.axes, ranges)
    looks = {data.verified_name: line_look(INK)} if data.verified else {}
    axes.points([], looks | ({"winner": line_look(GREEN)} if won else {}))
    return Plot(name, axes.chart())


def _shade(height: float) -> str:
    """Return a network's colour: fuller where it is better in the first response."""
    mixed = (round(a + height * (b - a)) for a, b in zip(_PALEST, _FULL, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _across_up(axes: Sequence[FrontAxis], i: int, j: int) -> tuple[int, int]:
    """Return which of two axes goes across and which up: what is maximised goes up."""
    return (j, i) if axes[i].goal == "max" and axes[j].goal == "min" else (i, j)


def _range(axis: FrontAxis, index: int, marks: Sequence[FrontMark]) -> tuple[float, float]:
    """Return the worst and the best value on an axis."""
    values = [m.values[index].mean for m in marks if math.isfinite(m.values[index].mean)] or [0.0]
    least, greatest = min(values), max(values)
    return (least, greatest) if axis.goal == "max" else (greatest, least)


def _height(value: float, worst: float, best: float) -> float:
    return 0.5 if best == worst else (value - worst) / (best - worst)


def _ends(axes: Axes, axes_of: Sequence[FrontAxis], ranges: Sequence[tuple[float, float]]) -> None:
    """Write each response with its best value on top and its worst below."""
    tops: list[dict[str, Any]] = []
    feet: list[dict[str, Any]] = []
    for index, (axis, ends) in enumerate(zip(axes_of, ranges, strict=True)):
        worst, best = (f"{numbers.significant(axis.shown(v))} {axis.unit}".rstrip() for v in ends)
        label = _in_two_lines(f"{axis.label[:1].upper()}{axis.label[1:]}")
        tops.append({"x": index, "y": 1.0, "text": best})
        feet.append({"x": index, "y": 0.0, "text": f"{worst}\n{label}"})
    axes.texts(tops, -10, "bottom")
    axes.texts(feet, 12, "top")
    axes.labels([{"y": 0.0, "text": "worst"}, {"y": 1.0, "text": "best"}])


def _in_two_lines(label: str, most: int = 14) -> str:
    if len(label) <= most or " " not in label:
        return label
    cuts = [i for i, c in enumerate(label) if c == " "]
    cut = min(cuts, key=lambda i: abs(i - len(label) / 2))
    return f"{label[:cut]}\n{label[cut + 1 :]}"


def _thinned(marks: Sequence[FrontMark], most: int) -> Sequence[FrontMark]:
    if len(marks) <= most:
        return marks
    last = len(marks) - 1
    return [marks[round(i * last / (most - 1))] for i in range(most)]
