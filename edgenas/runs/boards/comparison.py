"""What sets several boards apart: their runs, compared as a page and as JSON."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edgenas.core.errors import RunFolderError
from edgenas.core.files.run_folder import RunFolder, read_json, write_json, write_text
from edgenas.core.intervals import ratio, typical_ratio
from edgenas.core.records import Interval, from_json, to_json
from edgenas.reporting.compared import ComparedChoice, ComparisonData, Crossed, FinishedBoard
from edgenas.reporting.document import ReportData
from edgenas.runs.boards.engines import EngineChoice
from edgenas.runs.run import RunContext
from edgenas.runs.sources.board_document import report_data


@dataclass(frozen=True)
class ComparisonFile:
    """What comparison.json says: what a comparison shows that no run folder has.

    failed : target -> why it has no finished run. engines : what was timed to choose between them.
    """

    failed: dict[str, str] = field(default_factory=dict)
    engines: tuple[EngineChoice, ...] = ()


def stored(path: Path) -> ComparisonFile:
    """Return what the comparison in the folder `path` was written with; nothing if it is older.

    Raises
    ------
    RunFolderError : PATH/comparison.json is damaged.
    """
    file = RunFolder(path).comparison
    if not file.exists():
        return ComparisonFile()
    return from_json(read_json(file), ComparisonFile, str(file), RunFolderError)


def write(
    path: Path,
    contexts: Sequence[RunContext],
    failed: dict[str, str],
    engines: Sequence[EngineChoice] = (),
) -> dict[str, Any]:
    """Compare the finished runs `contexts`; write PATH/report.html and return the JSON of it.

    failed : target -> why it has no finished run. engines : of each machine that has several. Both
    are stored in PATH/comparison.json.

    In the JSON, `speed` and each choice's `ratios` are over the `reference`, the first finished
    board; `effects` are in `unit`, with the confidence intervals of the boards' own reports.
    """
    from edgenas.reporting.pages.comparison import render

    write_json(RunFolder(path).comparison, to_json(ComparisonFile(failed, tuple(engines))))
    recommended = tuple(_recommendation(path, contexts, choice) for choice in engines)
    named = {context.target.name: context for context in contexts}
    data = replace(compare(path, named, failed), recommended=recommended)
    report = RunFolder(path).report
    write_text(report, render(data))
    return {**document(data), "report": str(report)}


def document(data: ComparisonData) -> dict[str, Any]:
    """Return the JSON of a comparison."""
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
    }


def _recommendation(path: Path, contexts: Sequence[RunContext], choice: EngineChoice) -> str:
    """Return which engine to take, and whether what was timed is still a winner."""
    winners = [context.winner() for context in contexts]
    networks = [None if one is None else one.model.candidate.architecture for one in winners]
    if choice.network is None or choice.network in networks:
        return choice.sentence
    again = f"edgenas search --out {shlex.quote(str(path))} --resume"
    return f"{choice.sentence} This network is no verified winner now; to time again: {again}"


def compare(path: Path, named: Mapping[str, RunContext], failed: dict[str, str]) -> ComparisonData:
    """Return what a page in the folder `path` shows of runs, by name; the first is what the others
    are compared with."""
    boards = []
    for name, context in named.items():
        link = quote(Path(os.path.relpath(context.folder.report, path)).as_posix())
        boards.append(FinishedBoard(name, link, report_data(context)))
    speeds, n_common = _speeds(named)
    return ComparisonData(
        run=str(path),
        confidence=boards[0].data.confidence if boards else 0.95,
        boards=tuple(boards),
        failed=failed,
        choices=_choices(boards),
        speeds=speeds,
        n_common=n_common,
        crossed=_crossed(named, boards),
    )


def _speeds(named: Mapping[str, RunContext]) -> tuple[dict[str, Interval], int]:
    """Return how long networks typically take, over the first run's, and over how many."""
    latencies = [context.latencies() for context in named.values()]
    common = [a for a in latencies[0] if all(a in one for one in latencies)] if latencies else []
    speeds = {}
    for (name, context), one in list(zip(named.items(), latencies, strict=True))[1:]:
        found = typical_ratio(
            [one[architecture][0] for architecture in common],
            [latencies[0][architecture][0] for architecture in common],
            context.config.confidence,
        )
        if found is not None:
            speeds[name] = found
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
    named: Mapping[str, RunContext], boards: Sequence[FinishedBoard]
) -> tuple[Crossed, ...]:
    """Return the winners with their predicted latency in every run whose space contains them."""
    found = []
    for board in boards:
        if board.data.winner is None or board.data.status != "pass":
            continue
        architecture = board.data.winner.predicted.architecture
        latency_ms = {
            name: context.predictors().candidates([architecture])[0]["latency_ms"]
            for name, context in named.items()
            if context.space.contains(architecture)
        }
        found.append(Crossed(board.target, architecture, latency_ms))
    return tuple(found)


def _as_ratio(value: Interval) -> dict[str, float]:
    return {"ratio": value.mean, "lower": value.lower, "upper": value.upper}
