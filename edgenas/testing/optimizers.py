"""What every optimizer promises."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.contracts import OptimizerMember
from edgenas.core.errors import InputError
from edgenas.optimize.optimizers.problem import NoneFeasibleError, Problem, Response, Sums
from edgenas.testing.members import MemberContract

Evaluate = Callable[[np.ndarray], np.ndarray]
OPTIONS = (2, 6, 5, 6, 5)  # 1,800 points
RESPONSES = (
    Response("accuracy", goal="max"),
    Response("latency_ms", goal="min"),
    Response("energy_mj", at_most=19.0),
)


class Counted:
    """`evaluate` that counts, and refuses what does not exist or was given before."""

    def __init__(self, evaluate: Evaluate, exists: Evaluate | None = None) -> None:
        self.evaluate, self.exists = evaluate, exists or (lambda points: np.ones(len(points), bool))
        self.given: set[tuple[int, ...]] = set()
        self.count = 0

    def __call__(self, points: np.ndarray) -> np.ndarray:
        assert points.dtype == np.int64
        assert ((points >= 0) & (points < OPTIONS)).all()
        assert self.exists(points).all()
        rows = set(map(tuple, points.tolist()))
        assert len(rows) == len(points)
        assert not rows & self.given
        self.given |= rows
        self.count += len(points)
        return self.evaluate(points)


def counted(problem: Problem) -> Counted:
    """Return what a problem is evaluated by."""
    assert isinstance(problem.evaluate, Counted)
    return problem.evaluate


def separable_problem() -> Problem:
    rng = np.random.default_rng(3)
    parts = []
    for n in OPTIONS[1:]:
        latency = rng.uniform(1, 4, (2, n))
        accuracy = np.log(latency) + rng.normal(0, 0.2, (2, n))
        energy = 1.5 * latency + rng.uniform(0, 1, (2, n))
        parts.append(np.stack((accuracy, latency, energy), axis=2))
    sums = Sums(np.array([[60.0, 1.0, 2.0], [60.4, 2.0, 3.0]]), tuple(parts))
    return Problem(OPTIONS, RESPONSES, Counted(sums.values), sums=sums)


def table_problem() -> Problem:
    """Not separable, with missing values; every third option of the last variable is not there."""
    sums = separable_problem().sums
    assert sums is not None

    def evaluate(points: np.ndarray) -> np.ndarray:
        values = sums.values(points) + 0.1 * np.sin(points @ np.arange(1, 6))[:, None]
        values[points.sum(axis=1) % 7 == 0, 1] = np.nan
        return values

    def project(points: np.ndarray) -> np.ndarray:
        points = points.copy()
        points[:, -1] -= points[:, -1] % 3 == 2
        return points

    exists = Counted(evaluate, lambda points: points[:, -1] % 3 != 2)
    return Problem(OPTIONS, RESPONSES, exists, project)


def same(one: Any, other: Any) -> bool:
    return np.array_equal(one.points, other.points) and np.array_equal(
        one.values, other.values, equal_nan=True
    )


class OptimizerContract(MemberContract):
    """What a member of the family "optimizers" promises.

    takes_tables : whether it searches problems that are no sums and lack combinations.
    """

    family = "optimizers"
    protocol = OptimizerMember
    takes_tables = True

    @pytest.fixture(params=[separable_problem, table_problem], ids=["separable", "table"])
    def problem(self, request: pytest.FixtureRequest, member: ModuleType) -> Problem:
        """Return a problem of sums, and one that is a table with holes."""
        if request.param is table_problem and not self.takes_tables:
            pytest.skip("this optimizer evaluates a whole table or none")
        created: Problem = request.param()
        return created

    @pytest.mark.parametrize("budget", [1, 7, 120])
    def test_the_budget_is_kept(self, member: ModuleType, problem: Problem, budget: int) -> None:
        try:
            archive = member.optimize(problem, seed=0, budget=budget)
        except NoneFeasibleError as none:
            archive = none.archive
        assert counted(problem).count <= budget
        assert archive.evaluations == counted(problem).count == len(archive.points)

    def test_the_archive_holds_what_was_evaluated(
        self, member: ModuleType, problem: Problem
    ) -> None:
        archive = member.optimize(problem, seed=0, budget=120)
        assert set(map(tuple, archive.points.tolist())) == counted(problem).given
        again = counted(problem).evaluate(archive.points)
        np.testing.assert_array_equal(archive.values, again)

    def test_the_front_is_complete_and_within_the_limits(
        self, member: ModuleType, problem: Problem
    ) -> None:
        archive = member.optimize(problem, seed=0, budget=120)
        front = archive.values[archive.front(problem)]
        assert len(front)
        assert not np.isnan(front).any()
        assert (front[:, 2] <= 19.0).all()
        for one, other in itertools.permutations(front, 2):
            assert one[0] > other[0] or one[1] < other[1]

    def test_the_same_seed_sees_the_same(self, member: ModuleType, problem: Problem) -> None:
        first = member.optimize(problem, seed=4, budget=60)
        counted(problem).given.clear()
        assert same(first, member.optimize(problem, seed=4, budget=60))

    def test_going_on_from_an_archive_sees_what_one_search_sees(
        self, member: ModuleType, problem: Problem
    ) -> None:
        whole = member.optimize(problem, seed=5, budget=120)
        counted(problem).given.clear()
        part = member.optimize(problem, seed=5, budget=50)
        resumed = member.optimize(problem, seed=5, budget=70, archive=part)
        assert same(whole, resumed)
        assert resumed.evaluations == whole.evaluations

    def test_an_archive_of_another_search_costs_nothing_and_is_kept(
        self, member: ModuleType, problem: Problem
    ) -> None:
        rng = np.random.default_rng(1)
        other = plugins.load("optimizers", "random").optimize(problem, seed=9, budget=40)
        archive = member.optimize(problem, seed=int(rng.integers(9)), budget=30, archive=other)
        np.testing.assert_array_equal(archive.points[:40], other.points)
        assert counted(problem).count == archive.evaluations <= 70

    def test_the_start_is_tried_first(self, member: ModuleType, problem: Problem) -> None:
        start = np.array([[1, 2, 3, 4, 0], [0, 0, 0, 0, 0], [1, 5, 4, 5, 4]])
        archive = member.optimize(problem, seed=0, budget=30, start=start)
        np.testing.assert_array_equal(archive.points[:3], start)

    def test_progress_advances_by_evaluations(self, member: ModuleType, problem: Problem) -> None:
        class Task:
            done = 0.0

            def advance(self, units: float = 1.0) -> None:
                self.done += units

            def note(self, text: str) -> None:
                pass

        task = Task()
        archive = member.optimize(problem, seed=0, budget=90, progress=task)
        assert task.done == archive.evaluations

    def test_limits_that_nothing_meets_are_explained_and_nothing_is_lost(
        self, member: ModuleType, problem: Problem
    ) -> None:
        responses = (*RESPONSES[:2], Response("energy_mj", at_most=4.0))
        hopeless = dataclasses.replace(problem, responses=responses)
        with pytest.raises(NoneFeasibleError, match="energy_mj <= 4") as caught:
            member.optimize(hopeless, seed=0, budget=40)
        assert len(caught.value.archive.points) == counted(problem).count

    def test_one_objective_is_enough(self, member: ModuleType, problem: Problem) -> None:
        responses = (RESPONSES[0], Response("latency_ms", at_most=12.0), RESPONSES[2])
        single = dataclasses.replace(problem, responses=responses)
        archive = member.optimize(single, seed=0, budget=120)
        best = archive.values[archive.front(single)]
        assert len(best) == 1
        met = archive.values[single.feasible(archive.values)]
        assert best[0, 0] == met[:, 0].max()

    def test_no_budget_is_bad_input(self, member: ModuleType, problem: Problem) -> None:
        with pytest.raises(InputError, match="budget of at least 1"):
            member.optimize(problem, seed=0, budget=0)

    def test_the_default_budget_is_a_positive_number(self, member: ModuleType) -> None:
        assert member.BUDGET > 0
