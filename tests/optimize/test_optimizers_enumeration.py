"""The optimizers against enumeration of every point of small problems."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgenas.core.errors import InfeasibleError, PredictorError
from edgenas.optimize.optimizers import anneal, exact
from edgenas.optimize.optimizers.base import StageProblem
from edgenas.optimize.optimizers.relaxation import pareto

SEEDS = range(8)


def random_problem(seed: int, margin: str = "none", integers: bool = False) -> StageProblem:
    """Problems of 1 to 3 sizes and 2 to 4 stages; with integers, most sums are tied."""
    rng = np.random.default_rng(seed)
    n_stages = int(rng.integers(2, 5))
    counts = rng.integers(1, 8, (int(rng.integers(1, 4)), n_stages))

    def draw(n: int) -> np.ndarray:
        return rng.integers(0, 4, n) * 0.1 if integers else rng.uniform(0, 3, n)

    costs = tuple(tuple(draw(n) for n in stages) for stages in counts)
    values = tuple(tuple(0.5 * cost + draw(len(cost)) for cost in stages) for stages in costs)
    offsets = (rng.uniform(50, 60, len(counts)), rng.uniform(5, 10, len(counts)))
    if margin == "none":
        return StageProblem(*offsets, values, costs)
    features = rng.normal(0, 1, (*counts.shape, 7, 4))

    def width(points: np.ndarray) -> np.ndarray:  # of a prediction interval
        rows = features[points[:, :1], np.arange(n_stages), points[:, 1:]].sum(axis=1)
        return 0.4 * np.sqrt(1 + (rows**2).sum(axis=1))

    return StageProblem(*offsets, values, costs, width, 0.4)


def every_point(problem: StageProblem) -> np.ndarray:
    return np.array(
        [
            (size, *options)
            for size in problem.sizes
            for options in itertools.product(*(range(len(c)) for c in problem.costs[size]))
        ]
    )


def scored(problem: StageProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, costs and upper bounds of every point, summed with Python's exact-order floats."""
    points = every_point(problem)
    sums = [
        [
            float(offsets[size]) + sum(float(t[size][s][o]) for s, o in enumerate(options))
            for size, *options in points
        ]
        for offsets, t in (
            (problem.value_offsets, problem.values),
            (problem.cost_offsets, problem.costs),
        )
    ]
    margin = 0.0 if problem.margin is None else problem.margin(points)
    return np.array(sums[0]), np.array(sums[1]), np.array(sums[1]) + margin


def distinct_best(values: np.ndarray, costs: np.ndarray, count: int) -> list[float]:
    pairs = sorted({(-round(v, 8), round(c, 8)) for v, c in zip(values, costs, strict=True)})
    return [-value for value, _ in pairs[:count]]


def limits(uppers: np.ndarray) -> np.ndarray:
    """Limits from the least to beyond the greatest upper bound, some exactly on a point."""
    on_points = np.quantile(uppers, [0, 0.05, 0.5], method="nearest")
    return np.concatenate((on_points, np.quantile(uppers, [0.02, 0.3]), [1e3]))


@pytest.mark.parametrize("integers", [False, True], ids=["real", "tied"])
@pytest.mark.parametrize("margin", ["none", "interval"])
@pytest.mark.parametrize("seed", SEEDS)
def test_exact_is_right_at_every_limit(seed, margin, integers):
    problem = random_problem(seed, margin, integers)
    values, costs, uppers = scored(problem)
    for limit in limits(uppers):
        found = exact.best_under(problem, float(limit), seed=0, budget=exact.BUDGET, count=3)
        within = uppers <= limit + 1e-9
        best = distinct_best(values[within], costs[within], 3)
        assert problem.value(np.array(found.points)) == pytest.approx(best, abs=1e-7)
        assert found.optimal
        assert found.gap == 0.0


@pytest.mark.parametrize("integers", [False, True], ids=["real", "tied"])
@pytest.mark.parametrize("seed", SEEDS)
def test_exact_gives_the_whole_frontier(seed, integers):
    problem = random_problem(seed, integers=integers)
    values, costs, _ = scored(problem)
    found = exact.best_under(problem, 1e3, seed=0, budget=exact.BUDGET, count=1)
    frontier = np.array(found.frontier)
    expected: list[tuple[float, float]] = []
    for cost in sorted(set(costs.round(10))):
        best = values[costs <= cost + 1e-9].max()
        if not expected or best > expected[-1][0] + 1e-9:
            expected.append((best, cost))
    assert problem.value(frontier) == pytest.approx([v for v, _ in expected], abs=1e-7)
    assert problem.cost(frontier) == pytest.approx([c for _, c in expected], abs=1e-7)


