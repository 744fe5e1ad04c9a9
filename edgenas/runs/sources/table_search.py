"""The best networks of a table within the limits, as predicted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenas.core import plugins
from edgenas.core.errors import InfeasibleError
from edgenas.core.goals import limit_text
from edgenas.core.progress import Progress
from edgenas.core.records import SearchResult, TableRow
from edgenas.core.records.goals import Limit
from edgenas.optimize.optimizers.problem import Archive, Problem, Response
from edgenas.optimize.table_predictors import Predicted
from edgenas.runs.run import RunContext
from edgenas.runs.sources.table_run import TableRun, candidate

LATENCY = "latency_ms"


@dataclass(frozen=True)
class Wanted:
    """What is searched. cost : what the frontier trades the first objective for; "" for nothing."""

    objectives: tuple[str, ...]
    limits: tuple[Limit, ...]
    cost: str

    @property
    def traded(self) -> tuple[str, ...]:
        """The responses of the frontier, the cost first; none without one."""
        return tuple(dict.fromkeys((self.cost, *self.objectives))) if self.cost else ()


def search(run: RunContext, replay: TableRun) -> SearchResult[TableRow]:
    """Search under the run's limits; without any, half-way between least and greatest latency.

    `exact` compares all networks, which the table lists: what it finds is optimal under the
    predictors. Other optimizers look at as many as their budget allows. A limit holds the bound
    of the prediction interval, an objective is a mean.

    Raises
    ------
    InfeasibleError : no network meets the limits; says which binds.
    """
    started = time.perf_counter()
    config = replay.config
    predicted = {name: replay.predicted(name) for name in replay.table.responses}
    wanted = _wanted(run, replay, predicted)
    problem = _problem(replay, wanted, predicted)
    archive = _searched(replay, problem, run.progress)
    networks = replay.problem.networks(archive.points)
    feasible = problem.feasible(archive.values)
    if not feasible.any():
        raise _infeasible(replay, wanted, predicted)
    costs = problem.costs(archive.values)
    if len(wanted.objectives) == 1:
        order = np.flatnonzero(feasible)
        ties = _ties(wanted, predicted, networks[order])
        best = order[np.lexsort((*ties, costs[order, 0]))]
    else:
        best = archive.front(problem)
    return SearchResult(
        method=config.optimizer,
        top=config.top,
        objectives=wanted.objectives,
        limits=wanted.limits,
        cost=wanted.cost,
        confidence=config.confidence,
        candidates=tuple(
            candidate(replay, i, predicted) for i in networks[best[: config.top]].tolist()
        ),
        frontier=tuple(
            candidate(replay, i, predicted) for i in _frontier(replay, wanted.traded, predicted)
        ),
        traded=wanted.traded,
        optimal=archive.optimal,
        gap=0.0 if archive.optimal else None,
        evaluations=archive.evaluations,
        seconds=time.perf_counter() - started,
    )


def _wanted(run: RunContext, replay: TableRun, predicted: dict[str, Predicted]) -> Wanted:
    config, target = replay.config, replay.table.target
    objectives = tuple(one.response for one in config.wanted)
    asked = config.limits()
    for name in (*objectives, *asked):
        replay.table.response(name)  # an error names the nearest
    choose = not asked and LATENCY in predicted and LATENCY not in objectives

    def half_way() -> float:
        upper = predicted[LATENCY].upper
        return float((upper.min() + upper.max()) / 2)

    limits = tuple(run.resolved_limits(half_way if choose else None).values())
    costs = [limit.response for limit in limits] + [LATENCY, *objectives[1:]]
    costs += [name for name in predicted if target.response(name).goal == "min"]
    cost = next((name for name in costs if name in predicted and name != objectives[0]), "")
    return Wanted(objectives, limits, cost)


def _problem(replay: TableRun, wanted: Wanted, predicted: dict[str, Predicted]) -> Problem:
    target = replay.table.target
    responses = [Response(name, target.response(name).goal) for name in wanted.objectives]
    columns = [predicted[name].mean for name in wanted.objectives]
    for limit in wanted.limits:
        found = predicted[limit.response]
        if limit.at_most is not None:
            responses.append(Response(limit.response, at_most=limit.at_most))
            columns.append(found.upper)
        if limit.at_least is not None:
            responses.append(Response(limit.response, at_least=limit.at_least))
            columns.append(found.lower)
    return replay.problem.problem(responses, np.column_stack(columns))


def _searched(replay: TableRun, problem: Problem, progress: Progress) -> Archive:
    """Return every network, or those that an optimizer other than `exact` looked at, each once."""
    name = replay.config.optimizer
    optimizer = plugins.load("optimizers", name)
    options = replay.config.search_options(optimizer)
    if name == "exact":
        points = replay.problem.points
        return Archive(points, problem.evaluate(points), True, 0.0, len(points))
    budget = replay.config.budget or optimizer.BUDGET
    with progress.task(f"Searching with {name}", budget) as task:
        archive: Archive = optimizer.optimize(
            problem,
            seed=replay.config.seed,
            budget=budget,
            progress=task,
            **options,
        )
    networks = replay.problem.networks(archive.points)
    first = np.sort(np.unique(networks, return_index=True)[1])
    return replace(archive, points=archive.points[first], values=archive.values[first])


def _ties(
    wanted: Wanted, predicted: dict[str, Predicted], networks: np.ndarray
) -> Sequence[np.ndarray]:
    return [predicted[wanted.cost].mean[networks]] if wanted.cost else []


def _frontier(
    replay: TableRun, traded: Sequence[str], predicted: dict[str, Predicted]
) -> list[int]:
    """Return the networks on the front of the responses traded, by rising cost."""
    if not traded:
        return []
    responses = [Response(name, replay.table.target.response(name).goal) for name in traded]
    values = np.column_stack([predicted[name].mean for name in traded])
    problem = replay.problem.problem(responses, values)
    front = Archive(replay.problem.points, values).front(problem)
    return [int(index) for index in front]


def _infeasible(
    replay: TableRun, wanted: Wanted, predicted: dict[str, Predicted]
) -> InfeasibleError:
    """Return the error that names the limits which no network meets, or that they conflict."""
    alone = []
    for limit in wanted.limits:
        found, kind = predicted[limit.response], replay.table.target.response(limit.response)
        if limit.at_most is not None and found.upper.min() > limit.at_most:
            least = kind.shown(float(found.upper.min()))
            alone.append(f"the least upper bound of {kind.label} is {least}")
        if limit.at_least is not None and found.lower.max() < limit.at_least:
            most = kind.shown(float(found.lower.max()))
            alone.append(f"the greatest lower bound of {kind.label} is {most}")
    text = " and ".join(limit_text(limit, replay.table.target.kinds) for limit in wanted.limits)
    why = ", ".join(alone) or "each can be met, but not all by one network"
    return InfeasibleError(
        f"No network of '{replay.table.target.name}' has {text} at "
        f"{replay.config.confidence:.0%} confidence: {why}.",
        "Loosen the limit, or look more networks up (--samples) for narrower bounds.",
    )
