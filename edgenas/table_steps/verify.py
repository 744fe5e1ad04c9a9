"""verify: look the candidates up against the limits. Writes verification.json."""

from __future__ import annotations

import numpy as np

from edgenas.optimizers.problem import Response
from edgenas.records import to_json
from edgenas.records.tables import LookedUp, TableCandidate, TableFinding, TableSearch, TableVerdict
from edgenas.responses import Goal
from edgenas.run_context import RunContext
from edgenas.run_folder import write_json
from edgenas.table_run import TableRun


def run(context: RunContext, rounds: int = 1) -> TableVerdict:
    """Look the search's candidates up; what is found is known to the next fit.

    The best network that the table has is searched too, so that the verdict says what the winner
    lacks: only a table can tell.
    """
    replay = context.replay
    result = replay.search_result()
    everything = tuple(replay.table.responses)
    rows = [replay.look_up(one.network.index, everything) for one in result.candidates]
    replay.add_rows(rows)
    findings = [
        _finding(replay, result, *pair) for pair in zip(result.candidates, rows, strict=True)
    ]
    if rounds > 1:
        again = {one.candidate.network.index for one in findings}
        before = replay.verdict().findings
        findings += [
            one for one in before if one.within and one.candidate.network.index not in again
        ]
    goal = replay.table.target.response(result.objectives[0]).goal
    sign = -1.0 if goal == "max" else 1.0
    name = result.objectives[0]
    findings.sort(key=lambda one: (not one.within, sign * one.values.get(name, np.nan)))
    winner = findings[0] if findings and findings[0].within else None
    best = _best(replay, result)
    verdict = TableVerdict(
        status="fail" if winner is None else "looked up",
        provider=replay.table.provider,
        rounds=rounds,
        findings=tuple(findings),
        best=best,
        regret=None
        if winner is None or best is None
        else abs(winner.values[name] - best.values[name]),
        true_front=tuple(_true_front(replay, result)),
    )
    write_json(context.folder.verification, to_json(verdict))
    return verdict


def broken(findings: tuple[TableFinding, ...], result: TableSearch, goal: Goal | None) -> int:
    """Return how many candidates of the search are not what was promised, looked up.

    Promised are the limits, and the prediction interval of the first objective, whose `goal` it is.
    """
    now = {one.network.index for one in result.candidates}
    return sum(
        one.candidate.network.index in now and (not one.within or _worse(one, result, goal))
        for one in findings
    )


def _worse(finding: TableFinding, result: TableSearch, goal: Goal | None) -> bool:
    name = result.objectives[0]
    promised, value = finding.candidate.predicted[name], finding.values.get(name, np.nan)
    return value < promised.lower if goal == "max" else value > promised.upper


def _finding(
    replay: TableRun, result: TableSearch, one: TableCandidate, row: LookedUp
) -> TableFinding:
    reasons = []
    wanted = dict.fromkeys((*result.objectives, *(limit.response for limit in result.limits)))
    for name in wanted:
        if name not in row.values:
            reasons.append(f"The table has no {name} of it.")
    for limit in result.limits:
        kind, value = replay.table.target.response(limit.response), row.values.get(limit.response)
        if value is None:
            continue
        if limit.at_most is not None and value > limit.at_most:
            reasons.append(
                f"Its {kind.label} is {kind.shown(value)}, over {kind.shown(limit.at_most)}."
            )
        if limit.at_least is not None and value < limit.at_least:
            reasons.append(
                f"Its {kind.label} is {kind.shown(value)}, under {kind.shown(limit.at_least)}."
            )
    return TableFinding(one, row.values, tuple(reasons))


def _best(replay: TableRun, result: TableSearch) -> LookedUp | None:
    """Return the network within the limits that is best in the first objective, by the table."""
    name = result.objectives[0]
    responses = [Response(name, replay.table.target.response(name).goal)]
    responses += [Response(x.response, None, x.at_most, x.at_least) for x in result.limits]
    problem = replay.problem.problem(responses)
    archive = replay.problem.enumerated(responses)
    feasible = np.flatnonzero(problem.feasible(archive.values))
    if not feasible.size:
        return None
    best = feasible[np.argmin(problem.costs(archive.values)[feasible, 0])]
    return replay.look_up(int(best), tuple(replay.table.responses))


def _true_front(replay: TableRun, result: TableSearch) -> list[LookedUp]:
    """Return the front of the responses traded, by the table, by rising cost."""
    if not result.traded:
        return []
    target = replay.table.target
    front = replay.problem.true_front(
        [Response(name, target.response(name).goal) for name in result.traded]
    )
    networks = replay.problem.networks(front.points)
    return [replay.look_up(index, result.traded) for index in networks.tolist()]
