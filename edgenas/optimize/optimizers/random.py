"""`random`: points drawn evenly, none twice; the baseline of every other optimizer."""

from __future__ import annotations

import numpy as np

from edgenas.optimize.optimizers.evaluations import Evaluations, optimizer, random_points

BUDGET = 1_000


@optimizer
def optimize(evaluations: Evaluations, rng: np.random.Generator) -> None:
    """Draw until the budget is spent."""
    while True:
        evaluations(random_points(evaluations.problem, 1, rng))
