"""The plots of a comparison: frontiers in one plot, effects and their ratios side by side."""

from __future__ import annotations

from collections.abc import Sequence

from edgenas.core.records import Interval
from edgenas.core.records.goals import SCORE
from edgenas.reporting.compared import ComparedChoice, ComparisonData, FinishedBoard
from edgenas.reporting.plots.front_kinds import COLOURS, DASHES
from edgenas.reporting.plots.kinds import CROSS, STAR, draw_budget, row_axes, short, with_limits
from edgenas.reporting.plots.marks import Axes, Look, Record, span
from edgenas.reporting.plots.of_report import rising
from edgenas.reporting.plots.plot import INK, PAPER, Plot
from edgenas.reporting.words import numbers
from edgenas.reporting.words.bars import stage_first

MOST_CHOICES = 18
_MARKERS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")
_LOG_FROM = 6.0  # greatest over least latency
_APART = 0.6  # of a row, between its first and its last target


def frontiers(data: ComparisonData) -> Plot | None:
    """Draw the predicted frontier of every board, with its verified winner and its budget."""
    boards = [board for board in data.boards if board.data.search and board.data.search.frontier]
    if not boards:
        return None
    lines = [_frontier(board) for board in boards]
    winners = [
        (n, winner) for n, board in enumerate(boards) if (winner := _winner(board)) is not None
    ]
    latencies = [x for line in lines for x, _ in line]
    xs = [*latencies, *(float(winner["x"]) for _, winner in winners)]
    ys = [y for line in lines for _, y in line] + [float(winner["y"]) for _, winner in winners]
    budgets = _budgets(boards)
    across = span("Latency on the board (ms)", xs, max(latencies) > _LOG_FROM * min(latencies) > 0)
    up = span(f"{data.score.capitalize()} (%)", ys)
    axes = Axes(with_limits(across, list(budgets)), up, 560, 360)
    looks: dict[str, Look] = {}
    marks: list[Record] = []
    for number, (board, line) in enumerate(zip(boards, lines, strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        axes.line(line, colour, steps="step-after", dash=DASHES[number % len(DASHES)], width=2.2)
        looks[board.target] = Look("circle", 30, colour, PAPER)
        marks += _marks(board, line)
    axes.points(marks, looks)
    axes.budget(None, "", INK, row=len(budgets))
    for number, winner in winners:
        colour = COLOURS[number % len(COLOURS)]
        passed = boards[number].data.status == "pass"
        look = Look(STAR, 260, colour, INK) if passed else Look(CROSS, 110, colour, INK)
        axes.lone(winner, look)
    for row, (limit, colour) in enumerate(budgets.items()):  # may be near each other
        draw_budget(axes, limit, f"budget {numbers.milliseconds(limit)}", colour, row)
    return Plot("frontiers", axes.chart())


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
    axes = _rows(rows, targets, "Change in latency (ms)", [0.0])
    axes.at_x(0, INK)
    _draw_rows(axes, rows, targets)
    return Plot("compared-effects", axes.chart())


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
    speeds = [v for speed in data.speeds.values() for v in (speed.lower, speed.upper)]
    axes = _rows(rows, targets, label, [1.0, *speeds], logarithmic=True)
    axes.at_x(1.0, INK)
    for target, speed in data.speeds.items():
        colour = COLOURS[targets.index(target) % len(COLOURS)]
        axes.upright_band(speed.lower, speed.upper, colour, 0.18)
        axes.at_x(speed.mean, colour, (5, 4))
    _draw_rows(axes, rows, targets)
    return Plot("compared-ratios", axes.chart())


_ChoiceRows = Sequence[tuple[str, dict[str, Interval]]]


def _rows(
    rows: _ChoiceRows,
    targets: list[str],
    label: str,
    more: Sequence[float],
    logarithmic: bool = False,
) -> Axes:
    """Return axes for rows of points with intervals; first row on top."""
    values = [
        v for _, of in rows for value in of.values() for v in (value.mean, value.lower, value.upper)
    ]
    height = 1.0 + 0.22 * max(0, len(targets) - 2)
    return row_axes(label, [*values, *more], len(rows), logarithmic=logarithmic, height=height)


def _draw_rows(axes: Axes, rows: _ChoiceRows, targets: list[str]) -> None:
    """Draw rows of points with intervals, one a target, slightly apart."""
    apart = _APART / max(2, len(targets))
    records: list[Record] = []
    for at, (change, values) in enumerate(rows):
        for target, value in values.items():
            number = targets.index(target)
            records.append(
                {
                    "x": value.mean,
                    "x_lower": value.lower,
                    "x_upper": value.upper,
                    "y": at + (number - (len(targets) - 1) / 2) * apart,
                    "series": target,
                    "colour": COLOURS[number % len(COLOURS)],
                    "opacity": 1.0,
                    "tip": f"{change}, {target}: {numbers.with_bounds(value)}",
                }
            )
    named = {str(record["series"]) for record in records}
    axes.across_bars(records, 1.6)
    axes.points(
        records,
        {
            target: Look(
                _MARKERS[number % len(_MARKERS)], 64, COLOURS[number % len(COLOURS)], "white"
            )
            for number, target in enumerate(targets)
            if target in named
        },
    )
    axes.labels(
        [{"y": at, "text": short(stage_first(change))} for at, (change, _) in enumerate(rows)]
    )


def _frontier(board: FinishedBoard) -> list[tuple[float, float]]:
    assert board.data.search
    candidates = board.data.search.frontier
    return rising(
        (candidate["latency_ms"].mean, 100 * candidate[SCORE].mean) for candidate in candidates
    )


def _marks(board: FinishedBoard, line: Sequence[tuple[float, float]]) -> list[Record]:
    """Return the networks of a board's frontier that its line joins."""
    assert board.data.search
    at = {
        (one["latency_ms"].mean, 100 * one[SCORE].mean): one for one in board.data.search.frontier
    }
    return [
        {
            "x": x,
            "y": y,
            "series": board.target,
            "net": str(at[x, y].architecture),
            "tip": f"{at[x, y].architecture}\npredicted on {board.target}: "
            f"{numbers.with_bounds(at[x, y]['latency_ms'])} ms, {board.data.score} "
            f"{numbers.percent_bounds(at[x, y][SCORE])}",
        }
        for x, y in line
    ]


def _winner(board: FinishedBoard) -> Record | None:
    winner = board.data.winner
    if winner is None or winner.measured_latency_ms is None or winner.device_accuracy is None:
        return None
    tip = (
        f"{'winner' if board.data.status == 'pass' else 'best, failed'} on {board.target}\n"
        f"{winner.predicted.architecture}\n"
        f"measured {numbers.milliseconds(winner.measured_latency_ms.median)}, "
        f"{board.data.score} {numbers.percent(winner.device_accuracy, winner.n_images)}"
    )
    return {
        "x": winner.measured_latency_ms.median,
        "y": 100 * winner.device_accuracy,
        "series": board.target,
        "net": str(winner.predicted.architecture),
        "tip": tip,
    }


def _budgets(boards: Sequence[FinishedBoard]) -> dict[float, str]:
    """Return limit -> colour: each board's own, or ink for one that boards share."""
    budgets: dict[float, str] = {}
    for number, board in enumerate(boards):
        limit = board.data.limit_ms
        if limit is None or not board.data.limited:
            continue
        budgets[limit] = INK if limit in budgets else COLOURS[number % len(COLOURS)]
    return budgets
