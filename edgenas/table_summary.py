"""The JSON document of `edgenas search` on a table; scripts depend on it: add, rename none."""

from __future__ import annotations

from typing import Any

from edgenas.records import to_json
from edgenas.records.tables import TableCandidate, TableFinding
from edgenas.run_context import RunContext


def summary(context: RunContext) -> dict[str, Any]:
    """Return the outcome of a search on a table.

    `status` is "looked up", or "fail" where no candidate keeps the limits; never "pass": nothing
    was measured. `winner` is then null. Accuracies are fractions 0 to 1.
    """
    replay, notes = context.replay, context.notes()
    result, verdict, card = replay.search_result(), replay.verdict(), replay.stored_card()
    winner = verdict.winner
    return {
        "status": verdict.status,
        "provider": verdict.provider,
        "run": str(context.folder.path),
        "target": card.target,
        "board": card.board,
        "engine": card.engine,
        "objectives": list(result.objectives),
        "limits": [to_json(limit) for limit in result.limits],
        "confidence": result.confidence,
        "winner": None if winner is None else _finding(winner),
        "candidates": [_finding(finding) for finding in verdict.findings],
        "frontier": [_candidate(one) for one in result.frontier],
        "table": {
            "best": None if verdict.best is None else to_json(verdict.best),
            "regret": verdict.regret,
            "true_front": [to_json(row) for row in verdict.true_front],
        },
        "predictors": {
            name: {"n": replay.predictor(name).regression.n}
            | {"heldout": to_json(replay.predictor(name).regression.heldout)}
            for name in replay.table.responses
        },
        "search": {
            "method": result.method,
            "optimal": result.optimal,
            "evaluations": result.evaluations,
            "rounds": verdict.rounds,
            "looked_up": len(replay.rows()),
        },
        "seconds": {step: round(seconds, 3) for step, seconds in notes.seconds.items()},
        "warnings": list(notes.warnings),
        "reused": list(notes.reused),
        "report": str(context.folder.report) if context.folder.report.exists() else None,
    }


def _candidate(one: TableCandidate) -> dict[str, Any]:
    return {
        "row": one.network.row,
        "choices": one.network.choices,
        "predicted": to_json(one.predicted),
    }


def _finding(finding: TableFinding) -> dict[str, Any]:
    return {
        **_candidate(finding.candidate),
        "looked_up": finding.values,
        "within": finding.within,
        "reasons": list(finding.reasons),
    }
