"""One value under one limit, with any optimizer: what a single-objective search asks for."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from edgenas.core.errors import InfeasibleError
from edgenas.optimize.optimizers.base import Found, StageProblem, as_points
from edgenas.optimize.optimizers.problem import NoneFeasibleError, Problem, Response
from edgenas.optimize.optimizers.relaxation import pareto
from edgenas.optimize.optimizers.shortlist import Shortlist


def best_under(
    optimizer: ModuleType,
    problem: StageProblem,
    limit: float,
    *,
    seed: int,
    budget: int,
    count: int,
    **options: Any,
) -> Found:
    """Return the `count` best points within `limit` by the optimizer's own `best_under`, or by its
    `optimize`, whose gap is not known. options : what only this optimizer's `optimize` takes.

    Raises
    ------
    InputError : the budget is not positive.
    InfeasibleError : no point seen meets the limit; names the least upper bound seen.
    """
    if hasattr(optimizer, "best_under"):
        found: Found = optimizer.best_under(problem, limit, seed=seed, budget=budget, count=count)
        return found
    try:
        archive = optimizer.optimize(
            as_problem(problem, limit), seed=seed, budget=budget, **options
        )
    except NoneFeasibleError as none:
        least = int(np.argmin(none.archive.values[:, 1]))
        raise InfeasibleError(
            none.message,
            none.hint,
            least_cost=float(none.archive.values[least, 1]),
            least_point=as_points(none.archive.points[[least]])[0],
        ) from none
    shortlist = Shortlist(problem, limit, count)
    shortlist.add(archive.points)
    front = archive.points[pareto(problem.value(archive.points), problem.cost(archive.points))]
    return Found(shortlist.points, as_points(front), False, None, archive.evaluations)


def as_problem(problem: StageProblem, limit: float) -> Problem:
    """Return the problem as one goal, the value, and one limited response, the upper bound."""
    counts = np.array([[len(stage) for stage in stages] for stages in problem.values])

    def existing(points: np.ndarray) -> np.ndarray:
        return np.column_stack((points[:, 0], np.minimum(points[:, 1:], counts[points[:, 0]] - 1)))

    def evaluate(points: np.ndarray) -> np.ndarray:
        return np.column_stack((problem.value(points), problem.upper(points)))

    return Problem(
        options=(len(problem.sizes), *(int(count) for count in counts.max(axis=0))),
        responses=(
            Response("the value", goal="max"),
            Response("the cost's upper bound", at_most=limit + problem.cost_rounding),
        ),
        evaluate=evaluate,
        project=existing if (counts != counts.max(axis=0)).any() else None,
    )
