"""Search a space with a published, already fitted set of predictors; no run folder, no board."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from edgenas.core import plugins
from edgenas.core.errors import InfeasibleError, InputError
from edgenas.core.records import to_json
from edgenas.optimize.layout import Layout
from edgenas.optimize.optimizers.base import StageProblem
from edgenas.optimize.optimizers.under_limit import best_under
from edgenas.spaces.base import MobileSpace


def search(
    space_name: str, set_name: str, limit_ms: float, method: str, seed: int
) -> dict[str, Any]:
    """Return the best architecture within `limit_ms` as the JSON document of `edgenas optimize`.

    `objective` is in the set's own unit (ImageNet top-1 in percent for foxnas-192px); the limit is
    on the predicted mean, because published sets have no intervals.

    Raises
    ------
    PluginError : no such set. InputError : the set is of another space.
    InfeasibleError : no architecture meets the limit; names the one of least latency.
    """
    started = time.perf_counter()
    layout = _layout(space_name, set_name)
    optimizer = plugins.load("optimizers", method)
    try:
        found = best_under(
            optimizer, layout.problem, limit_ms, seed=seed, budget=optimizer.BUDGET, count=1
        )
    except InfeasibleError as proof:
        least = layout.architecture(proof.least_point or ())
        raise InfeasibleError(
            f"No network of '{space_name}' is predicted within {limit_ms:.6g} ms: the least is "
            f"{proof.least_cost:.6g} ms, of {least}.",
            f"Ask for --max-latency {proof.least_cost:.6g}ms or more.",
        ) from proof
    best = np.array(found.points[:1])
    return {
        "objective": float(layout.problem.value(best)[0]),
        "latency_ms": float(layout.problem.cost(best)[0]),
        "architecture": to_json(layout.architecture(found.points[0])),
        "method": method,
        "optimal": found.optimal,
        "gap": found.gap,
        "evaluations": found.evaluations,
        "seconds": time.perf_counter() - started,
        "frontier_points": len(found.frontier),
        "predictors": set_name,
    }


def _layout(space_name: str, set_name: str) -> Layout:
    published = plugins.load("published predictors", set_name)
    if space_name != published.SPACE:
        raise InputError(
            f"The predictors '{set_name}' are of the space '{published.SPACE}', "
            f"not '{space_name}'.",
            f"Use --space {published.SPACE}.",
        )
    space: MobileSpace = plugins.load("spaces", space_name).create()
    predictors = published.published()
    choices = tuple(space.stage_choices(stage) for stage in range(len(space.stages)))

    def by_stage(response: str) -> tuple[tuple[np.ndarray, ...], ...]:
        values = (predictors.stage_values(response, s, c) for s, c in enumerate(choices))
        return (tuple(values),)

    latency, accuracy = published.RESPONSES
    problem = StageProblem(
        value_offsets=np.array([predictors.intercept(accuracy)]),
        cost_offsets=np.array([predictors.intercept(latency)]),
        values=by_stage(accuracy),
        costs=by_stage(latency),
    )
    return Layout(space, choices, problem)
