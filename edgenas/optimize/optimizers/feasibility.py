"""Whether a limit can be met at all: the least upper bound that exists, and which point has it."""

from __future__ import annotations

import numpy as np

from edgenas.core.errors import InfeasibleError
from edgenas.optimize.optimizers.base import StageProblem, as_points
from edgenas.optimize.optimizers.relaxation import Nodes, OutOfNodesError, Relaxation


def require_feasible(
    problem: StageProblem, relaxation: Relaxation, limit: float, nodes: Nodes
) -> np.ndarray:
    """Return a point, int64 [1 + n_stages], that meets `limit`.

    Raises
    ------
    InfeasibleError : there is none; `least_cost` and `least_point` are the least that exists. Where
        the nodes did not suffice to prove that, they are the least found, and the message says so.
    """
    points = relaxation.frontier.choices
    uppers = problem.upper(points)
    best = int(np.argmin(uppers))
    point, least, proven = points[best], float(uppers[best]), True
    if least > limit + problem.cost_rounding and problem.margin is not None:
        point, least, proven = _least_upper(problem, relaxation, point, nodes)
    if least <= limit + problem.cost_rounding:
        return point
    bound = float(relaxation.frontier.costs[0]) + problem.floor_margin
    if proven:
        message = f"No network meets the limit of {limit:g}: the least that exists is {least:g}."
    elif bound > limit + problem.cost_rounding:
        message = (
            f"No network meets the limit of {limit:g}: the least that exists is between {bound:g} "
            f"and {least:g}, which is the least found."
        )
    else:
        message = (
            f"Found no network within the limit of {limit:g}, but the search ended before it was "
            f"proved that there is none; the least found is {least:g}."
        )
    raise InfeasibleError(
        message,
        "Choose a greater limit.",
        least_cost=least,
        least_point=as_points(point[None])[0],
    )


def _least_upper(
    problem: StageProblem, relaxation: Relaxation, start: np.ndarray, nodes: Nodes
) -> tuple[np.ndarray, float, bool]:
    """Return the point with the least upper bound, that bound, and whether it is proved so.

    A point under the best bound known costs at most that bound less the least margin: few do.
    """
    least = float(problem.upper(start[None])[0])
    try:
        points = relaxation.points(problem.highest_cost(least), -np.inf, nodes)
    except OutOfNodesError:
        return start, least, False
    uppers = problem.upper(points)
    best = int(np.argmin(uppers))
    return points[best], float(uppers[best]), True
