"""What every optimizer searches: variables with options, responses with goals and limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from edgenas.optimizers.base import StageProblem


@dataclass(frozen=True)
class Response:
    """One number known of each point: an objective (`goal`), limited, both, or only recorded.

    at_most, at_least : limits in the response's own unit; None for no limit.
    """

    name: str
    goal: Literal["max", "min"] | None = None
    at_most: float | None = None
    at_least: float | None = None


@dataclass(frozen=True)
class Problem:
    """Points are int64 [n, n_variables]; entry i is below `options[i]`.

    evaluate : values of points, float64 [n, n_responses], in the order of `responses`; NaN where
        a response is missing, and such a point is never chosen. Each point given counts as one
        evaluation of the budget.
    project : the nearest points that exist, [n, n_variables], for a table that lacks some
        combinations; None where every combination exists.
    stages : the same problem as sums over stages, where the responses are separable.
    """

    options: tuple[int, ...]
    responses: tuple[Response, ...]
    evaluate: Callable[[np.ndarray], np.ndarray]
    project: Callable[[np.ndarray], np.ndarray] | None = None
    stages: StageProblem | None = None

    @property
    def objectives(self) -> list[int]:
        """Columns of the responses that have a goal."""
        return [i for i, response in enumerate(self.responses) if response.goal is not None]

    def costs(self, values: np.ndarray) -> np.ndarray:
        """Return the objectives of values [n, n_responses] as costs [n, n_objectives]: less is
        better in every column."""
        signs = [-1.0 if self.responses[i].goal == "max" else 1.0 for i in self.objectives]
        costs: np.ndarray = values[:, self.objectives] * np.array(signs)
        return costs

    def excess(self, values: np.ndarray) -> np.ndarray:
        """Return by how much each limit is broken, [n, n_responses] in the responses' units.

        0.0 where it holds or there is none; infinite where the response is missing.
        """
        excess = np.zeros_like(values)
        for i, response in enumerate(self.responses):
            if response.at_most is not None:
                excess[:, i] = np.maximum(excess[:, i], values[:, i] - response.at_most)
            if response.at_least is not None:
                excess[:, i] = np.maximum(excess[:, i], response.at_least - values[:, i])
        excess[np.isnan(values)] = np.inf
        return excess

    def feasible(self, values: np.ndarray) -> np.ndarray:
        """Return which values [n, n_responses] are complete and within all limits, bool [n]."""
        meets: np.ndarray = (self.excess(values) == 0.0).all(axis=1)
        return meets


@dataclass(frozen=True)
class Archive:
    """Everything that a search saw, each point once, in the order in which it was evaluated.

    points : int64 [n, n_variables]. values : float64 [n, n_responses].
    optimal : no point of the problem can improve the front.
    gap : the most value that could still be missed by the best point; None if not known.
    evaluations : points evaluated in all, over resumptions, or search nodes opened.
    """

    points: np.ndarray
    values: np.ndarray
    optimal: bool = False
    gap: float | None = None
    evaluations: int = field(default=0)

    def front(self, problem: Problem) -> np.ndarray:
        """Return the indices of feasible points that no other dominates, best first objective
        first, one of each set of equals."""
        indices = np.flatnonzero(problem.feasible(self.values))
        costs = problem.costs(self.values[indices])
        kept = indices[nondominated(costs)]
        order = np.lexsort(problem.costs(self.values[kept]).T[::-1])
        return kept[order]


def nondominated(costs: np.ndarray) -> np.ndarray:
    """Return the indices of rows of costs [n, n_objectives] that no other row dominates.

    Of equal rows the first stays.
    """
    order = np.lexsort(costs.T[::-1])
    kept: list[int] = []
    for index in order:
        if not kept or not (costs[kept] <= costs[index]).all(axis=1).any():
            kept.append(int(index))
    return np.array(sorted(kept), dtype=np.int64)
