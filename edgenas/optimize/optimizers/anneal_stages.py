"""Simulated annealing under one limit, of many chains at once (Kirkpatrick et al. 1983).

Metropolis acceptance at exp(-rise of energy / temperature); the energy is the value forgone plus a
price on what exceeds the limit. The temperature falls geometrically from the spread of random
points; the price rises while most chains exceed the limit and falls while most keep it, so that
they straddle it (strategic oscillation, Glover 1977). The gap is to the bound of the separable
relaxation, which is asked for after the annealing and steers nothing in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgenas.optimize.optimizers.base import Found, StageProblem, as_points, check_budget
from edgenas.optimize.optimizers.feasibility import require_feasible
from edgenas.optimize.optimizers.relaxation import Nodes, Relaxation, pareto
from edgenas.optimize.optimizers.shortlist import Shortlist

_CHAINS = 100
_BLOCK = 100  # steps between two looks at what was visited
_HOTTEST, _COLDEST = 0.3, 0.0003  # temperatures over the standard deviation of random values
_PRICE_STEP = 1.05
_NEAR = 0.8  # share of moves to an option of similar cost; the others go anywhere
_REACH = 0.15  # of a stage's options, how far a near move goes at first
_PAIRED = 0.6  # share of moves that change a second stage too
_RESIZED = 0.1  # share of moves that change the size too


def best_under(problem: StageProblem, limit: float, *, seed: int, budget: int, count: int) -> Found:
    """Return the `count` best points within `limit` that annealing met, and the gap left.

    The walk is over the stages' Pareto sets: without a margin they hold an optimum. With one they
    may not; the last climb is over all options, and `gap` covers what is missed.

    budget : points scored, at most.

    Raises
    ------
    InputError : the budget is not positive.
    InfeasibleError : no point meets the limit.
    """
    check_budget(budget)
    relaxation, nodes = Relaxation(problem), Nodes(budget)
    archive = require_feasible(problem, relaxation, limit, nodes)[None]
    shortlist = Shortlist(problem, limit, count)
    shortlist.add(archive)
    scored = nodes.opened
    for points in _Walk(problem, limit, seed).run(nodes.left):
        scored += len(points)
        shortlist.add(points)
        archive = np.concatenate((archive, points))
        archive = archive[pareto(problem.value(archive), problem.cost(archive))]
    if problem.margin is not None:
        scored += shortlist.improve(budget - scored)
    gap = max(0.0, relaxation.bound(problem.highest_cost(limit)) - shortlist.best)
    optimal = gap <= problem.value_rounding
    return Found(
        points=shortlist.points,
        frontier=as_points(archive),
        optimal=optimal,
        gap=0.0 if optimal else gap,
        evaluations=scored,
    )


@dataclass
class _State:
    """One point a chain. sizes : int64 [n_chains]. ranks : int64 [n_chains, n_stages].

    A rank is an option's place, by cost, in the Pareto set of its stage.
    values, excess : float64 [n_chains]; excess is the upper bound of the cost less the limit.
    """

    sizes: np.ndarray
    ranks: np.ndarray
    values: np.ndarray
    excess: np.ndarray

    def take(self, other: _State, taken: np.ndarray) -> None:
        """Move the chains that are True in `taken`, bool [n_chains], to their point in `other`."""
        self.sizes[taken] = other.sizes[taken]
        self.ranks[taken] = other.ranks[taken]
        self.values[taken] = other.values[taken]
        self.excess[taken] = other.excess[taken]


class _Walk:
    """The chains' moves and scores, all chains at once."""

    def __init__(self, problem: StageProblem, limit: float, seed: int) -> None:
        self._problem, self._limit = problem, limit
        self._rng = np.random.default_rng(seed)
        kept = [
            [pareto(*pair) for pair in zip(values, costs, strict=True)]
            for values, costs in zip(problem.values, problem.costs, strict=True)
        ]
        # [n_sizes, n_stages]: how many options; with a last axis, padded: which, and their numbers.
        self._n_options = np.array([[len(options) for options in stages] for stages in kept])
        self._options = np.zeros((*self._n_options.shape, self._n_options.max()), np.int64)
        self._values, self._costs = np.zeros((2, *self._options.shape))
        for (size, stage), n in np.ndenumerate(self._n_options):
            options = kept[size][stage]
            self._options[size, stage, :n] = options
            self._values[size, stage, :n] = problem.values[size][stage][options]
            self._costs[size, stage, :n] = problem.costs[size][stage][options]

    def run(self, budget: int) -> Iterator[np.ndarray]:
        """Score up to `budget` points; yield them by the block, int64 [n, 1 + n_stages]."""
        if budget < 1:
            return
        n_chains = min(_CHAINS, budget)
        n_steps = budget // n_chains - 1
        state, visited = self._random_state(n_chains)
        spread = float(np.std(state.values))
        price = spread / max(float(np.std(state.excess)), np.finfo(float).tiny)
        blocks = [visited]
        for step in range(n_steps):
            warmth = 1.0 - step / n_steps
            temperature = spread * _COLDEST * (_HOTTEST / _COLDEST) ** warmth
            proposed, visited = self._propose(state, warmth)
            state.take(proposed, self._accepted(state, proposed, price, temperature))
            price *= (
                _PRICE_STEP
                if np.count_nonzero(state.excess > 0) * 2 > n_chains
                else 1 / _PRICE_STEP
            )
            blocks.append(visited)
            if len(blocks) == _BLOCK:
                yield np.concatenate(blocks)
                blocks = []
        if blocks:
            yield np.concatenate(blocks)

    def _accepted(self, old: _State, new: _State, price: float, temperature: float) -> np.ndarray:
        """Metropolis: accept a rise of energy with probability exp(-rise / temperature)."""
        dearer = np.maximum(new.excess, 0.0) - np.maximum(old.excess, 0.0)
        rise = old.values - new.values + price * dearer
        return np.asarray(self._rng.exponential(size=len(rise)) * temperature >= rise)

    def _random_state(self, n_chains: int) -> tuple[_State, np.ndarray]:
        sizes = self._rng.integers(0, len(self._problem.sizes), n_chains)
        places = self._rng.random((n_chains, len(self._problem.stages)))
        return self._score(sizes, (places * self._n_options[sizes]).astype(np.int64))

    def _propose(self, state: _State, warmth: float) -> tuple[_State, np.ndarray]:
        """Move each chain: one or two stages, or the size with the ranks kept in proportion."""
        n_chains = len(state.sizes)
        sizes, ranks = state.sizes.copy(), state.ranks.copy()
        everywhere = self._rng.random(n_chains) >= _NEAR
        self._move_stage(sizes, ranks, np.arange(n_chains), everywhere, warmth)
        paired = np.flatnonzero(self._rng.random(n_chains) < _PAIRED)
        self._move_stage(sizes, ranks, paired, everywhere[paired], warmth)
        if len(self._problem.sizes) > 1:
            resized = np.flatnonzero(self._rng.random(n_chains) < _RESIZED)
            before = self._n_options[sizes[resized]]
            sizes[resized] = self._rng.integers(0, len(self._problem.sizes), len(resized))
            ranks[resized] = ranks[resized] * self._n_options[sizes[resized]] // before
        return self._score(sizes, ranks)

    def _move_stage(
        self,
        sizes: np.ndarray,
        ranks: np.ndarray,
        chains: np.ndarray,
        everywhere: np.ndarray,
        warmth: float,
    ) -> None:
        """Give a random stage of each of `chains` another rank, near by or everywhere, in place."""
        n_stages, (which, where, side) = ranks.shape[1], self._rng.random((3, len(chains)))
        stages = (which * n_stages).astype(np.int64)
        n_options = self._n_options[sizes[chains], stages]
        steps = 1 + (where * n_options * (_REACH * warmth)).astype(np.int64)
        near = ranks[chains, stages] + np.where(side < 0.5, -steps, steps)
        far = (where * n_options).astype(np.int64)
        ranks[chains, stages] = np.where(everywhere, far, near.clip(0, n_options - 1))

    def _score(self, sizes: np.ndarray, ranks: np.ndarray) -> tuple[_State, np.ndarray]:
        """Return the state and its points, int64 [n_chains, 1 + n_stages]."""
        at = (sizes[:, None], np.arange(ranks.shape[1]), ranks)
        points = np.column_stack((sizes, self._options[at]))
        values = self._problem.value_offsets[sizes] + self._values[at].sum(axis=1)
        excess = self._problem.cost_offsets[sizes] + self._costs[at].sum(axis=1) - self._limit
        if self._problem.margin is not None:
            excess += self._problem.margin(points)
        return _State(sizes, ranks, values, excess), points
