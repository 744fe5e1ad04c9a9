"""A search's candidates, looked up in the table and held against the limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgenas.core.counted import counted
from edgenas.core.metrics import ResponseKind
from edgenas.core.records import Candidate, SearchResult, TableRow, TableTruth, VerifiedRow
from edgenas.core.records.tables import LookedUp
from edgenas.optimize.limits import broken
from edgenas.optimize.optimizers.problem import Response
from edgenas.runs.sources.table_run import TableRun


def check(replay: TableRun, result: SearchResult[TableRow]) -> list[VerifiedRow]:
    """Look the search's candidates up; what is found is known to the next fit."""
    everything = tuple(replay.table.responses)
    rows = [replay.look_up(one.architecture.index, everything) for one in result.candidates]
    replay.add_rows(rows)
    return [_verified(replay, result, *pair) for pair in zip(result.candidates, rows, strict=True)]


def best_first(
    replay: TableRun, result: SearchResult[TableRow], verified: Sequence[VerifiedRow]
) -> list[VerifiedRow]:
    """Return the candidates that keep the limits first, each by what the table says of it."""
    kinds, names = replay.table.target.kinds, (result.objectives[0], *result.traded)

    def costs(one: VerifiedRow) -> Iterator[float]:
        for name in names:
            sign = -1.0 if kinds[name].goal == "max" else 1.0
            yield sign * one.measured.get(name, sign * np.inf)

    return sorted(verified, key=lambda one: (not one.passed, *costs(one)))


def truth(
    replay: TableRun, result: SearchResult[TableRow], winner: VerifiedRow | None
) -> TableTruth:
    """Return what only a table can tell: its best network, and what the winner lacks of it."""
    best, name = _best(replay, result), result.objectives[0]
    regret = None
    if winner is not None and best is not None:
        regret = abs(winner.measured[name] - best.values[name])
    return TableTruth(replay.table.provider, best, regret, tuple(_true_front(replay, result)))


def missed(
    kind: ResponseKind, result: SearchResult[TableRow], verified: Sequence[VerifiedRow]
) -> str:
    """Return how many candidates of the search are not what was promised, "" if all are.

    Promised are the limits, and the prediction interval of the first objective, which `kind` is.
    """
    now = {one.architecture.index for one in result.candidates}
    count = sum(
        one.candidate.architecture.index in now and (not one.passed or _is_worse(one, kind))
        for one in verified
    )
    candidates = counted(count, "candidate was", "candidates were")
    return f"{candidates} not as promised" if count else ""


def _is_worse(one: VerifiedRow, kind: ResponseKind) -> bool:
    promised, value = one.candidate[kind.name], one.measured.get(kind.name, np.nan)
    return value < promised.lower if kind.goal == "max" else value > promised.upper


def _verified(
    replay: TableRun,
    result: SearchResult[TableRow],
    candidate: Candidate[TableRow],
    row: LookedUp,
) -> VerifiedRow:
    wanted = dict.fromkeys((*result.objectives, *(limit.response for limit in result.limits)))
    reasons = [f"The table has no {name} of it." for name in wanted if name not in row.values]
    for limit in result.limits:
        if limit.response in row.values:
            kind = replay.table.target.response(limit.response)
            reasons += broken(limit, row.values[limit.response], kind)
    return VerifiedRow(candidate, not reasons, tuple(reasons), row.values)


def _best(replay: TableRun, result: SearchResult[TableRow]) -> LookedUp | None:
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


def _true_front(replay: TableRun, result: SearchResult[TableRow]) -> list[LookedUp]:
    """Return the front of the metrics traded, by the table, by rising cost."""
    if not result.traded:
        return []
    target = replay.table.target
    front = replay.problem.true_front(
        [Response(name, target.response(name).goal) for name in result.traded]
    )
    networks = replay.problem.networks(front.points)
    return [replay.look_up(index, result.traded) for index in networks.tolist()]
