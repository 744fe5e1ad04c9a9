"""`anneal`: simulated annealing with an archive of everything seen.

Short anneals follow each other, each with weights of its own for the objectives, from the point
of the archive that is best by these weights. So every part of the front is cooled towards, and the
schedule does not depend on the budget. `best_under` anneals many chains at once on stages.
"""

from __future__ import annotations

import numpy as np

from edgenas.optimize.optimizers.anneal_stages import best_under
from edgenas.optimize.optimizers.evaluations import Evaluations, optimizer, random_points
from edgenas.optimize.optimizers.moves import mutated, unseen_mutant
from edgenas.optimize.optimizers.scalarisation import energies, random_weights, ranges

__all__ = ["BUDGET", "best_under", "optimize"]

BUDGET = 50_000
_FIRST = 20  # random points before the first anneal
_STEPS = 15  # of one anneal
_HOTTEST, _COLDEST = 0.01, 0.0005  # temperatures, the objectives ranging over about 1


@optimizer
def optimize(evaluations: Evaluations, rng: np.random.Generator) -> None:
    """Anneal from the best seen under weights drawn anew, again and again."""
    problem, options = evaluations.problem, np.array(evaluations.problem.options)
    evaluations(random_points(problem, _FIRST, rng))
    while True:
        weights = random_weights(problem, rng)
        before, seen = len(evaluations), evaluations.values
        scale = ranges(problem, seen)
        every = energies(problem, seen, weights, scale)
        best = int(np.argmin(every))
        point, energy = evaluations.points[best], every[best]
        for step in range(_STEPS):
            temperature = _HOTTEST * (_COLDEST / _HOTTEST) ** (step / _STEPS)
            moved = evaluations.existing(mutated(point, options, rng))
            proposed = energies(problem, evaluations(moved), weights, scale)[0]
            if proposed <= energy + temperature * rng.exponential():
                point, energy = moved[0], proposed
        if len(evaluations) == before:
            evaluations(unseen_mutant(point, evaluations, rng))
