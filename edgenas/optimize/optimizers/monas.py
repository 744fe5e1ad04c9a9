"""`monas`: a controller trained by REINFORCE on a reward that mixes or constrains (MONAS).

Hsu et al. 2018, arXiv 1806.10332: an LSTM emits the choices and learns from the reward against a
moving baseline. MONAS trains one controller for one weight or threshold; here the controller is
told the weight or threshold, so that one search finds the whole front.
docs/reference/optimizers.md has the rewards' formulas.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.core.errors import InputError, nearest
from edgenas.optimize.optimizers import evaluations as seen
from edgenas.optimize.optimizers.evaluations import Evaluations
from edgenas.optimize.optimizers.problem import Archive, Problem

BUDGET = 1_000
REWARD = "power_limited"
_FIRST = 20  # random points before the controller learns
_BATCH = 10  # points between two rounds of learning
_DRAWN = 3  # times as many are drawn, and those not seen before taken first
_STEPS = 4  # of the controller in a round
_REPLAYED = 100  # earlier points that a step learns from besides the batch
_WISHES = {0: 1, 1: 12, 2: 4}  # levels of each cost, by number of costs; beyond them _FEW
_FEW = 2
_DECAY = 0.8  # of the moving baselines, a step

Reward = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def mixed(quality: np.ndarray, costs: np.ndarray, wish: np.ndarray) -> np.ndarray:
    """Return a * quality - (1 - a) * cost (MONAS, equation 1); a is the wish, mean over costs.

    quality : [n], from 0 to 1. costs, wish : [n, n_costs], from 0 to 1.
    """
    return np.mean(wish * quality[:, None] - (1.0 - wish) * costs, axis=1)


def power_limited(quality: np.ndarray, costs: np.ndarray, wish: np.ndarray) -> np.ndarray:
    """Return quality where every cost is at most as wished, else 0 (MONAS, equation 2)."""
    return np.where((costs <= wish).all(axis=1), quality, 0.0)


def accuracy_floor(quality: np.ndarray, costs: np.ndarray, wish: np.ndarray) -> np.ndarray:
    """Return 1 - cost where quality is at least as wished, else 0 (MONAS, equation 3)."""
    return np.where(quality >= wish[:, 0], 1.0 - costs.mean(axis=1), 0.0)


REWARDS: dict[str, Reward] = {
    "mixed": mixed,
    "power_limited": power_limited,
    "accuracy_floor": accuracy_floor,
}


def optimize(problem: Problem, *, seed: int, reward: str = REWARD, **contract: Any) -> Archive:
    """Return what a controller trained on `reward` evaluated; `contract` : as `base` has it.

    reward : a name of `REWARDS`.

    Raises
    ------
    InputError : the budget is not positive, or there is no such reward.
    NoneFeasibleError : nothing seen meets the limits.
    """
    if reward not in REWARDS:
        raise InputError(f"There is no reward '{reward}'.", nearest(reward, REWARDS))

    def search(evaluations: Evaluations, rng: np.random.Generator) -> None:
        _search(evaluations, rng, reward, seed)

    return seen.optimizer(search)(problem, seed=seed, **contract)


def _search(evaluations: Evaluations, rng: np.random.Generator, reward: str, seed: int) -> None:
    from edgenas.optimize.optimizers.controller import Controller

    problem = evaluations.problem
    wishes = _Wishes(max(0, len(problem.objectives) - 1))
    controller = Controller(problem.options, wishes.vectors.shape[1], seed)
    baselines = _Baselines()
    points = evaluations.existing(seen.random_points(problem, _FIRST, rng))
    memory = _Memory(points, evaluations(points), np.full(_FIRST, -np.log(problem.combinations)))
    while True:
        scale = _Scale.of(problem, evaluations.values, ranked=reward != "mixed")
        for _ in range(_STEPS):
            # Every point is judged by every wish: once it is measured, that costs nothing.
            some = memory.some(rng)
            of = np.repeat(some, len(wishes.levels))
            wished = np.tile(np.arange(len(wishes.levels)), len(some))
            rewards = scale.rewards(REWARDS[reward], memory.values[of], wishes.levels[wished])
            advantages = baselines.advantages(rewards.reshape(len(some), -1)).ravel()
            controller.reinforce(
                wishes.vectors[wished], memory.points[of], advantages, memory.logs[of]
            )
        asked = rng.integers(len(wishes.levels), size=_DRAWN * _BATCH)
        points, logs = controller.sample(wishes.vectors[asked])
        points = evaluations.existing(points)
        new_first = np.argsort(~evaluations.unseen(points), kind="stable")[:_BATCH]
        points = points[new_first]
        memory.add(points, evaluations(points), logs[new_first])


class _Memory:
    """Points that were evaluated, with the log-probability [n] that each was drawn with."""

    def __init__(self, points: np.ndarray, values: np.ndarray, logs: np.ndarray) -> None:
        self.points, self.values, self.logs = points, values, logs

    def add(self, points: np.ndarray, values: np.ndarray, logs: np.ndarray) -> None:
        self.points = np.concatenate((self.points, points))
        self.values = np.concatenate((self.values, values))
        self.logs = np.concatenate((self.logs, logs))

    def some(self, rng: np.random.Generator) -> np.ndarray:
        """Return the indices of the newest batch and of earlier points at random."""
        indices = np.arange(len(self.points))
        return np.concatenate((indices[-_BATCH:], rng.permutation(indices[:-_BATCH])[:_REPLAYED]))


class _Baselines:
    """The moving mean and spread of the reward under each wish."""

    def __init__(self) -> None:
        self._mean: np.ndarray | None = None
        self._spread = np.ones(0)

    def advantages(self, rewards: np.ndarray) -> np.ndarray:
        """Return rewards [n, n_wishes] above the baseline, in spreads; then move the baseline."""
        mean, spread = rewards.mean(axis=0), rewards.std(axis=0) + 1e-3
        if self._mean is None:
            self._mean, self._spread = mean, spread
        advantages: np.ndarray = (rewards - self._mean) / self._spread
        self._mean = _DECAY * self._mean + (1 - _DECAY) * mean
        self._spread = _DECAY * self._spread + (1 - _DECAY) * spread
        return advantages


class _Wishes:
    """What the controller can be asked for: every combination of one level a cost.

    levels : float64 [n, n_costs], above 0 and up to 1. vectors : [n, width], one mark a cost.
    """

    def __init__(self, n_costs: int) -> None:
        count = _WISHES.get(n_costs, _FEW)
        combinations = list(itertools.product(range(count), repeat=n_costs))
        indices = np.array(combinations, np.int64).reshape(len(combinations), n_costs)
        self.levels = (indices + 1) / count
        self.vectors = np.eye(count)[indices].reshape(len(indices), -1)


@dataclass(frozen=True)
class _Scale:
    """Responses as rewards see them, from 0 to 1 over what was seen.

    Ranks for the rewards with a threshold: they keep which point is best, and outliers weigh no
    more than others. The mixed reward must stay linear in the responses, so there it is affine.
    """

    problem: Problem
    sorted: np.ndarray  # [n, n_objectives], what was seen, each column in rising cost
    ranked: bool

    @classmethod
    def of(cls, problem: Problem, values: np.ndarray, ranked: bool) -> _Scale:
        costs = problem.costs(values)
        costs = costs[~np.isnan(costs).any(axis=1)]
        if not len(costs):
            costs = np.zeros((1, len(problem.objectives)))
        return cls(problem, np.sort(costs, axis=0), ranked)

    def rewards(self, formula: Reward, values: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return the rewards of values [n, n_responses] under levels [n, n_costs], float64 [n].

        What breaks a limit of the problem earns less than nothing, by how much it breaks it.
        """
        scaled = self._ranks(values) if self.ranked else self._affine(values)
        earned = (
            formula(1.0 - scaled[:, 0], scaled[:, 1:], levels)
            if levels.shape[1]
            else 1.0 - scaled[:, 0]
        )
        broken = np.minimum(self.problem.violation(values), 1.0)
        return np.where(self.problem.feasible(values), earned, -broken)

    def _ranks(self, values: np.ndarray) -> np.ndarray:
        n = len(self.sorted)
        columns = zip(self.sorted.T, self.problem.costs(values).T, strict=True)
        return np.stack([np.searchsorted(seen, costs) / n for seen, costs in columns], axis=1)

    def _affine(self, values: np.ndarray) -> np.ndarray:
        least, most = self.sorted[0], self.sorted[-1]
        return (self.problem.costs(values) - least) / np.where(most > least, most - least, 1.0)
