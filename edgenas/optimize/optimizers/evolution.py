"""`evolution`: regularized evolution (Real et al. 2019), for one or several objectives.

Of the population, a random sample is drawn; its best member has a child with one choice changed,
and the oldest member dies. With several objectives, "best" is by weights drawn anew for each
child, so that all parts of the front get children.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from edgenas.optimize.optimizers.evaluations import Evaluations, optimizer, random_points
from edgenas.optimize.optimizers.moves import unseen_mutant
from edgenas.optimize.optimizers.scalarisation import energies, random_weights, ranges

BUDGET = 1_000
_POPULATION = 50
_SAMPLE = 10


@optimizer
def optimize(evaluations: Evaluations, rng: np.random.Generator) -> None:
    """Let the best of a random sample have a child, and the oldest die."""
    problem = evaluations.problem
    points = list(evaluations.points[-_POPULATION:])
    points += list(random_points(problem, _POPULATION - len(points), rng))
    population = deque(
        (point, evaluations(point)[0]) for point in evaluations.existing(np.array(points))
    )
    while True:
        places = rng.choice(len(population), _SAMPLE, replace=False)
        values = np.array([population[place][1] for place in places])
        weights = random_weights(problem, rng)
        scale = ranges(problem, evaluations.values)
        best = np.argmin(energies(problem, values, weights, scale))
        child = unseen_mutant(population[places[best]][0], evaluations, rng)
        population.append((child[0], evaluations(child)[0]))
        population.popleft()
