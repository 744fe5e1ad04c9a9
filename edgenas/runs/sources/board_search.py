"""The best architectures of a space within the limits, as predicted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType

import numpy as np

from edgenas.core import plugins
from edgenas.core.errors import InfeasibleError
from edgenas.core.records import Candidate, SearchResult, alike_networks
from edgenas.core.records.goals import SCORE, Limit, Objective
from edgenas.explain.slow_kernels import slow_kernels
from edgenas.optimize.front import FrontLayout, lay_out_front, spread
from edgenas.optimize.infeasible import LimitReach, reach
from edgenas.optimize.layout import Layout, Predictors, half_way, half_way_between, lay_out
from edgenas.optimize.limits import keeps
from edgenas.optimize.optimizers.base import Point
from edgenas.optimize.optimizers.dominance import nondominated
from edgenas.optimize.optimizers.problem import Archive, NoneFeasibleError
from edgenas.optimize.optimizers.under_limit import best_under
from edgenas.runs.config import RunConfig
from edgenas.runs.growing import grown
from edgenas.runs.models import frozen, kept_predictors
from edgenas.runs.run import RunContext
from edgenas.runs.sources import board_bits
from edgenas.runs.start import warm_start

# Points of the frontier that search.json keeps.
MOST_FRONTIER = 400
# The optimizer that proves its optimum from sums, and the one that takes its place without them.
EXHAUSTIVE, EVALUATING = "exact", "evolution"


def search(context: RunContext) -> SearchResult:
    """Search for the run's objectives within its limits, on the upper and lower bounds.

    Without an objective: the greatest accuracy under a latency limit, which is half-way between
    the least and the greatest predicted latency unless the run has one, of networks without the
    kernel sizes that the engine was found to be slow at.

    Raises
    ------
    InfeasibleError : no architecture meets the limits; says what each can reach.
    """
    if context.config.optimizer == EXHAUSTIVE and not context.predictors().additive:
        context.progress.message(
            f"'{context.config.predictor}' predicts no sums over the choices, which {EXHAUSTIVE} "
            f"needs: {EVALUATING} searches instead, without a proof."
        )
        context.settle(optimizer=EVALUATING)
    optimizer = plugins.load("optimizers", context.config.optimizer)
    started = time.perf_counter()
    seeded = context.config.warm_start is not None and not hasattr(optimizer, "best_under")
    of_latency = context.config.plain and context.pipeline is None
    if of_latency and not seeded and context.predictors().additive:
        result = _best_under(context, optimizer, started)
    else:
        result = _front(context, optimizer, started)
    if (evaluated := board_bits.best_evaluated(context, result)) is not None:
        result = _with_candidate(result, evaluated)
    found = _with_linear_classifier(context, _with_fastest_alike(context, result))
    return replace(
        _with_grown(context, found),
        warm_start=context.config.warm_start,
        predicted_by=kept_predictors.keep(context),
    )


def _with_fastest_alike(context: RunContext, result: SearchResult) -> SearchResult:
    """Return the result with the fastest network that is not measurably worse among its candidates.

    It takes the last place where the evaluated networks do not differ beyond noise: what the
    accuracy predictor makes of them then proposes slow networks that are no better.
    """
    evaluated = context.evaluations()
    found = alike_networks([one.answers for one in evaluated])
    if result.objectives[0] != SCORE or found is None or not found.tell_nothing:
        return result
    answers = {one.architecture: one.answers for one in evaluated}
    within = [
        one
        for one in context.predictors().candidates(list(answers))
        if keeps(one.predicted, result.limits)
    ]
    if not within:
        return result
    best = max((answers[one.architecture] for one in within), key=lambda one: one.accuracy)
    alike = [one for one in within if not best.measurably_ahead_of(answers[one.architecture])]
    fastest = min(alike, key=lambda one: one["latency_ms"].mean)
    if fastest["latency_ms"].mean >= min(one["latency_ms"].mean for one in result.candidates):
        return result
    kept = result.candidates[: max(result.top - 1, 0)]
    return replace(result, candidates=(*kept, fastest), fastest_alike=fastest.architecture)


def _with_linear_classifier(context: RunContext, result: SearchResult) -> SearchResult:
    """Return the result with the largest network among its candidates, where the linear classifier
    on that network as it was before training is more accurate than all of them.

    It takes the last place but the fastest's, if it keeps the limits.
    """
    largest = context.space.largest()
    chosen = [one.architecture for one in result.candidates]
    if result.objectives[0] != SCORE or largest in chosen or context.data_card.synthetic:
        return result
    (candidate,) = context.predictors().candidates([largest])
    if not keeps(candidate.predicted, result.limits):
        return result
    known = {one.architecture: one.int8_accuracy for one in context.evaluations()}
    best = max(known.get(one.architecture, one[SCORE].mean) for one in result.candidates)
    floor = frozen.accuracy(context)
    if floor is None or floor <= best:
        return result
    return _with_candidate(result, candidate)


def _with_grown(context: RunContext, result: SearchResult) -> SearchResult:
    """Return the result with the network that `edgenas grow` kept among its candidates.

    It takes the last place but the fastest's, if it keeps the limits.
    """
    growth = grown.kept(context)
    chosen = [one.architecture for one in result.candidates]
    if growth is None or growth.best.network in chosen:
        return result
    (candidate,) = context.predictors().candidates([growth.best.network])
    return (
        _with_candidate(result, candidate) if keeps(candidate.predicted, result.limits) else result
    )


def _with_candidate(result: SearchResult, candidate: Candidate) -> SearchResult:
    """Return the result with a candidate in the last place but the fastest's."""
    fastest = [one for one in result.candidates if one.architecture == result.fastest_alike]
    others = [one for one in result.candidates if one not in fastest]
    kept = others[: max(result.top - 1 - len(fastest), 0)]
    return replace(result, candidates=(*kept, candidate, *fastest))


