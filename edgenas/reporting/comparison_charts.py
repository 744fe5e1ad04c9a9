"""The plots of a comparison: frontiers in one plot, effects and their ratios side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import LogLocator

from edgenas.records import Interval
from edgenas.reporting import formats
from edgenas.reporting.charts import rising
from edgenas.reporting.compared import ComparedChoice, ComparisonData, FinishedBoard
from edgenas.reporting.plot import BLUE, GREEN, GREY, INK, ORANGE, RED, Plot
from edgenas.reporting.plots import draw_budget

MOST_CHOICES = 18
_COLOURS = (BLUE, ORANGE, GREEN, RED, INK, GREY)
_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), "-.", ":")
_MARKERS = ("o", "s", "D", "^", "v", "P")
_LOG_FROM = 6.0  # greatest over least latency


def frontiers(data: ComparisonData) -> Plot | None:
    """Draw the predicted frontier of every board, with its verified winner and its budget."""
    boards = [board for board in data.boards if board.data.search and board.data.search.frontier]
    if not boards:
        return None
    plot = Plot("frontiers", 5.8, 4.1)
    with plot.drawing() as axes:
        axes.set(xlabel="Latency on the board (ms)", ylabel="Accuracy (%)")
        latencies = [
            x for number, board in enumerate(boards) for x in _frontier(axes, board, number)
        ]
        for number, board in enumerate(boards):
            _winner(plot, axes, board, number)
        if max(latencies) > _LOG_FROM * min(latencies):
            _log_scale(axes)
        axes.margins(0.06)
        for row, (limit, colour) in enumerate(_budgets(boards).items()):  # may be near each other
            draw_budget(axes, limit, f"budget {formats.milliseconds(limit)}", colour, row)
        _legend(plot)
    return plot


def shown_choices(data: ComparisonData) -> list[ComparedChoice]:
    """Return the choices that the plots show: those of the largest effects on any board."""
    largest = sorted(data.choices, key=lambda c: -max(abs(e.mean) for e in c.effects.values()))
    return largest[:MOST_CHOICES]


def effects(data: ComparisonData) -> Plot | None:
    """Draw what each choice costs, a point a board."""
    rows = [(choice.change, choice.effects) for choice in shown_choices(data)]
    targets = [board.target for board in data.boards]
    if not rows:
        return None
    plot = _rows("compared-effects", rows, targets, "Change in latency (ms)")
    with plot.drawing() as axes:
        axes.axvline(0, color=INK, lw=0.9, zorder=1)
    return plot


def ratios(data: ComparisonData) -> Plot | None:
    """Draw each choice's cost over that on the first board; a line marks the ratio of speed."""
    rows = []
    for choice in shown_choices(data):
        positive = {t: value for t, value in choice.ratios.items() if value.lower > 0}
        rows.append((choice.change, positive))
    if not any(values for _, values in rows):
        return None
    targets = [board.target for board in data.boards]
    label = f"Cost over that on {targets[0]} (times)"
    plot = _rows("compared-ratios", rows, targets, label)
    with plot.drawing() as axes:
        _log_scale(axes)
        axes.axvline(1.0, color=INK, lw=0.9, zorder=1)
        for target, speed in data.speeds.items():
            colour = _COLOURS[targets.index(target) % len(_COLOURS)]
            axes.axvspan(speed.lower, speed.upper, color=colour, alpha=0.18, lw=0, zorder=0)
            axes.axvline(speed.mean, color=colour, lw=1.0, ls=(0, (4, 3)), zorder=1)
    return plot


def _rows(
    name: str, rows: Sequence[tuple[str, dict[str, Interval]]], targets: list[str], label: str
) -> Plot:
    """Draw rows of points with intervals, one a target, slightly apart; first row on top."""
    plot = Plot(name, 5.2, max(1.9, 1.0 + 0.3 * len(rows)))
    with plot.drawing() as axes:
        apart = 0.6 / max(2, len(targets))
        named = set()
        for at, (change, values) in enumerate(rows):
            for target, value in values.items():
                number = targets.index(target)
                y = at + (number - (len(targets) - 1) / 2) * apart
                colour = _COLOURS[number % len(_COLOURS)]
                axes.hlines(y, value.lower, value.upper, color=colour, lw=1.3, zorder=3)
                (point,) = axes.plot(
                    value.mean,
                    y,
                    marker=_MARKERS[number % len(_MARKERS)],
                    ms=4.2,
                    color=colour,
                    ls="none",
                    label="_" if target in named else target,
                )
                named.add(target)
                plot.tip(point, f"{change}, {target}: {formats.with_bounds(value)}")
        axes.set_yticks(range(len(rows)), [_short(change) for change, _ in rows])
        axes.set(xlabel=label, ylim=(len(rows) - 0.4, -0.6))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        _legend(plot)
    return plot


def _frontier(axes: Any, board: FinishedBoard, number: int) -> list[float]:
    assert board.data.search
    candidates = board.data.search.frontier
    points = rising((one.latency_ms.mean, 100 * one.accuracy.mean) for one in candidates)
    xs, ys = zip(*points, strict=True)
    axes.plot(
        xs,
        ys,
        drawstyle="steps-post",
        color=_COLOURS[number % len(_COLOURS)],
        ls=_DASHES[number % len(_DASHES)],
        lw=1.7,
        label=board.target,
    )
    return list(xs)


def _winner(plot: Plot, axes: Any, board: FinishedBoard, number: int) -> None:
    winner = board.data.winner
    if winner is None or winner.measured_latency_ms is None or winner.device_accuracy is None:
        return
    (mark,) = axes.plot(
        winner.measured_latency_ms.median,
        100 * winner.device_accuracy,
        marker="*" if board.data.status == "pass" else "X",
        ms=14.0 if board.data.status == "pass" else 8.0,
        mfc=_COLOURS[number % len(_COLOURS)],
        mec=INK,
        mew=0.7,
        ls="none",
        zorder=6,
    )
    plot.tip(
        mark,
        f"{'winner' if board.data.status == 'pass' else 'best, failed'} on {board.target}\n"
        f"{winner.predicted.architecture}\n"
        f"measured {formats.milliseconds(winner.measured_latency_ms.median)}, accuracy "
        f"{formats.percent(winner.device_accuracy, winner.n_images)}",
    )


def _budgets(boards: Sequence[FinishedBoard]) -> dict[float, str]:
    """Return limit -> colour: each board's own, or ink for one that boards share."""
    budgets: dict[float, str] = {}
    for number, board in enumerate(boards):
        if not board.data.limited:
            continue
        limit = board.data.limit_ms
        budgets[limit] = INK if limit in budgets else _COLOURS[number % len(_COLOURS)]
    return budgets


def _legend(plot: Plot) -> None:
    handles, labels = plot.axes.get_legend_handles_labels()
    plot.figure.legend(handles, labels, loc="outside upper center", ncols=3, handletextpad=0.5)


def _log_scale(axes: Any) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: "")


def _short(change: str, most: int = 40) -> str:
    """Return the change with its stage in front, so that labels differ where they start."""
    label = re.sub(r"^(.+) in (?:one block of )?(stage \d+)$", r"\2: \1", change)
    return label if len(label) <= most else f"{label[: most - 1]}…"
