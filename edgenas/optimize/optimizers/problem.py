"""What every optimizer searches: variables with options, responses with goals and limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from edgenas.core.errors import InfeasibleError, InputError
from edgenas.optimize.optimizers.dominance import nondominated

_TINY = np.finfo(float).tiny


@dataclass(frozen=True)
class Response:
    """One number known of each point: an objective (`goal`), limited, both, or only recorded.

    at_most, at_least : limits in the response's own unit; None for no limit.

    Raises
    ------
    InputError : no number can keep both limits.
    """

    name: str
    goal: Literal["max", "min"] | None = None
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise InputError(
                f"No {self.name} is at least {self.at_least:g} and at most {self.at_most:g}.",
                "Drop or change one of the two limits.",
            )

    @property
    def matters(self) -> bool:
        """Whether a point must have this response to be chosen."""
        return self.goal is not None or self.at_most is not None or self.at_least is not None


@dataclass(frozen=True)
class Sums:
    """Responses as sums over variables, of which the first (the size) may change every summand.

    offsets : float64 [n_sizes, n_responses], by the option of variable 0.
    parts : one for each further variable, float64 [n_sizes, n_options, n_responses].
    exact : columns that are the true values, so that they decide a limit by themselves.
    """

    offsets: np.ndarray
    parts: tuple[np.ndarray, ...]
    exact: frozenset[int] = frozenset()

    def values(self, points: np.ndarray) -> np.ndarray:
        """Return the sums of points, int64 [n, n_variables], as float64 [n, n_responses]."""
        sizes = points[:, 0]
        totals: np.ndarray = self.offsets[sizes].copy()
        for part, options in zip(self.parts, points.T[1:], strict=True):
            totals += part[sizes, options]
        return totals


@dataclass(frozen=True)
class Problem:
    """Points are int64 [n, n_variables]; entry i is below `options[i]`.

    evaluate : values of points, float64 [n, n_responses], in the order of `responses`; NaN where
        a response is missing, and such a point is never chosen. Each point given counts as one
        evaluation of the budget.
    project : the nearest points that exist, [n, n_variables], for a table that lacks some
        combinations; None where every combination exists.
    sums : the same responses as sums, where they are separable; of a response that is limited
        only (an upper bound, say), sums that are never farther from the limit's good side than
        the true values are enough.
    """

    options: tuple[int, ...]
    responses: tuple[Response, ...]
    evaluate: Callable[[np.ndarray], np.ndarray]
    project: Callable[[np.ndarray], np.ndarray] | None = None
    sums: Sums | None = None

    @property
    def objectives(self) -> list[int]:
        """Columns of the responses that have a goal."""
        return [i for i, response in enumerate(self.responses) if response.goal is not None]

    @property
    def combinations(self) -> int:
        """How many points the options span, of which a table may lack some."""
        return math.prod(self.options)

    def limits(self) -> Iterator[tuple[int, float, float]]:
        """Yield each limit as column, sign and bound: it is kept where sign * value <= bound."""
        for i, response in enumerate(self.responses):
            if response.at_most is not None:
                yield i, 1.0, response.at_most
            if response.at_least is not None:
                yield i, -1.0, -response.at_least

    def costs(self, values: np.ndarray) -> np.ndarray:
        """Return the objectives of values [n, n_responses] as costs [n, n_objectives]: less is
        better in every column."""
        signs = [-1.0 if self.responses[i].goal == "max" else 1.0 for i in self.objectives]
        costs: np.ndarray = values[:, self.objectives] * np.array(signs)
        return costs

    def excess(self, values: np.ndarray) -> np.ndarray:
        """Return by how much each limit is broken, [n, n_responses] in the responses' units.

        0.0 where it holds or there is none; infinite where a response that matters is missing.
        """
        excess = np.zeros_like(values)
        for i, sign, bound in self.limits():
            excess[:, i] = np.fmax(excess[:, i], sign * values[:, i] - bound)
        matters = np.array([response.matters for response in self.responses])
        excess[np.isnan(values) & matters] = np.inf
        return excess

    def violation(self, values: np.ndarray) -> np.ndarray:
        """Return the summed excess, each limit's as a share of the limit, float64 [n]; 0.0 where
        all hold."""
        scales = np.ones(len(self.responses))
        for i, _, bound in self.limits():
            scales[i] = max(abs(bound), _TINY)
        violation: np.ndarray = (self.excess(values) / scales).sum(axis=1)
        return violation

    def feasible(self, values: np.ndarray) -> np.ndarray:
        """Return which values [n, n_responses] are complete and within all limits, bool [n]."""
        meets: np.ndarray = (self.excess(values) == 0.0).all(axis=1)
        return meets

    def broken(self, values: np.ndarray) -> str:
        """Return which limits values [n_responses] break, and by how much, as words."""
        return " and ".join(
            f"{self._limit(i, sign, bound)} by {sign * values[i] - bound:.4g} ({values[i]:.6g})"
            for i, sign, bound in self.limits()
            if sign * values[i] > bound
        )

    def kept(self, values: np.ndarray) -> str:
        """Return how many of values [n, n_responses] keep each limit, as words."""
        return ", ".join(
            f"{self._limit(i, sign, bound)} by {np.count_nonzero(sign * values[:, i] <= bound)}"
            for i, sign, bound in self.limits()
        )

    def _limit(self, i: int, sign: float, bound: float) -> str:
        return f"{self.responses[i].name} {'<=' if sign > 0 else '>='} {sign * bound:g}"


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


class NoneFeasibleError(InfeasibleError):
    """Nothing that a search saw meets the limits; `archive` is what it saw, to go on from."""

    def __init__(self, message: str, hint: str, archive: Archive) -> None:
        super().__init__(message, hint)
        self.archive = archive
