"""`dppnet`: progressive growth, guided by a surrogate that learns as it grows (DPP-Net).

Dong et al. 2018, Device-aware Progressive Search for Pareto-optimal Neural Architectures (section
3.3): from few choices to all, add one choice to each kept network in every way there is; predict
all of these children; keep the Pareto-optimal ones; measure them; refit; repeat. DPP-Net's small
networks are complete. Here a choice that was not made yet is taken from a network on the front for
measuring, and averaged over by the surrogate. Grown to the end, growth starts again.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import rankdata

from edgenas.optimize.optimizers.dominance import nondominated
from edgenas.optimize.optimizers.evaluations import Evaluations, optimizer, random_points
from edgenas.optimize.optimizers.problem import Problem

BUDGET = 1_000
OPEN = -1  # a choice that is not made yet
_FIRST = 20  # random points before the first growth
_KEPT = 20  # children that grow on
_MEASURED = 5  # of them, measured before the next choice is made
_CHOICE_WEIGHT = 0.5  # of single choices in the kernel; pairs weigh its square, and so on
_NOISE = 0.05  # variance, of the surrogate's standardised criteria
_PRICE = 10.0  # of a unit of violation, in standard deviations of every objective


@optimizer
def optimize(evaluations: Evaluations, rng: np.random.Generator) -> None:
    """Grow architectures variable by variable, and measure the best of each length."""
    problem = evaluations.problem
    evaluations(random_points(problem, _FIRST, rng))
    while True:
        grown = np.full((1, len(problem.options)), OPEN)
        for variable in rng.permutation(len(problem.options)):
            children = np.repeat(grown, problem.options[variable], axis=0)
            children[:, variable] = np.tile(np.arange(problem.options[variable]), len(grown))
            predicted = _predict(evaluations, children)
            grown = children[_best(predicted, _KEPT, rng)]
            _measure(evaluations, grown, rng)


def _measure(evaluations: Evaluations, grown: np.ndarray, rng: np.random.Generator) -> None:
    """Evaluate some of `grown` [n, n_variables] that were not seen, completed from the front."""
    problem = evaluations.problem
    criteria = _criteria(problem, evaluations.values)
    front = evaluations.points[nondominated(criteria)]
    donors = front[rng.integers(0, len(front), len(grown))]
    points = evaluations.existing(np.where(grown == OPEN, donors, grown))
    points = np.unique(points[evaluations.unseen(points)], axis=0)
    if not len(points):  # all of them are known: look around instead, or growth would stand still
        points = random_points(problem, 1, rng)
    evaluations(rng.permutation(points)[:_MEASURED])


def _predict(evaluations: Evaluations, partial: np.ndarray) -> np.ndarray:
    """Return the criteria of partial points [n, n_variables], as kernel ridge regression has them.

    With the kernel's centred factors, what is predicted of a point is the mean over its open
    choices.
    """
    options = np.array(evaluations.problem.options)
    criteria = _criteria(evaluations.problem, evaluations.values)
    seen = evaluations.points
    gram = _kernel(seen, seen, options) + _NOISE * np.eye(len(seen))
    factor = cho_factor(gram, lower=True)
    predicted: np.ndarray = _kernel(partial, seen, options) @ cho_solve(factor, criteria)
    return predicted


def _kernel(partial: np.ndarray, seen: np.ndarray, options: np.ndarray) -> np.ndarray:
    """Return the product over variables of 1 + w * (1 for the same option, 0 on average)."""
    kernel = np.ones((len(partial), len(seen)))
    for variable, n in enumerate(options):
        if n > 1:
            same = partial[:, variable, None] == seen[:, variable]
            centred = (same * n - 1.0) / (n - 1.0)
            made = partial[:, variable, None] != OPEN
            kernel *= 1.0 + _CHOICE_WEIGHT * centred * made
    return kernel / (1.0 + _CHOICE_WEIGHT) ** len(options)


def _criteria(problem: Problem, values: np.ndarray) -> np.ndarray:
    """Return the objectives as ranks in standard deviations, less is better, [n, n_objectives].

    What breaks a limit, or lacks a response, pays for it in each of them.
    """
    costs = problem.costs(values)
    ranks = rankdata(np.where(np.isnan(costs), np.inf, costs), axis=0)
    spread = ranks.std(axis=0)
    scores = (ranks - ranks.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    criteria: np.ndarray = scores + _PRICE * np.minimum(problem.violation(values), 1.0)[:, None]
    return criteria


def _best(predicted: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of the first fronts of predicted [n, n_objectives], `count` at most."""
    left = np.arange(len(predicted))
    chosen: list[int] = []
    while len(chosen) < count and len(left):
        front = rng.permutation(nondominated(predicted[left]))[: count - len(chosen)]
        chosen += left[front].tolist()
        left = np.delete(left, front)
    return np.array(chosen)
