"""What every optimizer must do, whichever it is; a new file in the family is enrolled by itself."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from edgenas import plugins
from edgenas.errors import InfeasibleError, InputError
from edgenas.optimizers.problem import Problem, Response, Sums

OPTIONS = (2, 6, 5, 6, 5)  # 1,800 points
RESPONSES = (
    Response("accuracy", goal="max"),
    Response("latency_ms", goal="min"),
    Response("energy_mj", at_most=19.0),
)


class Counted:
    """`evaluate` that counts, and refuses what does not exist or was given before."""

    def __init__(self, evaluate, exists=lambda points: np.ones(len(points), bool)):
        self.evaluate, self.exists = evaluate, exists
        self.given: set[tuple[int, ...]] = set()
        self.count = 0

    def __call__(self, points):
        assert points.dtype == np.int64
        assert ((points >= 0) & (points < OPTIONS)).all()
        assert self.exists(points).all()
        rows = set(map(tuple, points.tolist()))
        assert len(rows) == len(points)
        assert not rows & self.given
        self.given |= rows
        self.count += len(points)
        return self.evaluate(points)


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

    def evaluate(points):
        values = sums.values(points) + 0.1 * np.sin(points @ np.arange(1, 6))[:, None]
        values[points.sum(axis=1) % 7 == 0, 1] = np.nan
        return values

    def project(points):
        points = points.copy()
        points[:, -1] -= points[:, -1] % 3 == 2
        return points

    exists = Counted(evaluate, lambda points: points[:, -1] % 3 != 2)
    return Problem(OPTIONS, RESPONSES, exists, project)


@pytest.fixture(params=plugins.names("optimizers"))
def optimizer(request):
    return plugins.load("optimizers", request.param)


@pytest.fixture(params=[separable_problem, table_problem], ids=["separable", "table"])
def problem(request, optimizer):
    if request.param is table_problem and optimizer.__name__.endswith(".exact"):
        pytest.skip("exact evaluates a whole table or none: tests/test_optimizers_exact.py")
    return request.param()


def same(one, other) -> bool:
    return np.array_equal(one.points, other.points) and np.array_equal(
        one.values, other.values, equal_nan=True
    )


@pytest.mark.parametrize("budget", [1, 7, 120])
def test_the_budget_is_kept(optimizer, problem, budget):
    try:
        archive = optimizer.optimize(problem, seed=0, budget=budget)
    except InfeasibleError as none:
        archive = none.archive
    assert problem.evaluate.count <= budget
    assert archive.evaluations == problem.evaluate.count == len(archive.points)


def test_the_archive_holds_what_was_evaluated(optimizer, problem):
    archive = optimizer.optimize(problem, seed=0, budget=120)
    assert set(map(tuple, archive.points.tolist())) == problem.evaluate.given
    again = problem.evaluate.evaluate(archive.points)
    np.testing.assert_array_equal(archive.values, again)


def test_the_front_is_complete_and_within_the_limits(optimizer, problem):
    archive = optimizer.optimize(problem, seed=0, budget=120)
    front = archive.values[archive.front(problem)]
    assert len(front)
    assert not np.isnan(front).any()
    assert (front[:, 2] <= 19.0).all()
    for one, other in itertools.permutations(front, 2):
        assert one[0] > other[0] or one[1] < other[1]


def test_the_same_seed_sees_the_same(optimizer, problem):
    first = optimizer.optimize(problem, seed=4, budget=60)
    problem.evaluate.given.clear()
    assert same(first, optimizer.optimize(problem, seed=4, budget=60))


def test_going_on_from_an_archive_sees_what_one_search_sees(optimizer, problem):
    whole = optimizer.optimize(problem, seed=5, budget=120)
    problem.evaluate.given.clear()
    part = optimizer.optimize(problem, seed=5, budget=50)
    resumed = optimizer.optimize(problem, seed=5, budget=70, archive=part)
    assert same(whole, resumed)
    assert resumed.evaluations == whole.evaluations


def test_an_archive_of_another_search_costs_nothing_and_is_kept(optimizer, problem):
    rng = np.random.default_rng(1)
    other = plugins.load("optimizers", "random").optimize(problem, seed=9, budget=40)
    archive = optimizer.optimize(problem, seed=int(rng.integers(9)), budget=30, archive=other)
    np.testing.assert_array_equal(archive.points[:40], other.points)
    assert problem.evaluate.count == archive.evaluations <= 70


def test_the_start_is_tried_first(optimizer, problem):
    start = np.array([[1, 2, 3, 4, 0], [0, 0, 0, 0, 0], [1, 5, 4, 5, 4]])
    archive = optimizer.optimize(problem, seed=0, budget=30, start=start)
    np.testing.assert_array_equal(archive.points[:3], start)


def test_progress_advances_by_evaluations(optimizer, problem):
    class Task:
        done = 0

        def advance(self, units=1.0):
            self.done += units

        def note(self, text):
            pass

    task = Task()
    archive = optimizer.optimize(problem, seed=0, budget=90, progress=task)
    assert task.done == archive.evaluations


def test_limits_that_nothing_meets_are_explained_and_nothing_is_lost(optimizer, problem):
    responses = (*RESPONSES[:2], Response("energy_mj", at_most=4.0))
    hopeless = dataclasses.replace(problem, responses=responses)
    with pytest.raises(InfeasibleError, match="energy_mj <= 4") as caught:
        optimizer.optimize(hopeless, seed=0, budget=40)
    assert len(caught.value.archive.points) == problem.evaluate.count


def test_one_objective_is_enough(optimizer, problem):
    responses = (RESPONSES[0], Response("latency_ms", at_most=12.0), RESPONSES[2])
    single = dataclasses.replace(problem, responses=responses)
    archive = optimizer.optimize(single, seed=0, budget=120)
    best = archive.values[archive.front(single)]
    assert len(best) == 1
    met = archive.values[single.feasible(archive.values)]
    assert best[0, 0] == met[:, 0].max()


def test_no_budget_is_bad_input(optimizer, problem):
    with pytest.raises(InputError, match="budget of at least 1"):
        optimizer.optimize(problem, seed=0, budget=0)


def test_the_default_budget_is_a_positive_number(optimizer):
    assert optimizer.BUDGET > 0
