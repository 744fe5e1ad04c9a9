"""The comparison of several boards: one HTML file in the style of the boards' own reports."""

from __future__ import annotations

from typing import Any

from edgenas.records import Interval
from edgenas.reporting import comparison_charts, comparison_words, formats, front_charts
from edgenas.reporting.compared import ComparedChoice, ComparisonData, FinishedBoard
from edgenas.reporting.page import candidate_figures, environment, inline, style


def render(data: ComparisonData) -> str:
    """Return the page as HTML; the same data gives the same bytes."""
    template = environment().get_template("comparison.html.j2")
    page = template.render(
        data=data,
        style=style(),
        headline=comparison_words.headline(data),
        sentence=comparison_words.sentence(data),
        speeds=comparison_words.speeds(data),
        differences=comparison_words.differences(data),
        winner_table=_winner_table(data.boards),
        crossed=_crossed(data),
        frontiers=inline(comparison_charts.frontiers(data)),
        overlays=[
            inline(plot)
            for plot in front_charts.overlays([(one.target, one.data) for one in data.boards])
        ],
        effects=inline(comparison_charts.effects(data)),
        ratios=inline(comparison_charts.ratios(data)),
        n_shown=len(comparison_charts.shown_choices(data)),
        choices=[_choice(data, choice) for choice in data.choices],
        targets=[board.target for board in data.boards],
        ways=[f"{t} over {data.boards[0].target}" for t in _others(data)],
    )
    return page.lstrip()


def _winner_table(boards: tuple[FinishedBoard, ...]) -> list[tuple[str, list[str]]]:
    """Return (figure, its value for the winner of each board)."""
    columns: list[dict[str, str]] = []
    for board in boards:
        winner = board.data.winner or next(iter(board.data.candidates), None)
        figures = {"Budget": formats.milliseconds(board.data.limit_ms)}
        columns.append(figures | (candidate_figures(winner) if winner else {}))
    labels = dict.fromkeys(label for column in columns for label in column)
    return [(label, [column.get(label, formats.MISSING) for column in columns]) for label in labels]


def _crossed(data: ComparisonData) -> list[dict[str, Any]]:
    """Return, for each winner, its predicted latency on each board, and whether that is over."""
    limits = {board.target: board.data.limit_ms for board in data.boards}
    return [
        {
            "one": one,
            "cells": [
                (f"{formats.with_bounds(value)} ms", value.upper > limits[target])
                for target, value in one.latency_ms.items()
            ],
        }
        for one in data.crossed
    ]


def _choice(data: ComparisonData, choice: ComparedChoice) -> tuple[str, list[str], list[Any]]:
    effects = [formats.effect(choice.effects[board.target]) for board in data.boards]
    ratios = [
        (_times(choice.ratios.get(target)), _beyond(data, choice, target))
        for target in _others(data)
    ]
    return choice.change, effects, ratios


def _times(value: Interval | None) -> str:
    return "—" if value is None else formats.with_bounds(value)


def _beyond(data: ComparisonData, choice: ComparedChoice, target: str) -> bool:
    value, speed = choice.ratios.get(target), data.speeds.get(target)
    return value is not None and speed is not None and comparison_words.beyond_speed(value, speed)


def _others(data: ComparisonData) -> list[str]:
    return [board.target for board in data.boards[1:]]
