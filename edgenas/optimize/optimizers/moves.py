"""Small changes to points."""

from __future__ import annotations

import numpy as np

from edgenas.optimize.optimizers.evaluations import Evaluations, random_points

_TRIES = 20  # children of one parent before its neighbourhood counts as known


def mutated(point: np.ndarray, options: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return `point`, int64 [n_variables], with one variable set to another of its options."""
    child = point.copy()
    free = np.flatnonzero(options > 1)
    if len(free):
        variable = rng.choice(free)
        child[variable] = (child[variable] + rng.integers(1, options[variable])) % options[variable]
    return child


def mutants(points: np.ndarray, options: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return points, int64 [n, n_variables], each with one variable set to another option."""
    children, rows = points.copy(), np.arange(len(points))
    variables = rng.choice(np.flatnonzero(options > 1), len(points))
    shifts = rng.integers(1, options[variables])
    children[rows, variables] = (children[rows, variables] + shifts) % options[variables]
    return children


def unseen_mutant(
    point: np.ndarray, evaluations: Evaluations, rng: np.random.Generator
) -> np.ndarray:
    """Return a point that was not seen, [1, n_variables], few changes away from `point`.

    Where all that is near seems known, a random point, which may have been seen.
    """
    options = np.array(evaluations.problem.options)
    for attempt in range(_TRIES):
        child = point
        for _ in range(1 + attempt * len(options) // (2 * _TRIES)):
            child = mutated(child, options, rng)
        children = evaluations.existing(child)
        if evaluations.unseen(children)[0]:
            return children
    return evaluations.existing(random_points(evaluations.problem, 1, rng))
