"""monas and dppnet: what their rewards can and cannot find, and that they learn."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.errors import InputError
from edgenas.optimize.optimizers import dppnet, monas
from edgenas.optimize.optimizers.problem import Problem, Response
from edgenas.runs.config import RunConfig

# Quality and cost of four points. B is on the front, in a dent below the line from A to C; not D.
QUALITY = np.array([0.1, 0.3, 1.0, 0.2])
COST = np.array([0.0, 0.5, 0.9, 0.6])
WISHES = np.linspace(0.0, 1.0, 201)


def winners(reward: str) -> set[str]:
    """Every point that some wish calls the best, by brute force over wishes."""
    found = set()
    for wish in WISHES:
        wishes = np.full((len(QUALITY), 1), wish)
        rewards = monas.REWARDS[reward](QUALITY, COST[:, None], wishes)
        if (rewards != 0).any():
            found |= {"ABCD"[i] for i in np.flatnonzero(rewards == rewards.max())}
    return found


def test_a_mixed_reward_never_prefers_a_point_in_a_dent_of_the_front() -> None:
    assert winners("mixed") == {"A", "C"}


@pytest.mark.parametrize("reward", ["power_limited", "accuracy_floor"])
def test_constrained_rewards_reach_every_point_of_the_front(reward: str) -> None:
    assert winners(reward) == {"A", "B", "C"}


def ladder(n_variables: int = 8, n_options: int = 4) -> Problem:
    """Quality grows with each choice, and costs more the later the variable."""
    weights = np.arange(1, n_variables + 1)

    def evaluate(points: np.ndarray) -> np.ndarray:
        return np.stack([points.sum(axis=1), points @ weights], axis=1).astype(float)

    responses = (Response("accuracy", goal="max"), Response("latency_ms", goal="min"))
    return Problem((n_options,) * n_variables, responses, evaluate)


def excess_cost(problem: Problem, points: np.ndarray) -> float:
    """How much more points cost than the cheapest of the same quality: 0 on the true front."""
    cheapest = []
    for total in problem.evaluate(points)[:, 0].astype(int):
        full, rest = divmod(total, problem.options[0] - 1)
        best = np.zeros(len(problem.options), np.int64)
        best[:full] = problem.options[0] - 1
        if rest:
            best[full] = rest
        cheapest.append(problem.evaluate(best[None])[0, 1])
    return float(np.mean(problem.evaluate(points)[:, 1] - cheapest))


@pytest.mark.parametrize("optimizer", [monas, dppnet], ids=["monas", "dppnet"])
def test_what_is_seen_late_is_nearer_to_the_front_than_what_is_seen_first(optimizer) -> None:
    problem = ladder()
    points = optimizer.optimize(problem, seed=0, budget=300).points
    assert excess_cost(problem, points[-100:]) < 0.75 * excess_cost(problem, points[:20])


def test_a_controller_keeps_within_a_limit() -> None:
    free = ladder()
    problem = Problem(
        free.options,
        (Response("accuracy", "max"), Response("latency_ms", at_most=30)),
        free.evaluate,
    )
    values = monas.optimize(problem, seed=0, budget=200).values
    assert np.mean(values[-50:, 1] <= 30) > np.mean(values[:20, 1] <= 30)
    assert values[values[:, 1] <= 30, 0].max() >= 10


def test_an_unknown_reward_names_the_nearest() -> None:
    with pytest.raises(InputError, match="no reward 'power'") as refused:
        monas.optimize(ladder(), seed=0, budget=10, reward="power")
    assert "power_limited" in refused.value.hint


def test_only_an_optimizer_with_rewards_takes_one() -> None:
    config = RunConfig(optimizer="evolution", reward="mixed")
    with pytest.raises(InputError, match="evolution has no rewards"):
        config.search_options(plugins.load("optimizers", "evolution"))
    assert config.search_options(monas) == {"reward": "mixed"}
