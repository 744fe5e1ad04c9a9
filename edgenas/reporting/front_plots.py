"""The plots of a front: scatters of two responses, one line a network over all, boards overlaid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from matplotlib.colors import LinearSegmentedColormap

from edgenas.reporting import formats
from edgenas.reporting.fronts import FrontAxis, FrontData, FrontMark, pair_front
from edgenas.reporting.plot import BLUE, GREEN, GREY, GRID, INK, MUTED, ORANGE, RED, Plot

_WIDTH_IN, _HEIGHT_IN = 5.2, 3.9
MOST_MARKS = 150  # of the front in one plot; the others are left out evenly
_MOST_LINES = 120
_LOG_FROM = 20.0  # greatest over least value of an axis
COLOURS = (BLUE, ORANGE, GREEN, RED, INK, GREY)
_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), "-.", ":")
_BEST_FIRST = LinearSegmentedColormap.from_list("best first", ("#c9d6e0", BLUE))


def plots(name: str, data: FrontData) -> list[Plot]:
    """Return the plots of a front: one scatter of two responses; of more, all pairs and lines."""
    pairs = itertools.combinations(range(len(data.axes)), 2)
    drawn = [scatter(f"{name}-{i}-{j}", data, *_across_up(data.axes, i, j)) for i, j in pairs]
    return [*drawn, parallel(f"{name}-parallel", data)] if len(data.axes) > 2 else drawn


def scatter(name: str, data: FrontData, across: int = 0, up: int = 1) -> Plot:
    """Draw two responses of a front against each other.

    The line joins the networks that are best in these two alone; the others on the front pay for
    a third response.
    """
    pair = _Pair(name, data.axes, across, up)
    on_line = pair.best(data.front)
    others = [mark for mark in _thinned(data.front, MOST_MARKS) if mark not in on_line]
    won = () if data.winner is None else (data.winner,)
    pair.steps(pair.best(data.true_front), color=INK, lw=1.1, ls=(0, (2, 1.5)), label="true front")
    pair.steps(on_line, color=ORANGE, lw=1.6, label=data.front_name)
    pair.marks(data.measured, marker="o", ms=3.6, mfc=GREY, mec=GREY, label=data.measured_name)
    small = {"marker": "D", "mfc": "white", "mec": ORANGE}
    pair.marks(others, ms=3.0, mew=0.7, alpha=0.6, label="front in all responses", **small)
    pair.marks(_thinned(on_line, MOST_MARKS), ms=3.8, mew=1.0, **small)
    pair.marks(data.verified, marker="s", ms=6.0, mfc=BLUE, mec="white", label=data.verified_name)
    pair.marks(data.failed, marker="X", ms=7.5, mfc=RED, mec="white", label="failed")
    pair.marks(won, marker="*", ms=14.0, mfc=GREEN, mec=INK, mew=0.7, label="winner")
    pair.limits()
    return pair.finished(data.marks)


def overlaid(
    name: str, axes: Sequence[FrontAxis], boards: Sequence[tuple[str, Sequence[FrontMark]]]
) -> Plot:
    """Draw the fronts of several boards in the first two responses, a colour and dash a board."""
    pair = _Pair(name, axes, *_across_up(axes, 0, 1))
    for number, (board, marks) in enumerate(boards):
        colour = COLOURS[number % len(COLOURS)]
        best = pair.best(marks)
        pair.steps(best, color=colour, ls=_DASHES[number % len(_DASHES)], lw=1.7, label=board)
        pair.marks(_thinned(best, MOST_MARKS), marker="o", ms=3.2, mfc=colour, mec="white", mew=0.5)
    return pair.finished([mark for _, marks in boards for mark in marks])


class _Pair:
    """A plot of two responses."""

    def __init__(self, name: str, axes: Sequence[FrontAxis], across: int, up: int) -> None:
        self._of, self._across, self._up = axes, across, up
        self._x, self._y = axes[across], axes[up]
        self._plot = Plot(name, _WIDTH_IN, _HEIGHT_IN)
        with self._plot.drawing() as drawn:
            drawn.set(xlabel=self._x.title, ylabel=self._y.title)

    def best(self, marks: Sequence[FrontMark]) -> list[FrontMark]:
        """Return the marks that are best in these two responses alone."""
        return pair_front(marks, self._of, self._across, self._up)

    def steps(self, marks: Sequence[FrontMark], **style: Any) -> None:
        """Join marks by steps: between two of them only the worse on each axis is sure."""
        if marks:
            xs, ys = zip(*map(self._place, marks), strict=True)
            where = "steps-post" if self._x.goal == "min" else "steps-pre"
            with self._plot.drawing() as drawn:
                drawn.plot(xs, ys, drawstyle=where, zorder=3, **style)

    def marks(self, marks: Sequence[FrontMark], label: str = "_", **look: Any) -> None:
        """Draw marks with their hover texts; one legend entry for them all."""
        with self._plot.drawing() as drawn:
            for mark in marks:
                x, y = self._place(mark)
                if math.isfinite(x) and math.isfinite(y):
                    (point,) = drawn.plot(x, y, ls="none", zorder=4, label=label, **look)
                    self._plot.tip(point, mark.tip)
                    label = "_"

    def limits(self) -> None:
        """Draw a line where a limit is."""
        style = {"color": RED, "lw": 1.1, "ls": (0, (5, 3)), "zorder": 2, "label": "limit"}
        with self._plot.drawing() as drawn:
            for axis, draw in ((self._x, drawn.axvline), (self._y, drawn.axhline)):
                for limit in (axis.at_most, axis.at_least):
                    if limit is not None:
                        draw(axis.shown(limit), **style)

    def finished(self, marks: Sequence[FrontMark]) -> Plot:
        """Return the plot, with a scale that suits `marks` and a legend."""
        with self._plot.drawing() as drawn:
            drawn.margins(0.06)
            for index, which in ((self._across, "x"), (self._up, "y")):
                values = [m.values[index].mean for m in marks]
                values = [value for value in values if math.isfinite(value)]
                if values and 0 < min(values) < max(values) / _LOG_FROM:
                    getattr(drawn, f"set_{which}scale")("log")
                    getattr(drawn, f"{which}axis").set_major_formatter(lambda v, _: f"{v:g}")
                    getattr(drawn, f"{which}axis").set_minor_formatter(lambda v, _: "")
            _legend(self._plot)
        return self._plot

    def _place(self, mark: FrontMark) -> tuple[float, float]:
        x, y = mark.values[self._across].mean, mark.values[self._up].mean
        return self._x.shown(x), self._y.shown(y)


def parallel(name: str, data: FrontData) -> Plot:
    """Draw one line a network over all responses, each scaled to its range, better upwards."""
    plot = Plot(name, _WIDTH_IN, _HEIGHT_IN)
    won = () if data.winner is None else (data.winner,)
    shown = (*data.front, *data.verified, *won)
    ranges = [_range(axis, index, shown) for index, axis in enumerate(data.axes)]

    def heights(mark: FrontMark) -> list[float]:
        return [_height(value.mean, *ends) for value, ends in zip(mark.values, ranges, strict=True)]

    with plot.drawing() as axes:
        lines: list[tuple[FrontMark, dict[str, Any]]] = []
        for mark in sorted(_thinned(data.front, _MOST_LINES), key=lambda one: heights(one)[0]):
            colour = _BEST_FIRST(heights(mark)[0])
            lines.append((mark, {"color": colour, "lw": 0.9, "alpha": 0.75}))
        look = {"color": INK, "lw": 1.6, "zorder": 5}
        lines += [(mark, {**look, "label": data.verified_name}) for mark in data.verified]
        lines += [
            (mark, {"color": GREEN, "lw": 2.8, "zorder": 6, "label": "winner"}) for mark in won
        ]
        for mark, style in lines:
            (line,) = axes.plot(range(len(ranges)), heights(mark), **style)
            plot.tip(line, mark.tip)
        _uprights(axes, data.axes, ranges)
        _legend(plot)
    return plot


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


def _uprights(
    axes: Any, axes_of: Sequence[FrontAxis], ranges: Sequence[tuple[float, float]]
) -> None:
    """Draw one upright a response with its best value on top and its worst below."""
    labels = []
    for index, (one, (worst, best)) in enumerate(zip(axes_of, ranges, strict=True)):
        axes.axvline(index, color=MUTED, lw=0.9, zorder=2)
        for value, height, align in ((best, 1.0, "bottom"), (worst, 0.0, "top")):
            axes.annotate(
                f"{formats.significant(one.shown(value))} {one.unit}".rstrip(),
                (index, height),
                xytext=(0, 4 if height else -4),
                textcoords="offset points",
                ha="center",
                va=align,
                color=INK,
                annotation_clip=False,
            )
        labels.append(_in_two_lines(f"{one.label[:1].upper()}{one.label[1:]}"))
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks([0.0, 1.0], ["worst", "best"])
    axes.tick_params(axis="both", length=0)
    axes.tick_params(axis="x", pad=16)
    axes.set(ylim=(-0.02, 1.02), xlim=(-0.35, len(labels) - 0.65))
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.axhline(0.5, color=GRID, lw=0.7, zorder=0)


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


def _legend(plot: Plot) -> None:
    handles, labels = plot.axes.get_legend_handles_labels()
    shown = dict(zip(labels, handles, strict=True))  # one entry a name
    if shown:
        plot.figure.legend(
            shown.values(), shown.keys(), loc="outside upper center", ncols=3, handletextpad=0.5
        )
