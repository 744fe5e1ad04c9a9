"""The evaluations of one search: counted against the budget, cached, kept for the archive."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgenas.core.errors import InputError
from edgenas.core.progress import Task
from edgenas.optimize.optimizers.base import check_budget
from edgenas.optimize.optimizers.problem import Archive, NoneFeasibleError, Problem

_ROOM = 256  # points held at first
_STALLED = 2_000  # calls in sequence that show the search nothing it has not seen


class SpentError(Exception):
    """The budget is spent, or there is nothing left to evaluate."""


class Evaluations:
    """What one search has seen. Call it with points to get their values.

    A point of the earlier `archive` costs nothing, but is only seen once it is asked for: a
    search that starts again with its seed retraces its steps and then goes on.

    points : int64 [n, n_variables]. values : float64 [n, n_responses]; in the order of asking.
    """

    def __init__(
        self, problem: Problem, budget: int, archive: Archive | None, progress: Task | None
    ) -> None:
        check_budget(budget)
        self.problem = problem
        self.left = budget
        self._points = np.empty((_ROOM, len(problem.options)), np.int64)
        self._values = np.empty((_ROOM, len(problem.responses)))
        self._earlier = archive or Archive(self._points[:0], self._values[:0])
        if self._earlier.values.shape[1] != len(problem.responses):
            raise InputError(
                f"The archive to go on from has {self._earlier.values.shape[1]} responses, "
                f"the search {len(problem.responses)}.",
                "Start a new search.",
            )
        self._known = dict(zip(_keys(self._earlier.points), self._earlier.values, strict=True))
        self._seen: dict[bytes, int] = {}
        self._new: list[int] = []
        self._stalled = 0
        self._progress = progress

    def __len__(self) -> int:
        return len(self._seen)

    @property
    def points(self) -> np.ndarray:
        return self._points[: len(self)]

    @property
    def values(self) -> np.ndarray:
        return self._values[: len(self)]

    @property
    def known(self) -> int:
        """How many points of the earlier archive there are, which cost nothing."""
        return len(self._known)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return the values of points, int64 [n, n_variables], as float64 [n, n_responses].

        Raises
        ------
        SpentError : the budget did not suffice for all; those that it did suffice for are seen.
        """
        points = self.existing(points)
        keys = _keys(points)
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        fresh = sorted(i for key, i in first.items() if key not in self._seen)
        self._stalled = 0 if fresh else self._stalled + 1
        cut = self._within_budget(fresh, keys)
        self._take(points[fresh[:cut]], [keys[i] for i in fresh[:cut]])
        exhausted = not fresh and len(self) == self.problem.combinations
        if cut < len(fresh) or exhausted or self._stalled > _STALLED:
            raise SpentError
        values: np.ndarray = self._values[[self._seen[key] for key in keys]]
        return values

    def existing(self, points: np.ndarray) -> np.ndarray:
        """Return the nearest points that exist."""
        points = np.asarray(points, dtype=np.int64).reshape(-1, len(self.problem.options))
        return points if self.problem.project is None else self.problem.project(points)

    def unseen(self, points: np.ndarray) -> np.ndarray:
        """Return which existing points this search has not seen yet, bool [n]."""
        return np.array([key not in self._seen for key in _keys(points)], dtype=bool)

    def archive(self, *, optimal: bool = False, gap: float | None = None) -> Archive:
        """Return the earlier archive and what is new.

        Raises
        ------
        NoneFeasibleError : nothing in it meets the limits; says which limit binds.
        """
        archive = self.seen(optimal, gap)
        if not self.problem.feasible(archive.values).any():
            raise NoneFeasibleError(
                _why(self.problem, archive.values), "Loosen that limit or search longer.", archive
            )
        return archive

    def seen(self, optimal: bool = False, gap: float | None = None) -> Archive:
        """Return the earlier archive and what is new, whether or not it meets the limits."""
        return Archive(
            np.concatenate((self._earlier.points, self.points[self._new])),
            np.concatenate((self._earlier.values, self.values[self._new])),
            optimal,
            gap,
            self._earlier.evaluations + len(self._new),
        )

    def _within_budget(self, fresh: list[int], keys: list[bytes]) -> int:
        """Return how many of `fresh` come before the budget is over."""
        left = self.left
        for place, i in enumerate(fresh):
            left -= keys[i] not in self._known
            if left < 0:
                return place
        return len(fresh)

    def _take(self, points: np.ndarray, keys: list[bytes]) -> None:
        new = [i for i, key in enumerate(keys) if key not in self._known]
        done, room = len(self), len(self._points)
        while done + len(points) > room:
            room *= 2
        if room > len(self._points):
            self._points = np.resize(self._points, (room, self._points.shape[1]))
            self._values = np.resize(self._values, (room, self._values.shape[1]))
        values = np.empty((len(points), len(self.problem.responses)))
        if new:
            values[new] = self.problem.evaluate(points[new])
        for i, key in enumerate(keys):
            values[i] = self._known.get(key, values[i])
            self._seen[key] = done + i
        self._points[done : len(self)], self._values[done : len(self)] = points, values
        self._new += [done + i for i in new]
        self.left -= len(new)
        if self._progress is not None and new:
            self._progress.advance(len(new))


def optimizer(
    search: Callable[[Evaluations, np.random.Generator], bool | None],
) -> Callable[..., Archive]:
    """Make a member's `optimize`, as `base` has it, of a search that asks for points until it
    returns or the budget is spent. It returns whether the front is proved; None says no.

    The points of `start` are asked for first; what was seen is returned.

    Raises
    ------
    InputError : the budget is not positive. NoneFeasibleError : nothing seen meets the limits.
    """

    def optimize(
        problem: Problem,
        *,
        seed: int,
        budget: int,
        archive: Archive | None = None,
        start: np.ndarray | None = None,
        progress: Task | None = None,
    ) -> Archive:
        evaluations = Evaluations(problem, budget, archive, progress)
        optimal = False
        try:
            if start is not None and len(start):
                evaluations(start)
            optimal = bool(search(evaluations, np.random.default_rng(seed)))
        except SpentError:
            pass
        return evaluations.archive(optimal=optimal)

    optimize.__doc__ = search.__doc__
    return optimize


def random_points(problem: Problem, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n points drawn evenly, int64 [n, n_variables]; some may not exist in a table."""
    return rng.integers(0, problem.options, (n, len(problem.options)))


def _keys(points: np.ndarray) -> list[bytes]:
    return [row.tobytes() for row in np.ascontiguousarray(points, dtype=np.int64)]


def _why(problem: Problem, values: np.ndarray) -> str:
    """Return which limit the nearest point breaks, by how much, and how often each is kept."""
    tried = f"None of {len(values)} points tried meets the limits"
    complete = ~np.isinf(problem.excess(values)).any(axis=1)
    if not complete.any():
        return f"{tried}: every one lacks a response."
    values = values[complete]
    nearest = values[np.argmin(problem.violation(values))]
    return f"{tried}: the nearest breaks {problem.broken(nearest)}. Kept: {problem.kept(values)}."
