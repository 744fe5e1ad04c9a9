"""Several goals as one number, with weights: what makes single-objective moves find a front."""

from __future__ import annotations

import numpy as np

from edgenas.optimize.optimizers.problem import Problem

_SUM_SHARE = 0.05  # of the weighted sum that is added to the greatest weighted cost
_BROKEN = 10.0  # what breaking limits costs at least, where no cost exceeds about 1


def random_weights(problem: Problem, rng: np.random.Generator) -> np.ndarray:
    """Return weights of the objectives, drawn evenly from those that add up to 1."""
    return rng.dirichlet(np.ones(len(problem.objectives)))


def ranges(problem: Problem, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least cost of what was seen, float64 [n, n_responses], and the range of costs,
    float64 [n_objectives] each."""
    known = problem.costs(seen)
    known = known[np.isfinite(known).all(axis=1)]
    if not len(known):
        known = np.zeros((1, len(problem.objectives)))
    lowest = known.min(axis=0)
    return lowest, np.maximum(known.max(axis=0) - lowest, np.finfo(float).tiny)


def energies(
    problem: Problem,
    values: np.ndarray,
    weights: np.ndarray,
    scale: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Return the augmented Chebyshev cost of values [n, n_responses], float64 [n]; less is better.

    max_j w_j z_j + share * sum_j w_j z_j (Steuer and Choo 1983), z_j the cost from the least, as a
    share of the range (`ranges`); it reaches points that no weighted sum does. What breaks limits
    comes after all that does not, by violation.
    """
    lowest, spans = scale
    weighted = weights * (problem.costs(values) - lowest) / spans
    total = weighted.max(axis=1) + _SUM_SHARE * weighted.sum(axis=1)
    violation = problem.violation(values)
    broken = violation > 0.0
    total[broken] = _BROKEN + violation[broken]
    return total
