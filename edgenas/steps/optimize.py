"""optimize: the best architectures within the limits, as predicted. Writes search.json."""

from __future__ import annotations

import time
from dataclasses import replace
from types import ModuleType

import numpy as np

from edgenas import kept_predictors, plugins, warm_start
from edgenas.advice import extrapolations
from edgenas.binding import LimitReach, reach
from edgenas.errors import InfeasibleError
from edgenas.front_problem import FrontLayout, lay_out_front, spread
from edgenas.goals import Limit, tightest
from edgenas.optimizers.base import Point
from edgenas.optimizers.dominance import nondominated
from edgenas.optimizers.problem import Archive, NoneFeasibleError
from edgenas.optimizers.under_limit import best_under
from edgenas.pathology import slow_kernels
from edgenas.records import Candidate, SearchResult, to_json
from edgenas.run_context import RunContext
from edgenas.run_folder import write_json
from edgenas.search_problem import Layout, half_way, lay_out

# Points of the frontier that search.json keeps.
MOST_FRONTIER = 400


def run(context: RunContext) -> SearchResult:
    """Search for the run's objectives within its limits, on the upper and lower bounds.

    Without an objective: the greatest accuracy under a latency limit, which is half-way between
    the least and the greatest predicted latency unless the run has one, of networks without the
    kernel sizes that the engine was found to be slow at.

    Raises
    ------
    InfeasibleError : no architecture meets the limits; says what each can reach.
    """
    optimizer = plugins.load("optimizers", context.config.optimizer)
    started = time.perf_counter()
    seeded = context.config.warm_start is not None and not hasattr(optimizer, "best_under")
    if context.config.plain and not seeded:
        result = _best_under(context, optimizer, started)
    else:
        result = _front(context, optimizer, started)
    config = context.config
    result = replace(
        result,
        constraints=config.constraints,
        budget=config.budget,
        reward=config.reward,
        warm_start=config.warm_start,
        predicted_by=kept_predictors.keep(context),
    )
    write_json(context.folder.search, to_json(result))
    for text in extrapolations(context.predictors(), result.candidates):
        context.progress.warning(text)
    return result


def _best_under(context: RunContext, optimizer: ModuleType, started: float) -> SearchResult:
    predictors = context.predictors()
    layout = lay_out(predictors)
    limit_ms = context.limit_ms(lambda: half_way(layout, slow_kernels(context)))
    try:
        found = best_under(
            optimizer,
            layout.problem,
            limit_ms,
            seed=context.config.seed,
            budget=context.config.budget or optimizer.BUDGET,
            count=context.config.top,
            **context.config.search_options(optimizer),
        )
    except InfeasibleError as proof:
        least = predictors.candidates([layout.architecture(proof.least_point or ())])[0]
        raise _too_slow(least, limit_ms, context) from proof
    return SearchResult(
        method=context.config.optimizer,
        top=context.config.top,
        limit_ms=limit_ms,
        confidence=context.config.confidence,
        candidates=predictors.candidates([layout.architecture(p) for p in found.points]),
        frontier=predictors.candidates([layout.architecture(p) for p in found.frontier]),
        optimal=found.optimal,
        gap=found.gap,
        evaluations=found.evaluations,
        seconds=time.perf_counter() - started,
    )


def _front(context: RunContext, optimizer: ModuleType, started: float) -> SearchResult:
    config, predictors = context.config, context.predictors()
    single = lay_out(predictors)
    limits = config.limits()
    limit_ms = _slowest(single)
    if config.limited:
        limit_ms = context.limit_ms(lambda: half_way(single, slow_kernels(context)))
        limit = Limit("latency_ms", at_most=limit_ms)
        limits["latency_ms"] = tightest(limits.get("latency_ms"), limit)
    layout = lay_out_front(predictors, config.wanted, limits)
    budget = config.budget or optimizer.BUDGET
    known = warm_start.start_architectures(context, budget)
    starts = np.array([layout.point(one) for one in known], np.int64)
    try:
        with context.progress.task(f"Searching with {config.optimizer}", budget) as task:
            archive: Archive = optimizer.optimize(
                layout.problem,
                seed=config.seed,
                budget=budget,
                start=starts if len(starts) else None,
                progress=task,
                **config.search_options(optimizer),
            )
    except NoneFeasibleError as failure:
        raise _infeasible(context, reach(layout, failure.archive.points), failure) from failure
    chosen = _candidates(layout, archive, config.top)
    frontier = _frontier(layout, archive, single)
    if known:
        kept = len(set(_as_points(starts)) & set(frontier))
        warm_start.add(context, starts=len(known), kept=kept)
    return SearchResult(
        method=config.optimizer,
        top=config.top,
        limit_ms=limit_ms,
        confidence=config.confidence,
        candidates=predictors.candidates([layout.architecture(p) for p in chosen]),
        frontier=predictors.candidates([layout.architecture(p) for p in frontier]),
        optimal=archive.optimal,
        gap=archive.gap,
        evaluations=archive.evaluations,
        seconds=time.perf_counter() - started,
        objectives=tuple(one.response for one in config.wanted),
        limited=config.limited,
    )


