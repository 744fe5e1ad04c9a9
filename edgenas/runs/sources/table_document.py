"""What a search on a table says: its part of the JSON document, and its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgenas.core.metrics import of_column
from edgenas.core.records import (
    Candidate,
    SearchResult,
    TableRow,
    Verification,
    VerifiedRow,
    to_json,
)
from edgenas.core.records.tables import TableCard
from edgenas.core.versions import installed
from edgenas.reporting.document import Budgets
from edgenas.reporting.pages.table import render
from edgenas.reporting.replayed import ReplayData
from edgenas.runs.artifacts import Explanation
from edgenas.runs.command_line import command
from edgenas.runs.frontier.budgets import budgets
from edgenas.runs.frontier.stored import FrontPoint, read_front
from edgenas.runs.run import RunContext
from edgenas.runs.sources.table_run import TableRun


def document(context: RunContext, replay: TableRun) -> dict[str, Any]:
    """Return what the document of a search on a table says alone. Accuracies are fractions 0 to 1.

    The status is "looked up", never "pass": nothing was measured.
    """
    winner: Any = context.winner()
    result, verification, card = _found(context, replay)
    table = verification.table
    assert table is not None
    return {
        "provider": table.provider,
        "target": card.target,
        "board": card.board,
        "engine": card.engine,
        "objectives": list(result.objectives),
        "limits": [to_json(limit) for limit in result.limits],
        "confidence": result.confidence,
        "winner": None if winner is None else _finding(winner),
        "choice": None if winner is None else _choice(verification),
        "candidates": [_finding(one) | {"winner": one == winner} for one in verification.models],
        "frontier": [candidate_json(one) for one in result.frontier],
        "table": {
            "best": None if table.best is None else to_json(table.best),
            "regret": table.regret,
            "true_front": [to_json(row) for row in table.true_front],
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
            "rounds": verification.rounds,
            "looked_up": len(replay.rows()),
        },
    }


def _found(
    context: RunContext, replay: TableRun
) -> tuple[SearchResult[TableRow], Verification[VerifiedRow], TableCard]:
    result: Any = context.search_result()
    verification: Any = context.verified()
    return result, verification, replay.stored_card()


def _choice(verification: Verification[VerifiedRow]) -> dict[str, Any]:
    kept, objective = sum(one.passed for one in verification.models), verification.objective
    if kept == 1:
        return {"decided_by": "only", "reason": "It is the only candidate that keeps the limits."}
    return {
        "decided_by": objective,
        "reason": f"Of the {kept} candidates that keep the limits it has the best "
        f"{of_column(objective).label} in the table, whose values count as exact.",
    }


def candidate_json(one: Candidate[TableRow]) -> dict[str, Any]:
    """Return the JSON of a candidate of a table."""
    network = one.architecture
    return {"row": network.row, "choices": network.choices, "predicted": to_json(one.predicted)}


def _finding(one: VerifiedRow) -> dict[str, Any]:
    return {
        **candidate_json(one.candidate),
        "looked_up": one.measured,
        "within": one.passed,
        "reasons": list(one.reasons),
    }


def page(context: RunContext, replay: TableRun) -> str:
    """Return the report of a search on a table, from the files of the run."""
    notes, folder = context.notes(), context.folder
    result, verification, card = _found(context, replay)
    return render(
        ReplayData(
            run=str(folder.path),
            command=command(context),
            seed=context.config.seed,
            card=card,
            search=result,
            verdict=verification,
            now=context.verdict(),
            rows=replay.rows(),
            predictors=context.read(Explanation),
            versions=installed(),
            seconds=notes.seconds,
            warnings=notes.warnings,
            reused=notes.reused,
            budgets=_budgets(context, replay),
        )
    )


def _budgets(context: RunContext, replay: TableRun) -> Budgets | None:
    """Return what `edgenas pick` gives for every limit on what the objective is traded for."""
    result, _, _ = _found(context, replay)
    if not result.frontier:
        return None
    front = read_front(context.folder.path)
    cost = front.known.get(front.cost)
    if cost is None or cost.goal != "min":
        return None
    winner: Any = context.winner()
    won: TableRow | None = None if winner is None else winner.candidate.architecture
    choices = {
        str(x.architecture): x.architecture.choices for x in (*result.frontier, *result.candidates)
    }

    def changes(point: FrontPoint) -> Sequence[str]:
        if won is None:
            return ()
        pairs = ((name, value, won.choices[name]) for name, value in choices[point.name].items())
        return [f"{name}: {value} instead of {was}" for name, value, was in pairs if value != was]

    limits = (one.at_most for one in result.limits if one.response == cost.name)
    return budgets(front, cost.name, "" if won is None else str(won), changes, next(limits, None))
