"""Several goals as one number, with weights: what makes single-objective moves find a front."""

from __future__ import annotations

import numpy as np

from edgenas.optimizers.problem import Problem

_SUM_SHARE = 0.05  # of the weighted sum that is added to the greatest weighted cost
_BROKEN = 10.0  # what breaking limits costs at least, where no cost exceeds about 1


def random_weights(problem: Problem, rng: np.random.Generator) -> np.ndarray:
    """Return weights of the objectives, drawn evenly from those that add up to 1."""
    return rng.dirichlet(np.ones(len(problem.objectives)))


def energies(
    problem: Problem, values: np.ndarray, weights: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    """Return the augmented Chebyshev cost of values [n, n_responses], float64 [n]; less is better.

    max_j w_j z_j + share * sum_j w_j z_j (Steuer and Choo 1983), z_j the cost as a share of the
    range of what was `seen`, float64 [m, n_responses]; it reaches points that no weighted sum
    does. What breaks limits comes after all that does not, by violation.
    """
    costs, known = problem.costs(values), problem.costs(seen)
    known = known[np.isfinite(known).all(axis=1)]
    lowest, highest = (known.min(axis=0), known.max(axis=0)) if len(known) else (0.0, 1.0)
    spans = np.maximum(highest - lowest, np.finfo(float).tiny)
    weighted = weights * (costs - lowest) / spans
    total = weighted.max(axis=1) + _SUM_SHARE * weighted.sum(axis=1)
    violation = problem.violation(values)
    broken = violation > 0.0
    total[broken] = _BROKEN + violation[broken]
    return total