def _candidates(layout: FrontLayout, archive: Archive, count: int) -> list[Point]:
    """Return the points to verify: of one objective the best, of several spread along the front."""
    problem = layout.problem
    if len(problem.objectives) == 1:
        feasible = np.flatnonzero(problem.feasible(archive.values))
        costs = layout.all_costs(archive.values[feasible])  # the objective is the first of them
        chosen = feasible[np.lexsort(costs.T[::-1])[:count]]
    else:
        front = archive.front(problem)
        chosen = front[spread(problem.costs(archive.values[front]), count)]
        chosen = chosen[np.lexsort(problem.costs(archive.values[chosen]).T[::-1])]
    return _as_points(archive.points[chosen])


def _frontier(layout: FrontLayout, archive: Archive, single: Layout) -> list[Point]:
    """Return the trade-offs between all responses of the problem, by rising latency.

    The frontier of accuracy against latency, which takes no search, is among them.
    """
    exact = plugins.load("optimizers", "exact")
    every = exact.best_under(single.problem, _slowest(single), seed=0, budget=exact.BUDGET, count=1)
    points = np.unique(np.vstack((archive.points, np.array(every.frontier))), axis=0)
    costs = layout.all_costs(layout.problem.evaluate(points))
    front = nondominated(costs)
    front = front[spread(costs[front], MOST_FRONTIER)]
    latencies = single.problem.cost(points[front])
    return _as_points(points[front[np.argsort(latencies, kind="stable")]])


def _slowest(layout: Layout) -> float:
    """Return the upper latency bound of the slowest network."""
    problem = layout.problem
    points = [
        [size, *(int(np.argmax(costs)) for costs in problem.costs[size])] for size in problem.sizes
    ]
    return float(problem.upper(np.array(points)).max())


def _as_points(points: np.ndarray) -> list[Point]:
    return [tuple(point) for point in points.tolist()]


def _too_slow(least: Candidate, limit_ms: float, context: RunContext) -> InfeasibleError:
    return InfeasibleError(
        f"No network of '{context.config.space}' runs within {limit_ms:.4g} ms on "
        f"'{context.target.name}' at {context.config.confidence:.0%} confidence: the least upper "
        f"bound is {least.latency_ms.upper:.4g} ms (mean {least.latency_ms.mean:.4g} ms), of "
        f"{least.architecture}.",
        f"Ask for --max-latency {least.latency_ms.upper * 1.01:.3g}ms or more, or measure more "
        "subnets (--samples) for narrower bounds.",
    )


def _infeasible(
    context: RunContext, limits: tuple[LimitReach, ...], failure: NoneFeasibleError
) -> InfeasibleError:
    if any(limit.feasible_jointly for limit in limits):
        return InfeasibleError(
            f"'{context.config.optimizer}' met no network within the limits, but there are some.",
            f"Give it more than {failure.archive.evaluations} evaluations with --budget, or choose "
            "another --optimizer.",
        )
    asked = "; ".join(limit.sentence() for limit in limits)
    return InfeasibleError(
        f"No network of '{context.config.space}' meets the limits on '{context.target.name}' at "
        f"{context.config.confidence:.0%} confidence: {asked}.",
        "Loosen one of these limits by what it is off, or measure more subnets (--samples) for "
        "narrower bounds.",
    )
