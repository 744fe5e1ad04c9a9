"""The comparison of several boards: one HTML file in the style of the boards' own reports."""

from __future__ import annotations

import math
from typing import Any

from edgenas.core.records import Interval
from edgenas.reporting.compared import ComparedChoice, ComparisonData, FinishedBoard
from edgenas.reporting.pages import budget
from edgenas.reporting.pages.plots import PagePlots
from edgenas.reporting.pages.report import PLACE, candidate_figures, environment, style
from edgenas.reporting.plots import of_comparison, of_fronts
from edgenas.reporting.words import comparison, numbers


def render(data: ComparisonData) -> str:
    """Return the page as HTML; the same data gives the same bytes."""
    template, plots = environment().get_template("comparison.html.j2"), PagePlots()
    page = template.render(
        data=data,
        plots=plots,
        style=style(),
        headline=comparison.headline(data),
        sentence=comparison.sentence(data),
        speeds=comparison.speeds(data),
        differences=comparison.differences(data),
        winner_table=_winner_table(data.boards),
        crossed=_crossed(data),
        **budget.parts({one.target: one.data.budgets for one in data.boards}, {"frontiers": PLACE}),
        frontiers=plots.inline(of_comparison.frontiers(data)),
        overlays=[
            plots.inline(plot)
            for plot in of_fronts.overlays([(board.target, board.data) for board in data.boards])
        ],
        effects=plots.inline(of_comparison.effects(data)),
        ratios=plots.inline(of_comparison.ratios(data)),
        n_shown=len(of_comparison.shown_choices(data)),
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
        budget = numbers.milliseconds(board.data.limit_ms) if board.data.limited else "none"
        figures = {"Budget": budget}
        columns.append(figures | (candidate_figures(winner, board.data.score) if winner else {}))
    labels = dict.fromkeys(label for column in columns for label in column)
    return [(label, [column.get(label, numbers.MISSING) for column in columns]) for label in labels]


def _crossed(data: ComparisonData) -> list[dict[str, Any]]:
    """Return, for each winner, its predicted latency on each board, and whether that is over."""
    limits = {
        board.target: math.inf if board.data.limit_ms is None else board.data.limit_ms
        for board in data.boards
    }
    return [
        {
            "winner": winner,
            "cells": [
                (f"{numbers.with_bounds(value)} ms", value.upper > limits[board.target])
                if (value := winner.latency_ms.get(board.target)) is not None
                else ("not in its space", False)
                for board in data.boards
            ],
        }
        for winner in data.crossed
    ]


def _choice(data: ComparisonData, choice: ComparedChoice) -> tuple[str, list[str], list[Any]]:
    effects = [numbers.effect(choice.effects[board.target]) for board in data.boards]
    ratios = [
        (_times(choice.ratios.get(target)), _beyond(data, choice, target))
        for target in _others(data)
    ]
    return choice.change, effects, ratios


def _times(value: Interval | None) -> str:
    return "—" if value is None else numbers.with_bounds(value)


def _beyond(data: ComparisonData, choice: ComparedChoice, target: str) -> bool:
    value, speed = choice.ratios.get(target), data.speeds.get(target)
    return value is not None and speed is not None and comparison.beyond_speed(value, speed)


def _others(data: ComparisonData) -> list[str]:
    return [board.target for board in data.boards[1:]]
