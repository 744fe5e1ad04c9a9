"""`exact` for many objectives against enumeration; dominance and hypervolume against others."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from edgenas.core.errors import InfeasibleError, InputError
from edgenas.optimize.optimizers import exact, sums_front
from edgenas.optimize.optimizers.dominance import hypervolume, nondominated, ranks
from edgenas.optimize.optimizers.problem import Problem, Response, Sums


def random_problem(seed: int, *limits: Response) -> Problem:
    """Sums of 4 responses of which 3 are objectives; with ties where the seed is odd."""
    rng = np.random.default_rng(seed)
    options = (int(rng.integers(1, 4)), *(int(n) for n in rng.integers(1, 6, 4)))

    def draw(*shape: int) -> np.ndarray:
        return rng.integers(0, 5, shape) * 0.1 if seed % 2 else rng.random(shape)

    sums = Sums(draw(options[0], 4), tuple(draw(options[0], n, 4) for n in options[1:]))
    goals = [Response("a", goal="max"), Response("b", goal="min"), Response("c", goal="min")]
    responses = [*goals, Response("d")]
    for limit in limits:
        place = [response.name for response in responses].index(limit.name)
        goal = responses[place].goal
        responses[place] = dataclasses.replace(limit, goal=goal)
    return Problem(options, tuple(responses), sums.values, sums=sums)


def every_point(options: tuple[int, ...]) -> np.ndarray:
    return np.array(list(itertools.product(*map(range, options))))


def distinct_front(problem: Problem, values: np.ndarray) -> set[tuple[float, ...]]:
    """The costs that no other has better or equal, sums that differ by rounding being equal."""
    distinct = np.unique(problem.costs(values[problem.feasible(values)]).round(9), axis=0)
    dominated = [
        ((distinct <= one).all(axis=1) & (distinct < one).any(axis=1)).any() for one in distinct
    ]
    return set(map(tuple, distinct[~np.array(dominated, dtype=bool)]))


def front_by_enumeration(problem: Problem) -> set[tuple[float, ...]]:
    return distinct_front(problem, problem.evaluate(every_point(problem.options)))


def front_of(archive, problem: Problem) -> set[tuple[float, ...]]:
    return distinct_front(problem, archive.values[archive.front(problem)])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "limits",
    [
        (),
        (Response("d", at_most=1.6),),
        (Response("d", at_least=1.0, at_most=1.6), Response("b", at_most=1.9)),
        (Response("a", at_least=1.4),),
    ],
    ids=["free", "limited", "between", "floor"],
)
def test_the_front_is_that_of_enumeration(seed, limits):
    problem = random_problem(seed, *limits)
    expected = front_by_enumeration(problem)
    if not expected:
        with pytest.raises(InfeasibleError):
            exact.optimize(problem, seed=0, budget=exact.BUDGET)
        return
    archive = exact.optimize(problem, seed=0, budget=exact.BUDGET)
    assert archive.optimal
    assert front_of(archive, problem) == expected


def test_a_limit_that_nothing_can_meet_is_named_with_what_exists():
    problem = random_problem(2, Response("d", at_most=0.01))
    least = problem.evaluate(every_point(problem.options))[:, 3].min()
    with pytest.raises(InfeasibleError, match=r"Nothing has d <= 0.01: the least") as caught:
        exact.optimize(problem, seed=0, budget=100)
    assert f"{least:.6g}" in caught.value.message


def test_limits_that_cannot_be_met_together_are_proved_so():
    problem = random_problem(2)
    values = problem.evaluate(every_point(problem.options))
    best = values[:, 0].max() - 1e-6
    dear = values[values[:, 0] >= best, 1].min() - 1e-3
    limited = random_problem(2, Response("a", at_least=best), Response("b", at_most=dear))
    with pytest.raises(InfeasibleError, match="it is proved that nothing meets all") as caught:
        exact.optimize(limited, seed=0, budget=100)
    assert " by " in caught.value.message


def test_a_limit_that_the_least_sum_exceeds_by_rounding_alone_is_refused_in_words():
    sums = Sums(np.zeros((1, 2)), (np.array([[[0.1, 1.0], [0.2, 2.0]]]),) * 3)  # 0.1 * 3 > 0.3
    responses = (Response("cost", at_most=0.3), Response("value", goal="max"))
    problem = Problem((1, 2, 2, 2), responses, sums.values, sums=sums)
    with pytest.raises(InfeasibleError, match=r"the least that exists is 0\.3"):
        exact.optimize(problem, seed=0, budget=100)


def test_too_small_a_budget_is_not_called_optimal():
    problem = random_problem(4)
    assert len(front_by_enumeration(problem)) > 5
    archive = exact.optimize(problem, seed=0, budget=5)
    assert not archive.optimal
    assert front_of(archive, problem) <= front_by_enumeration(problem)


def test_a_front_beyond_memory_is_thinned_and_not_called_optimal(monkeypatch):
    problem = random_problem(4)
    monkeypatch.setattr(sums_front, "MOST_PARTIAL", 8)
    archive = exact.optimize(problem, seed=0, budget=1_000)
    assert not archive.optimal
    assert len(archive.points) <= 8 * problem.options[0]
    assert len(archive.front(problem)) > 3


def test_a_true_limit_that_its_sums_only_bound_is_kept_and_not_called_optimal():
    sums_only = random_problem(6, Response("d", at_most=1.6))

    def evaluate(points: np.ndarray) -> np.ndarray:
        values = sums_only.sums.values(points)
        values[:, 3] += 0.4 * (points.sum(axis=1) % 2)
        return values

    problem = dataclasses.replace(sums_only, evaluate=evaluate)
    archive = exact.optimize(problem, seed=0, budget=1_000)
    front = archive.values[archive.front(problem)]
    assert (front[:, 3] <= 1.6).all()
    assert not archive.optimal


def test_a_table_is_enumerated_if_the_budget_allows():
    separable = random_problem(8)
    problem = dataclasses.replace(separable, sums=None)
    archive = exact.optimize(problem, seed=0, budget=problem.combinations)
    assert archive.optimal
    assert front_of(archive, problem) == front_by_enumeration(problem)
    with pytest.raises(InputError, match=f"all {problem.combinations:,} points"):
        exact.optimize(problem, seed=0, budget=problem.combinations - 1)


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4])
def test_dominance_is_that_of_the_definition(n_objectives):
    rng = np.random.default_rng(n_objectives)
    for trial in range(60):
        shape = (int(rng.integers(0, 40)), n_objectives)
        costs = rng.random(shape) if trial % 2 else rng.integers(0, 5, shape).astype(float)
        expected = [
            i
            for i, one in enumerate(costs)
            if not any(
                (other <= one).all() and ((other < one).any() or j < i)
                for j, other in enumerate(costs)
                if j != i
            )
        ]
        assert nondominated(costs).tolist() == expected


def test_ranks_put_what_breaks_limits_last():
    costs = np.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [0.0, 0.0], [0.0, 0.0], [3.0, 3.0]])
    violation = np.array([0.0, 0.0, 0.0, 0.2, 0.1, 0.0])
    assert ranks(costs, violation).tolist() == [0, 0, 1, 4, 3, 2]


@pytest.mark.parametrize("n_objectives", [2, 3, 4])
def test_hypervolume_is_that_of_pymoo(n_objectives):
    indicator = pytest.importorskip("pymoo.indicators.hv")
    rng = np.random.default_rng(0)
    reference = np.full(n_objectives, 0.9)
    for _ in range(10):
        costs = rng.random((20, n_objectives))
        expected = indicator.HV(ref_point=reference)(costs)
        assert hypervolume(costs, reference) == pytest.approx(expected, abs=1e-12)
