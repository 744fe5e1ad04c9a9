"""optimize: the best architectures under the latency limit, as predicted. Writes search.json."""

from __future__ import annotations

import time

from edgenas import plugins
from edgenas.advice import extrapolations
from edgenas.errors import InfeasibleError
from edgenas.optimizers.under_limit import best_under
from edgenas.records import Candidate, SearchResult, to_json
from edgenas.run_context import RunContext
from edgenas.run_folder import write_json
from edgenas.search_problem import half_way, lay_out


def run(context: RunContext) -> SearchResult:
    """Search under the run's limit; without one, half-way between least and greatest predicted.

    Raises
    ------
    InfeasibleError : no architecture meets the limit; names the one of least latency.
    """
    started = time.perf_counter()
    predictors = context.predictors()
    layout = lay_out(predictors)
    limit_ms = context.limit_ms(lambda: half_way(layout.problem))
    optimizer = plugins.load("optimizers", context.config.optimizer)
    try:
        found = best_under(
            optimizer,
            layout.problem,
            limit_ms,
            seed=context.config.seed,
            budget=optimizer.BUDGET,
            count=context.config.top,
        )
    except InfeasibleError as proof:
        least = predictors.candidates([layout.architecture(proof.least_point or ())])[0]
        raise _infeasible(least, limit_ms, context) from proof
    result = SearchResult(
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
    write_json(context.folder.search, to_json(result))
    for text in extrapolations(predictors, result.candidates):
        context.progress.warning(text)
    return result


def _infeasible(least: Candidate, limit_ms: float, context: RunContext) -> InfeasibleError:
    return InfeasibleError(
        f"No network of '{context.config.space}' runs within {limit_ms:.4g} ms on "
        f"'{context.target.name}' at {context.config.confidence:.0%} confidence: the least upper "
        f"bound is {least.latency_ms.upper:.4g} ms (mean {least.latency_ms.mean:.4g} ms), of "
        f"{least.architecture}.",
        f"Ask for --max-latency {least.latency_ms.upper * 1.01:.3g}ms or more, or measure more "
        "subnets (--samples) for narrower bounds.",
    )
