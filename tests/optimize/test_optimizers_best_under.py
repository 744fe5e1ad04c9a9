"""What the optimizers that prove a gap owe under one limit, and the others without one."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.errors import InfeasibleError, InputError
from edgenas.optimize.optimizers import anneal, exact, under_limit
from edgenas.optimize.optimizers.base import StageProblem

BUDGET = 5_000


def small_problem(with_margin: bool) -> StageProblem:
    rng = np.random.default_rng(5)
    counts = ((6, 5, 7), (4, 6, 5))
    costs = tuple(tuple(rng.uniform(1, 4, n) for n in stages) for stages in counts)
    values = tuple(
        tuple(np.log(cost) + rng.normal(0, 0.2, len(cost)) for cost in stages) for stages in costs
    )
    bounds = {"margin": lambda p: 0.2 + 0.1 * p[:, 1:].sum(axis=1), "least_margin": 0.2}
    return StageProblem(
        np.array([60.0, 60.3]),
        np.array([1.0, 2.0]),
        values,
        costs,
        **(bounds if with_margin else {}),
    )


@pytest.fixture(params=[exact, anneal], ids=["exact", "anneal"])
def optimizer(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["no-margin", "margin"])
def problem(request):
    return small_problem(request.param)


def test_points_meet_the_limit_best_first_and_distinct(optimizer, problem):
    found = optimizer.best_under(problem, 9.0, seed=1, budget=BUDGET, count=4)
    points = np.array(found.points)
    values, costs = problem.value(points), problem.cost(points)
    assert 1 <= len(points) <= 4
    assert (problem.upper(points) <= 9.0 + 1e-9).all()
    assert (np.diff(values) <= 0).all()
    assert len({(round(v, 9), round(c, 9)) for v, c in zip(values, costs, strict=True)}) == len(
        points
    )


def test_frontier_rises_in_cost_and_value(optimizer, problem):
    found = optimizer.best_under(problem, 9.0, seed=1, budget=BUDGET, count=1)
    frontier = np.array(found.frontier)
    assert (np.diff(problem.cost(frontier)) > 0).all()
    assert (np.diff(problem.value(frontier)) > 0).all()


def test_the_gap_is_zero_exactly_when_optimal(optimizer, problem):
    found = optimizer.best_under(problem, 9.0, seed=1, budget=BUDGET, count=1)
    assert found.gap is None or found.gap >= 0
    assert found.optimal == (found.gap == 0)


def test_the_same_seed_finds_the_same(optimizer, problem):
    first, second = (
        optimizer.best_under(problem, 9.0, seed=3, budget=BUDGET, count=3) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("budget", [1, 7, 150])
def test_a_small_budget_is_kept_and_still_gives_an_answer(optimizer, problem, budget):
    found = optimizer.best_under(problem, 9.0, seed=0, budget=budget, count=1)
    assert problem.upper(np.array(found.points))[0] <= 9.0 + 1e-9
    assert found.evaluations <= budget + len(found.frontier)


def test_an_infeasible_limit_is_refused_with_the_least_that_exists(optimizer, problem):
    with pytest.raises(InfeasibleError) as caught:
        optimizer.best_under(problem, 0.5, seed=0, budget=BUDGET, count=1)
    point = np.array([caught.value.least_point])
    assert problem.upper(point)[0] == pytest.approx(caught.value.least_cost, abs=1e-12)
    assert f"{caught.value.least_cost:g}" in caught.value.message


def test_the_least_cost_as_limit_is_feasible(optimizer, problem):
    with pytest.raises(InfeasibleError) as caught:
        optimizer.best_under(problem, 0.5, seed=0, budget=BUDGET, count=1)
    least = caught.value.least_cost
    found = optimizer.best_under(problem, least, seed=0, budget=BUDGET, count=1)
    assert problem.upper(np.array(found.points))[0] == pytest.approx(least, abs=1e-9)
    with pytest.raises(InfeasibleError):
        optimizer.best_under(problem, least - 1e-6, seed=0, budget=BUDGET, count=1)


def test_no_budget_is_bad_input(optimizer, problem):
    with pytest.raises(InputError, match="budget of at least 1"):
        optimizer.best_under(problem, 9.0, seed=0, budget=0, count=1)


def test_what_only_one_optimizer_takes_reaches_it(problem):
    with pytest.raises(InputError, match="no reward 'power'"):
        under_limit.best_under(
            plugins.load("optimizers", "monas"), problem, 9.0, seed=0, budget=9, count=1,
            reward="power",
        )  # fmt: skip


@pytest.mark.parametrize("name", plugins.names("optimizers"))
def test_any_optimizer_answers_under_one_limit(name, problem):
    optimizer = plugins.load("optimizers", name)
    found = under_limit.best_under(optimizer, problem, 9.0, seed=0, budget=150, count=3)
    points = np.array(found.points)
    best = exact.best_under(problem, 9.0, seed=0, budget=BUDGET, count=1)
    assert (problem.upper(points) <= 9.0 + 1e-9).all()
    assert problem.value(points)[0] <= problem.value(np.array(best.points))[0] + 1e-9
    assert (np.diff(problem.cost(np.array(found.frontier))) > 0).all()
    with pytest.raises(InfeasibleError) as caught:
        under_limit.best_under(optimizer, problem, 0.5, seed=0, budget=50, count=1)
    least = problem.upper(np.array([caught.value.least_point]))
    assert least[0] == pytest.approx(caught.value.least_cost)
