"""`random`: points drawn evenly, none twice; the baseline of every other optimizer."""

from __future__ import annotations

import numpy as np

from edgenas.optimizers.evaluations import Evaluations, random_points, run
from edgenas.optimizers.problem import Archive, Problem
from edgenas.progress import Task

BUDGET = 1_000


def optimize(
    problem: Problem,
    *,
    seed: int,
    budget: int,
    archive: Archive | None = None,
    start: np.ndarray | None = None,
    progress: Task | None = None,
) -> Archive:
    """Return what `budget` random points show; see the family's contract in `base`."""
    return run(
        _search, problem, seed=seed, budget=budget, archive=archive, start=start, progress=progress
    )


def _search(evaluations: Evaluations, rng: np.random.Generator) -> None:
    while True:
        evaluations(random_points(evaluations.problem, 1, rng))
