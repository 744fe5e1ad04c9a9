"""What sets several boards apart: their runs, compared as a page and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgenas.ratio import ratio, typical_ratio
from edgenas.records import Interval, to_json
from edgenas.reporting.compared import ComparedChoice, ComparisonData, Crossed, FinishedBoard
from edgenas.reporting.document import ReportData
from edgenas.run_context import RunContext
from edgenas.run_folder import RunFolder, write_bytes
from edgenas.steps.report import report_data


def write(
    path: Path,
    contexts: Sequence[RunContext],
    failed: dict[str, str],
    recommended: Sequence[str] = (),
) -> dict[str, Any]:
    """Compare the finished runs `contexts`; write PATH/report.html and return the JSON of it.

    failed : target -> why it has no finished run. recommended : sentences on engines to choose.

    In the JSON, `speed` and each choice's `ratios` are over the `reference`, the first finished
    board; `effects` are in `unit`, with the confidence intervals of the boards' own reports.
    """
    from edgenas.reporting.comparison_page import render

    data = replace(compare(path, contexts, failed), recommended=tuple(recommended))
    report = RunFolder(path).report
    write_bytes(report, render(data).encode())
    return {
        "reference": data.boards[0].target if data.boards else None,
        "speed": {target: _as_ratio(value) for target, value in data.speeds.items()},
        "comparison": [
            {
                "change": choice.change,
                "unit": "ms",
                "effects": {
                    target: {"effect": value.mean, "lower": value.lower, "upper": value.upper}
                    for target, value in choice.effects.items()
                },
                "ratios": {target: _as_ratio(value) for target, value in choice.ratios.items()},
            }
            for choice in data.choices
        ],
        "winners_elsewhere": [
            {
                "target": one.target,
                "architecture": to_json(one.architecture),
                "predicted_latency_ms": {t: to_json(value) for t, value in one.latency_ms.items()},
            }
            for one in data.crossed
        ],
        "report": str(report),
    }


def compare(path: Path, contexts: Sequence[RunContext], failed: dict[str, str]) -> ComparisonData:
    """Return what the page shows; the first run is what the others are compared with."""
    boards = []
    for context in contexts:
        link = context.folder.report.relative_to(path).as_posix()
        boards.append(FinishedBoard(context.target.name, link, report_data(context)))
    speeds, n_common = _speeds(contexts)
    return ComparisonData(
        run=str(path),
        confidence=boards[0].data.confidence if boards else 0.95,
        boards=tuple(boards),
        failed=failed,
        choices=_choices(boards),
        speeds=speeds,
        n_common=n_common,
        crossed=_crossed(contexts, boards),
    )


def _speeds(contexts: Sequence[RunContext]) -> tuple[dict[str, Interval], int]:
    """Return how long networks typically take, over the first run's, and over how many."""
    latencies = [context.latencies() for context in contexts]
    common = [a for a in latencies[0] if all(a in one for one in latencies)] if latencies else []
    speeds = {}
    for context, one in zip(contexts[1:], latencies[1:], strict=True):
        found = typical_ratio(
            [one[architecture][0] for architecture in common],
            [latencies[0][architecture][0] for architecture in common],
            context.config.confidence,
        )
        if found is not None:
            speeds[context.target.name] = found
    return speeds, len(common)


def _choices(boards: Sequence[FinishedBoard]) -> tuple[ComparedChoice, ...]:
    """Return the choices that every board has an effect of, with ratios to the first board.

    Boards whose intervals are of another confidence than the first's have no ratios.
    """
    by_board = {board.target: _effects(board.data) for board in boards}
    if not boards:
        return ()
    first, *others = boards
    changes = [
        change
        for change in by_board[first.target]
        if all(change in effects for effects in by_board.values())
    ]
    found = []
    for change in changes:
        effects = {target: of[change] for target, of in by_board.items()}
        ratios = {
            board.target: ratio(effects[board.target], effects[first.target])
            for board in others
            if board.data.confidence == first.data.confidence
        }
        known = {target: value for target, value in ratios.items() if value is not None}
        found.append(ComparedChoice(change, effects, known))
    return tuple(found)


def _effects(data: ReportData) -> dict[str, Interval]:
    predictor = data.predictor("latency_ms")
    effects = predictor.effects if predictor else ()
    return {one.change: Interval(one.effect, one.lower, one.upper) for one in effects}


def _crossed(
    contexts: Sequence[RunContext], boards: Sequence[FinishedBoard]
) -> tuple[Crossed, ...]:
    winners = [
        (board.target, board.data.winner.predicted.architecture)
        for board in boards
        if board.data.winner is not None and board.data.status == "pass"
    ]
    architectures = [architecture for _, architecture in winners]
    predicted = {
        context.target.name: context.predictors().candidates(architectures) for context in contexts
    }
    return tuple(
        Crossed(
            target,
            architecture,
            {name: candidates[index].latency_ms for name, candidates in predicted.items()},
        )
        for index, (target, architecture) in enumerate(winners)
    )


def _as_ratio(value: Interval) -> dict[str, float]:
    return {"ratio": value.mean, "lower": value.lower, "upper": value.upper}
