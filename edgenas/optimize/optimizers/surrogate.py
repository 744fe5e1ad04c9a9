"""`surrogate`: search with a Gaussian process on the choices, for few and dear evaluations.

After a first design, rounds: each response that matters is turned into normal scores and fitted on
all that was seen; of the points not seen, those of the predicted front are evaluated, some as the
mean predicts them, some one posterior deviation better (Srinivas et al. 2010). The kernel is a
product over variables, 1 where two points choose the same option and `_ALIKE` where not: single
choices, pairs and more of them have effects, each order shrunk further. It knows no order of the
options and works best where they are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import ndtri

from edgenas.optimize.optimizers.dominance import nondominated
from edgenas.optimize.optimizers.evaluations import Evaluations, optimizer, random_points
from edgenas.optimize.optimizers.moves import mutants
from edgenas.optimize.optimizers.problem import Problem

BUDGET = 300
_FIRST, _UNIFORM = 30, 5  # points before the first fit; of them, equally high in every variable
_BATCH, _LEAST_BATCH = 0.12, 5  # evaluated before the next fit: share of what was seen; at least
_ALIKE, _NOISE = 0.8, 0.02  # correlation over one other choice; variance beyond the kernel's 1
_BOLDNESS = (0.0, 1.0)  # deviations on the good side
_WHOLE = 20_000  # points up to which all are candidates; otherwise `_DRAWN` in each round
_DRAWN = 3_000
_SHORT = 300  # candidates whose deviation is worked out
_PRICE = 10.0  # of breaking limits by one score, in scores of every objective


@optimizer
def optimize(evaluations: Evaluations, rng: np.random.Generator) -> None:
    """Evaluate in batches what a surrogate of all seen so far finds most promising."""
    problem = evaluations.problem
    last = np.array(problem.options) - 1
    uniform = (np.linspace(0, 1, _UNIFORM)[:, None] * last).round().astype(np.int64)
    evaluations(np.concatenate((uniform, random_points(problem, _FIRST - _UNIFORM, rng))))
    whole = _Candidates(evaluations) if problem.combinations <= _WHOLE else None
    while True:
        candidates = whole or _Candidates(evaluations, rng)
        batch = max(_LEAST_BATCH, int(_BATCH * len(evaluations)))
        evaluations(_choose(evaluations, candidates, batch, rng))


class _Candidates:
    """Points to choose from, and their kernel with the points seen.

    points : int64 [n, n_variables]; all that exist, or some at random and some near the front.
    """

    def __init__(self, evaluations: Evaluations, rng: np.random.Generator | None = None) -> None:
        problem = evaluations.problem
        if rng is None:
            points = np.indices(problem.options).reshape(len(problem.options), -1).T
        else:
            points = np.concatenate(
                (random_points(problem, _DRAWN // 2, rng), _near_front(evaluations, rng))
            )
        self.points = np.unique(evaluations.existing(points), axis=0)
        self._kernel = np.empty((len(self.points), 2 * len(evaluations)), np.float32)
        self._known = 0

    def kernel(self, seen: np.ndarray) -> np.ndarray:
        """Return the kernel with the points seen, float32 [n, n_seen]; only new columns cost."""
        if len(seen) > self._kernel.shape[1]:
            wider = np.empty((len(self.points), 2 * len(seen)), np.float32)
            wider[:, : self._known] = self._kernel[:, : self._known]
            self._kernel = wider
        new = slice(self._known, len(seen))
        self._kernel[:, new] = _kernel(self.points, seen[new])
        self._known = len(seen)
        return self._kernel[:, : len(seen)]


@dataclass(frozen=True)
class _Scores:
    """What was seen as costs in normal scores, less is better, limits paid for by `_PRICE`.

    criteria : float64 [n_seen, n_criteria], the objectives, then what is limited.
    bounds : float64 [n_limits], the limits as scores.
    """

    criteria: np.ndarray
    bounds: np.ndarray

    @classmethod
    def of(cls, problem: Problem, values: np.ndarray) -> _Scores:
        limits = list(problem.limits())
        limited = [sign * values[:, column] for column, sign, _ in limits]
        columns = [*problem.costs(values).T, *limited]
        scores = [_normal_scores(column) for column in columns]
        ranked = zip(limits, limited, scores[len(problem.objectives) :], strict=True)
        bounds = [_score_at(bound, costs, score) for (_, _, bound), costs, score in ranked]
        return cls(np.column_stack(scores), np.array(bounds))

    def priced(self, criteria: np.ndarray) -> np.ndarray:
        """Return the objectives of criteria [n, n_criteria] with the price of broken limits."""
        n_objectives = criteria.shape[1] - len(self.bounds)
        broken = np.maximum(criteria[:, n_objectives:] - self.bounds, 0.0).sum(axis=1)
        priced: np.ndarray = criteria[:, :n_objectives] + _PRICE * broken[:, None]
        return priced


def _choose(
    evaluations: Evaluations, candidates: _Candidates, batch: int, rng: np.random.Generator
) -> np.ndarray:
    """Return up to `batch` points that were not seen, of the predicted fronts."""
    seen = evaluations.points
    scores = _Scores.of(evaluations.problem, evaluations.values)
    factor = cholesky(_kernel(seen, seen) + _NOISE * np.eye(len(seen)), lower=True)
    kernel = candidates.kernel(seen)
    means = kernel @ cho_solve((factor, True), scores.criteria).astype(np.float32)
    short = _shortlist(scores, means)
    short = short[evaluations.unseen(candidates.points[short])][:_SHORT]
    explained = solve_triangular(factor, kernel[short].T, lower=True)
    deviations = np.sqrt(np.maximum(1.0 - (explained**2).sum(axis=0), 0.0))[:, None]
    left = np.arange(len(short))
    chosen: list[int] = []
    for turn, boldness in enumerate(_BOLDNESS, 1):
        predicted = scores.priced(means[short] - boldness * deviations)
        wanted = batch * turn // len(_BOLDNESS)
        while len(chosen) < wanted and len(left):
            front = rng.permutation(nondominated(predicted[left]))[: wanted - len(chosen)]
            chosen += left[front].tolist()
            left = np.delete(left, front)
    return candidates.points[short[chosen]]


def _shortlist(scores: _Scores, means: np.ndarray) -> np.ndarray:
    """Return the candidates by how far their means lie beyond the front of what was seen."""
    columns = scores.priced(means).astype(np.float32).T.copy()
    known = scores.priced(scores.criteria).astype(np.float32)
    beyond = np.full(len(means), np.inf, np.float32)
    for point in known[nondominated(known)]:
        ahead = [known_cost - column for known_cost, column in zip(point, columns, strict=True)]
        np.minimum(beyond, reduce(np.maximum, ahead), out=beyond)
    most = min(len(beyond), _SHORT + len(known))  # those that were seen still drop out
    best = np.argpartition(-beyond, most - 1)[:most]
    return best[np.argsort(-beyond[best], kind="stable")]


def _near_front(evaluations: Evaluations, rng: np.random.Generator) -> np.ndarray:
    """Return points one or two choices away from the best points seen."""
    problem, options = evaluations.problem, np.array(evaluations.problem.options)
    known = _Scores.of(problem, evaluations.values)
    front = evaluations.points[nondominated(known.priced(known.criteria))]
    once = mutants(front[rng.integers(0, len(front), _DRAWN // 2)], options, rng)
    again = rng.random(len(once)) < 0.5
    once[again] = mutants(once[again], options, rng)
    return once


def _kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the kernel of points [n, n_variables] and [m, n_variables], float32 [n, m]."""
    differing = np.zeros((len(one), len(other)), np.int16)
    for a, b in zip(one.T, other.T, strict=True):
        differing += a[:, None] != b
    powers = (_ALIKE ** np.arange(one.shape[1] + 1)).astype(np.float32)
    return powers[differing]


def _normal_scores(costs: np.ndarray) -> np.ndarray:
    """Return costs [n] as normal quantiles of their ranks; what is missing is ranked last."""
    costs = np.where(np.isnan(costs), np.inf, costs)
    ranked = np.sort(costs)
    below = np.searchsorted(ranked, costs, "left") + np.searchsorted(ranked, costs, "right")
    scores: np.ndarray = ndtri(below / (2 * len(costs)))
    return scores


def _score_at(bound: float, costs: np.ndarray, scores: np.ndarray) -> float:
    """Return the score that a cost of `bound` would have."""
    known = np.flatnonzero(~np.isnan(costs))
    if not len(known):
        return 0.0
    order = known[np.argsort(costs[known])]
    return float(np.interp(bound, costs[order], scores[order]))