@pytest.mark.parametrize("optimizer", [exact, anneal])
@pytest.mark.parametrize("margin", ["none", "interval"])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_least_cost_of_an_infeasible_limit_is_the_least(seed, margin, optimizer):
    problem = random_problem(seed, margin)
    uppers = scored(problem)[2]
    with pytest.raises(InfeasibleError) as caught:
        optimizer.best_under(problem, uppers.min() - 1e-6, seed=0, budget=optimizer.BUDGET, count=1)
    assert caught.value.least_cost == pytest.approx(uppers.min(), abs=1e-12)
    assert "the least that exists is" in caught.value.message


@pytest.mark.parametrize("margin", ["none", "interval"])
@pytest.mark.parametrize("seed", SEEDS)
def test_anneal_never_claims_more_than_is_true(seed, margin):
    problem = random_problem(seed, margin)
    values, _, uppers = scored(problem)
    limit = float(np.quantile(uppers, 0.2))
    truth = values[uppers <= limit + 1e-9].max()
    found = anneal.best_under(problem, limit, seed=seed, budget=3_000, count=1)
    best = problem.value(np.array(found.points))[0]
    assert best <= truth + 1e-9
    assert truth <= best + found.gap + 1e-9
    if margin == "none":
        assert best == pytest.approx(truth, abs=1e-9)


@pytest.mark.parametrize("budget", [5, 30, 100, 400])
@pytest.mark.parametrize("seed", SEEDS)
def test_exact_out_of_budget_gives_a_gap_that_holds(seed, budget):
    problem = random_problem(seed, "interval")
    values, _, uppers = scored(problem)
    limit = float(np.quantile(uppers, 0.1))
    truth = values[uppers <= limit + 1e-9].max()
    try:
        found = exact.best_under(problem, limit, seed=0, budget=budget, count=1)
    except InfeasibleError as problem_found:
        assert "before it was proved" in problem_found.message
        return
    best = problem.value(np.array(found.points))[0]
    assert best <= truth + 1e-9
    assert truth <= best + found.gap + 1e-9
    assert not found.optimal or best == pytest.approx(truth, abs=1e-9)


def test_a_hard_margin_out_of_budget_is_not_called_optimal():
    rng = np.random.default_rng(0)
    costs = (tuple(rng.uniform(1, 2, 60) for _ in range(4)),)
    values = (tuple(cost + rng.uniform(0, 0.1, 60) for cost in costs[0]),)
    problem = StageProblem(
        np.zeros(1),
        np.zeros(1),
        values,
        costs,
        lambda p: 0.1 + (p.sum(axis=1) * 7919 % 101) / 50,
        0.1,
    )
    found = exact.best_under(problem, 6.0, seed=0, budget=600, count=1)
    assert not found.optimal
    assert found.gap > 0


def test_dominated_options_win_when_their_margin_is_less():
    values, costs = (np.array([2.0, 1.9]),), (np.array([1.0, 1.1]),)
    problem = StageProblem(
        np.zeros(1),
        np.zeros(1),
        (values,),
        (costs,),
        lambda p: np.where(p[:, 1] == 0, 5.0, 0.1),
        0.1,
    )
    for optimizer in (exact, anneal):
        found = optimizer.best_under(problem, 2.0, seed=0, budget=1_000, count=1)
        assert found.points == ((0, 1),)
    assert exact.best_under(problem, 2.0, seed=0, budget=1_000, count=1).optimal


def test_equal_costs_keep_the_greatest_value_whatever_the_summation_order():
    values, costs = np.array([1.0, 2.0, 2.0, 0.5]), np.array([0.1 + 0.2, 0.3, 0.4, 0.1])
    assert pareto(values, costs).tolist() == [3, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_predictions_that_are_not_finite_are_refused(bad):
    with pytest.raises(PredictorError, match="not a finite number"):
        StageProblem(np.zeros(1), np.zeros(1), ((np.array([bad]),),), ((np.ones(1),),))


def test_a_stage_without_options_is_refused():
    with pytest.raises(PredictorError, match="no option"):
        StageProblem(np.zeros(1), np.zeros(1), ((np.empty(0),),), ((np.empty(0),),))
