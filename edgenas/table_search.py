"""A search on a measured table: the steps in order, resumable; nothing is trained or exported."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from edgenas.config import option_of
from edgenas.errors import InputError, nearest
from edgenas.run_context import RunContext
from edgenas.table_run import WITHOUT_MEANING
from edgenas.table_steps.verify import broken
from edgenas.table_summary import summary

# Searches until a promise holds: each is refitted with the winners of the one before.
MOST_ROUNDS = 4

STEPS = ("probe", "measure", "evaluate", "fit", "optimize", "verify", "explain", "report")
Step = Callable[..., Any]


def check(asked: dict[str, Any]) -> None:
    """Raise `InputError` for an option that means nothing to a table."""
    for name in WITHOUT_MEANING:
        if name in asked:
            raise InputError(
                f"{option_of(name)} means nothing to a measured table.", "Leave it out."
            )


def step_of_table(name: str) -> Step:
    """Return a step's function; `InputError` for one that a table does not have."""
    if name not in STEPS:
        raise InputError(f"There is nothing to {name} on a measured table.", nearest(name, STEPS))
    run: Step = importlib.import_module(f"edgenas.table_steps.{name}").run
    return run


def search(context: RunContext, step: Step) -> dict[str, Any]:
    """Run every step on the run; return the JSON document of `edgenas search`."""
    step(context, "probe")
    added = sum(step(context, name) for name in ("measure", "evaluate"))
    if not added and _answers(context):
        context.reuse("the search and its verification")
    else:
        _search_until_kept(context, step)
    for name in ("explain", "report"):
        step(context, name)
    return summary(context)


def _search_until_kept(context: RunContext, step: Step) -> None:
    for rounds in range(1, MOST_ROUNDS + 1):
        for name in ("fit", "optimize"):
            result = step(context, name)
        verdict = step(context, "verify", rounds=rounds)
        goal = context.replay.table.target.response(result.objectives[0]).goal
        missed = broken(verdict.findings, result, goal)
        if not missed:
            return
        then = "the search is repeated knowing them" if rounds < MOST_ROUNDS else "stop"
        context.progress.message(
            f"round {rounds}: {missed} candidates were not as promised; {then}"
        )


def _answers(context: RunContext) -> bool:
    """Whether the run has a winner, of a search under the options of now."""
    if not context.folder.verification.exists():
        return False
    replay, config = context.replay, context.config
    result, verdict = replay.search_result(), replay.verdict()
    limits = {x.response: (x.at_most, x.at_least) for x in result.limits}
    asked = {x.response: (x.at_most, x.at_least) for x in config.limits().values()}
    return (
        verdict.winner is not None and (not asked or asked == limits) and config.asked_for(result)
    )