def _limits(context: RunContext, predictors: Predictors) -> dict[str, Limit]:
    """Return the limits of the run, by metric; one on latency is chosen if none is asked for."""

    def chosen_ms() -> float:
        return default_limit_ms(context, predictors)

    return context.resolved_limits(chosen_ms if context.config.plain else None)


def _best_under(context: RunContext, optimizer: ModuleType, started: float) -> SearchResult:
    predictors = context.predictors()
    layout = lay_out(predictors)
    limits = _limits(context, predictors)
    limit_ms = limits["latency_ms"].at_most
    assert limit_ms is not None
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
        limits=tuple(limits.values()),
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
    single = lay_out(predictors) if predictors.additive else None
    limits = _limits(context, predictors)
    # images/s is no limit of its own: each layer is folded so that it keeps up
    searched = {name: limit for name, limit in limits.items() if name != "images_per_s"}
    # networks are equally fast by the dozen: of these the most accurate are wanted
    only_rate = [one.response for one in config.wanted] == ["images_per_s"]
    wanted = (*config.wanted, Objective(SCORE, "max")) if only_rate else config.wanted
    layout = lay_out_front(predictors, wanted, searched, known=config.known)
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
        held = _at_least_rate(context, layout, predictors, searched)
        seen = failure.archive.points
        seen[:, 0] //= layout.speeds
        raise _infeasible(context, reach(held, seen), failure) from failure
    archive = _one_speed_each(layout, archive)
    chosen = _candidates(layout, archive, config)
    frontier = _frontier(layout, archive, predictors, single)
    if known:
        kept = len(set(_as_points(starts)) & set(frontier))
        warm_start.add(context, starts=len(known), kept=kept)
    return SearchResult(
        method=config.optimizer,
        top=config.top,
        limits=tuple(limits.values()),
        confidence=config.confidence,
        candidates=predictors.candidates([layout.architecture(p) for p in chosen]),
        frontier=predictors.candidates([layout.architecture(p) for p in frontier]),
        optimal=archive.optimal,
        gap=archive.gap,
        evaluations=archive.evaluations,
        seconds=time.perf_counter() - started,
        objectives=tuple(one.response for one in config.wanted),
    )


def _one_speed_each(layout: FrontLayout, archive: Archive) -> Archive:
    """Return the archive with each network once, at its greatest throughput within the limits."""
    if layout.speeds == 1:
        return archive
    broken = ~layout.problem.feasible(archive.values)
    order = np.lexsort((archive.points[:, 0], broken))
    networks = archive.points[order]
    networks[:, 0] //= layout.speeds
    first = np.unique(networks, axis=0, return_index=True)[1]
    kept = np.sort(order[first])
    return replace(archive, points=archive.points[kept], values=archive.values[kept])


def _at_least_rate(
    context: RunContext, layout: FrontLayout, predictors: Predictors, limits: Mapping[str, Limit]
) -> FrontLayout:
    """Return the layout at the least images/s that are asked for, where resources are fewest."""
    if layout.speeds == 1 or context.pipeline is None:
        return layout
    counts = replace(context.pipeline, filled=None).counts()
    return lay_out_front(replace(predictors, of_hardware=counts, filled=None), (), limits)


def default_limit_ms(context: RunContext, predictors: Predictors) -> float:
    """Return the latency limit of a run that asks for none.

    Half-way between the least and the greatest upper bound: of all networks where predictors are
    sums, else of those that were measured.
    """
    if predictors.additive:
        return half_way(lay_out(predictors), slow_kernels(context))
    return half_way_between(predictors, [one.architecture for one in context.measurements()])


def _candidates(layout: FrontLayout, archive: Archive, config: RunConfig) -> list[Point]:
    """Return the points to verify: of one objective the best, of several spread along the front."""
    problem, count = layout.problem, config.top
    if len(config.wanted) == 1:
        feasible = np.flatnonzero(problem.feasible(archive.values))
        costs = layout.all_costs(archive.values[feasible])  # the objective is the first of them
        chosen = feasible[np.lexsort(costs.T[::-1])[:count]]
    else:
        front = archive.front(problem)
        chosen = front[spread(problem.costs(archive.values[front]), count)]
        chosen = chosen[np.lexsort(problem.costs(archive.values[chosen]).T[::-1])]
    return _as_points(archive.points[chosen])


def _frontier(
    layout: FrontLayout, archive: Archive, predictors: Predictors, single: Layout | None
) -> list[Point]:
    """Return the trade-offs between all responses of the problem, by rising latency.

    The frontier of accuracy against latency, which takes no search, is among them.
    """
    points = archive.points
    if single is not None:
        exact = plugins.load("optimizers", "exact")
        every = exact.best_under(
            single.problem, _slowest(single), seed=0, budget=exact.BUDGET, count=1
        )
        found = [layout.point(single.architecture(point)) for point in every.frontier]
        points = np.unique(np.vstack((points, np.array(found))), axis=0)
    costs = layout.all_costs(layout.problem.evaluate(points))
    front = nondominated(costs)
    front = front[spread(costs[front], MOST_FRONTIER)]
    of = predictors.candidates([layout.architecture(point) for point in _as_points(points[front])])
    latencies = [one["latency_ms"].mean for one in of]
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
        f"bound is {least['latency_ms'].upper:.4g} ms (mean {least['latency_ms'].mean:.4g} ms), of "
        f"{least.architecture}.",
        f"Ask for --max-latency {least['latency_ms'].upper * 1.01:.3g}ms or more, or measure more "
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
