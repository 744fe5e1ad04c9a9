"""What single optimizers owe beyond the family's contract."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from edgenas.core.errors import InputError
from edgenas.optimize.optimizers import anneal, evolution, nsga2, random, surrogate
from edgenas.optimize.optimizers.dominance import hypervolume
from edgenas.optimize.optimizers.problem import Problem, Response

GOALS = (Response("accuracy", goal="max"), Response("latency_ms", goal="min"))


def concave_problem(options: tuple[int, ...]) -> Problem:
    """Accuracy saturates in latency, and pairs of choices interact."""
    rng = np.random.default_rng(0)
    cost = [np.sort(rng.uniform(0, 1, n)) for n in options]
    pair = rng.normal(0, 0.1, (len(options), max(options), max(options)))

    def evaluate(points: np.ndarray) -> np.ndarray:
        latency = sum(c[p] for c, p in zip(cost, points.T, strict=True))
        extra = sum(pair[i, points[:, i], points[:, i - 1]] for i in range(len(options)))
        return np.column_stack((np.sqrt(latency) + extra, latency))

    return Problem(options, GOALS, evaluate)


def dominated_volume(archive, problem: Problem) -> float:
    return hypervolume(problem.costs(archive.values), np.array([0.0, len(problem.options)]))


def mean_volume(optimizer, problem: Problem, budget: int) -> float:
    runs = [optimizer.optimize(problem, seed=seed, budget=budget) for seed in range(4)]
    return float(np.mean([dominated_volume(run, problem) for run in runs]))


@pytest.mark.parametrize("optimizer", [anneal, evolution, nsga2, surrogate])
def test_it_beats_random_at_equal_budget(optimizer):
    problem = concave_problem((6,) * 5)
    assert mean_volume(optimizer, problem, 150) > mean_volume(random, problem, 150)


def test_surrogate_draws_its_candidates_where_the_space_is_large():
    problem = concave_problem((40,) * 5)
    assert mean_volume(surrogate, problem, 60) > mean_volume(random, problem, 60)


def test_without_pymoo_nsga2_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymoo", None)
    with pytest.raises(InputError, match=r"pip install \"edgenas\[pareto\]\""):
        nsga2.optimize(concave_problem((3, 3)), seed=0, budget=5)
