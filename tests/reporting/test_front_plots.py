"""Fronts in several responses, drawn: what is in the plots, in the report and in the comparison."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from edgenas.core.goals import parse_constraints
from edgenas.core.metrics import REGISTRY
from edgenas.core.records import Candidate, Interval
from edgenas.optimize.optimizers.dominance import nondominated
from edgenas.reporting.document import ReportData
from edgenas.reporting.pages import comparison as comparison_page
from edgenas.reporting.pages import report
from edgenas.reporting.plots import front_kinds, of_fronts
from edgenas.reporting.plots.fronts import FrontData, FrontMark, axis, pair_front
from helpers.comparison_sample import comparison
from helpers.reporting_sample import SPACE, sample


def several(data: ReportData, *objectives: str, constraints: tuple[str, ...] = ()) -> ReportData:
    """Return the sample as if it had been searched for `objectives`."""
    assert data.search is not None
    candidates = tuple(
        replace(
            one,
            predicted=grown(one.predicted),
            measured={
                "latency_ms": one.measured_latency_ms.median if one.measured_latency_ms else 0.0,
                "accuracy": one.device_accuracy or 0.0,
                **{name: value.mean for name, value in grown(one.predicted).responses.items()},
            },
        )
        for one in data.candidates
    )
    search = replace(
        data.search,
        objectives=objectives,
        constraints=constraints,
        limits=tuple(parse_constraints(constraints).values()),
        frontier=tuple(map(grown, data.search.frontier)),
    )
    return replace(data, search=search, candidates=candidates, winner=candidates[0])


def grown(one: Candidate) -> Candidate:
    layers = SPACE.layers(one.architecture)
    size = 5e3 + 1.1 * sum(layer.params for layer in layers)
    energy = 2.0 * one.latency_ms.mean + sum(layer.launches for layer in layers) / 30
    return replace(
        one,
        responses={
            "model_bytes": Interval(size, size - 50, size + 50),
            "energy_mj": Interval(energy, energy - 0.1, energy + 0.1),
        },
    )


def titles(svg: str) -> list[str]:
    return [unescape(text) for text in re.findall(r"<title>(.*?)</title>", svg, re.DOTALL)]


def test_the_line_of_a_pair_is_its_own_front() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((60, 3))
    axes = [axis(REGISTRY[name], 1.0) for name in ("accuracy", "latency_ms", "energy_mj")]
    marks = [
        FrontMark(tuple(Interval(x, x, x) for x in row), str(i))
        for i, row in enumerate(values.tolist())
    ]
    costs = values[:, [0, 2]] * (-1.0, 1.0)
    expected = {str(i) for i in nondominated(costs)}
    line = pair_front(marks, axes, 0, 2)
    assert {mark.tip for mark in line} == expected
    assert [m.values[0].mean for m in line] == sorted(m.values[0].mean for m in line)


@pytest.mark.parametrize(
    ("objectives", "count"),
    [
        (("accuracy", "latency_ms"), 0),  # the report's own plot
        (("accuracy", "energy_mj"), 1),
        (("accuracy", "latency_ms", "energy_mj"), 4),
        (("accuracy", "latency_ms", "energy_mj", "model_bytes"), 7),
    ],
)
def test_two_responses_are_a_scatter_and_more_are_pairs_and_lines(
    objectives: tuple[str, ...], count: int
) -> None:
    assert len(of_fronts.fronts(several(sample(), *objectives))) == count


def test_every_mark_tells_its_network_and_values() -> None:
    data = several(sample(), "accuracy", "energy_mj")
    assert data.search is not None
    (plot,) = of_fronts.fronts(data)
    tips = titles(plot.svg())
    for candidate in data.search.frontier:
        assert any(str(candidate.architecture) in tip and "energy" in tip for tip in tips)
    assert "better" in plot.svg()


def test_limits_true_fronts_and_failures_are_drawn() -> None:
    axes = (axis(REGISTRY["accuracy"], 1.0), axis(REGISTRY["peak_rss_bytes"], 6e7, at_most=5e7))
    one, two = (
        FrontMark((Interval(a, a, a), Interval(b, b, b)), f"network {a}")
        for a, b in ((0.8, 4e7), (0.9, 6e7))
    )
    data = FrontData(axes, front=(one, two), true_front=(one, two), failed=(two,), winner=one)
    (plot,) = front_kinds.plots("front", data)
    svg = plot.svg()
    for text in ("predicted front", "true front", "failed", "winner", "limit", "Peak memory (MB)"):
        assert text in svg


def test_a_report_of_several_objectives_says_what_was_searched_and_shows_the_front() -> None:
    html = report.render(several(sample(), "accuracy", "energy_mj", constraints=("size<=90kB",)))
    assert "more accuracy and less energy, with model size at most 90 kB" in html
    assert 'id="front"' in html
    assert "the budget of" not in html  # no latency limit was asked for
    assert 'id="front"' not in report.render(sample())


def test_boards_are_overlaid_where_they_searched_for_the_same() -> None:
    data = comparison()
    assert 'id="overlaid' not in comparison_page.render(data)
    boards = tuple(
        replace(board, data=several(board.data, "accuracy", "latency_ms", "model_bytes"))
        for board in data.boards
    )
    html = comparison_page.render(replace(data, boards=boards))
    assert "The fronts in the other responses" in html
    names = [board.target for board in boards]
    plots = of_fronts.overlays([(board.target, board.data) for board in boards])
    assert len(plots) == 2  # accuracy against latency has a plot of its own
    for plot in plots:
        assert all(name in plot.svg() for name in names)
