"""A `ComparisonData` for tests: the sample run as three boards, one of them odd, and one failed."""

from __future__ import annotations

from dataclasses import replace

from edgenas.core.intervals import ratio
from edgenas.core.records import Candidate, Interval, SearchResult
from edgenas.reporting.compared import ComparedChoice, ComparisonData, Crossed, FinishedBoard
from edgenas.reporting.document import MeasuredLatency, ReportData
from helpers.reporting_sample import sample

SLOW, ODD = 2.5, 1.4
CHOICES = {
    "input of 14 px instead of 12 px": 0.02,
    "one more block in stage 2": 0.03,
    "kernel 5 instead of 3 in one block of stage 2": 0.004,
    "expand ratio 4 instead of 3 in one block of stage 3": -0.002,
    "expand ratio 6 instead of 4 in one block of stage 3": 0.0001,
}
KERNEL = "kernel 5 instead of 3 in one block of stage 2"


def comparison() -> ComparisonData:
    """Return three boards: "pi 4", a slower one, and one on which large kernels are dear."""
    data = sample()
    boards = tuple(
        FinishedBoard(target, f"boards/{target}/report.html", _slower(data, target, factor))
        for target, factor in (("pi 4", 1.0), ("pi 3", SLOW), ("odd board", ODD))
    )
    choices = []
    for change, cost in CHOICES.items():
        effects = {
            "pi 4": _about(cost),
            "pi 3": _about(cost * SLOW),
            "odd board": _about(cost * (4.0 if change == KERNEL else ODD)),
        }
        ratios = {t: ratio(effects[t], effects["pi 4"]) for t in ("pi 3", "odd board")}
        known = {t: value for t, value in ratios.items() if value is not None}
        choices.append(ComparedChoice(change, effects, known))
    assert data.winner is not None
    return ComparisonData(
        run="runs/three",
        confidence=0.95,
        boards=boards,
        failed={"nano": "nano cannot be reached: Connection refused."},
        choices=tuple(choices),
        speeds={
            "pi 3": _scaled(Interval(1, 0.98, 1.02), SLOW),
            "odd board": Interval(1.4, 1.3, 1.5),
        },
        n_common=45,
        crossed=(
            Crossed(
                "pi 4",
                data.winner.predicted.architecture,
                {board.target: Interval(0.19, 0.18, 0.198) for board in boards},
            ),
        ),
    )


def _slower(data: ReportData, target: str, factor: float) -> ReportData:
    winner, search = data.winner, data.search
    assert winner is not None and search is not None and winner.measured_latency_ms is not None
    latency = winner.measured_latency_ms
    return replace(
        data,
        target=target,
        limit_ms=data.limit_ms * factor,
        winner=replace(
            winner,
            measured_latency_ms=MeasuredLatency(
                latency.median * factor,
                latency.p90 * factor,
                (latency.ci95[0] * factor, latency.ci95[1] * factor),
            ),
        ),
        search=_slower_search(search, factor),
    )


def _slower_search(search: SearchResult, factor: float) -> SearchResult:
    def slower(one: Candidate) -> Candidate:
        return replace(one, latency_ms=_scaled(one.latency_ms, factor))

    return replace(search, frontier=tuple(map(slower, search.frontier)))


def _about(mean: float) -> Interval:
    return Interval(mean, mean - 0.05 * abs(mean) - 0.0002, mean + 0.05 * abs(mean) + 0.0002)


def _scaled(value: Interval, factor: float) -> Interval:
    return Interval(value.mean * factor, value.lower * factor, value.upper * factor)
