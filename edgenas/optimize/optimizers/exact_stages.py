"""The optimum under one limit, with its proof, and the whole frontier.

Without a margin the merged Pareto sets of the stages hold the optimum of every limit (dynamic
programming over stages). With one, branch and bound: all points above a falling floor are listed,
bounded by the frontiers of the stages still open, until the best that truly meets the limit
stands on the floor. No option is dropped for being dominated, as its margin may be less; only
partial points whose bound is under the floor are, so nothing better than the floor is missed.
"""

from __future__ import annotations

import numpy as np

from edgenas.optimize.optimizers.base import Found, StageProblem, as_points, check_budget
from edgenas.optimize.optimizers.feasibility import require_feasible
from edgenas.optimize.optimizers.relaxation import Nodes, OutOfNodesError, Relaxation
from edgenas.optimize.optimizers.shortlist import Shortlist

# The floor falls from the bound to the best known value in growing steps, as points grow denser.
_STEPS = tuple(2.0**-halvings for halvings in range(8, -1, -1))
# Where the first looks put the ceiling, between the best point's own margin and the least margin.
_LOOKS = (0.0, 0.25, 0.5, 0.75)
_LOOK_PART = 8  # of the nodes left, the part that one look may open


def best_under(problem: StageProblem, limit: float, *, seed: int, budget: int, count: int) -> Found:
    """Return the `count` best points within `limit`, and whether the first is proved the best.

    seed : not used; nothing is random. budget : swaps and partial points that may be scored; the
    frontier, which needs no search, is counted beside it.

    Raises
    ------
    InputError : the budget is not positive.
    InfeasibleError : no point meets the limit.
    """
    check_budget(budget)
    nodes = Nodes(budget)
    relaxation = Relaxation(problem)
    frontier = relaxation.frontier
    feasible = require_feasible(problem, relaxation, limit, nodes)
    shortlist = Shortlist(problem, limit, count)
    shortlist.add(np.vstack((feasible, frontier.choices)))
    bound = relaxation.bound(problem.highest_cost(limit))
    if problem.margin is not None or count > 1:
        nodes.open(shortlist.improve(nodes.left))
    search = _Search(problem, relaxation, limit, nodes, shortlist)
    search.look()
    bound = search.lower(bound, place=0)
    search.lower(bound, place=count - 1)
    gap = max(0.0, bound - shortlist.best)
    optimal = gap <= problem.value_rounding
    return Found(
        points=shortlist.points,
        frontier=as_points(frontier.choices),
        optimal=optimal,
        gap=0.0 if optimal else gap,
        evaluations=len(frontier.choices) + nodes.opened,
    )


class _Search:
    """Lists the points above a falling floor into the shortlist."""

    def __init__(
        self,
        problem: StageProblem,
        relaxation: Relaxation,
        limit: float,
        nodes: Nodes,
        shortlist: Shortlist,
    ) -> None:
        self._problem, self._limit = problem, limit
        self._relaxation = relaxation
        self._ceiling = problem.highest_cost(limit)
        self._nodes = nodes
        self._shortlist = shortlist

    def look(self) -> None:
        """Better the shortlist where margins are as those of its best point, before any proof."""
        if self._problem.margin is None:
            return
        for share in _LOOKS:
            best = np.array(self._shortlist.points[:1])
            own = float((self._problem.upper(best) - self._problem.cost(best))[0])
            margin = own + share * (self._limit - self._ceiling - own)
            nodes = Nodes(self._nodes.left // _LOOK_PART)
            try:
                points = self._relaxation.points(self._limit - margin, self._shortlist.best, nodes)
            except OutOfNodesError:
                return
            finally:
                self._nodes.open(nodes.opened)
            self._shortlist.add(points)

    def lower(self, bound: float, place: int) -> float:
        """Lower the floor from `bound` to the value at `place` of the shortlist.

        Returns the value above which no point is left unseen: that at `place`, if nodes sufficed.
        """
        top = bound
        for step in _STEPS:
            target = self._shortlist.value(place)
            if bound <= target + self._problem.value_rounding:
                break
            floor = top - step * (top - target)
            try:
                points = self._relaxation.points(self._ceiling, floor, self._nodes)
            except OutOfNodesError:
                break
            self._shortlist.add(points)
            bound = floor
        return max(bound, self._shortlist.value(place))
