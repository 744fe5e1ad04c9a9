"""Simulated annealing over optional terms, on leave-one-out errors from the hat matrix.

Adding or dropping a term changes the rows' inverse covariance by rank one (Sherman & Morrison
1950), so the leave-one-out errors of all neighbours of a state are one array expression, and
nothing is refitted. Each step draws its neighbour by the Boltzmann weights of all of them
(rejection-free annealing, Bortz, Kalos & Lebowitz 1975).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from edgenas.predictors.linear.projection import Projection


@dataclass(frozen=True)
class Schedule:
    """Temperatures are in units of the logarithm of the leave-one-out error.

    hottest, coldest : of a geometric cooling over `steps`, once for each of `restarts`.
    budget_s : wall clock after which annealing stops where it is.
    """

    steps: int = 60
    restarts: int = 3
    hottest: float = 0.01
    coldest: float = 0.0002
    budget_s: float = 0.4


def choose(
    projection: Projection,
    candidates: np.ndarray,
    *,
    variance: float,
    price: float,
    seed: int,
    schedule: Schedule = Schedule(),
) -> np.ndarray:
    """Return how often each candidate was in the best state of a restart, float64 [m], 0 to 1.

    projection : of the terms that are always in, noise 1.
    candidates : float64 [n, m], one column an optional term; the chosen ones get a prior N(0,
        variance) relative to the noise.
    price : what a term must take off the logarithm of the error; log(n) / n is the one of BIC.
    """
    rng = np.random.default_rng(seed)
    stop_at = time.monotonic() + schedule.budget_s
    counts, finished = np.zeros(candidates.shape[1]), 0
    for _ in range(schedule.restarts):
        counts += _anneal(
            projection, candidates, (variance, price), rng=rng, schedule=schedule, stop_at=stop_at
        )
        finished += 1
        if time.monotonic() > stop_at:
            break
    return np.asarray(counts / finished)


def _anneal(
    projection: Projection,
    candidates: np.ndarray,
    variance_and_price: tuple[float, float],
    *,
    rng: np.random.Generator,
    schedule: Schedule,
    stop_at: float,
) -> np.ndarray:
    """Return the best state of one cooling, bool [m]."""
    variance, price = variance_and_price
    inside = np.zeros(candidates.shape[1], bool)
    best, lowest = inside.copy(), np.log(projection.error())
    diagonal, weighted = projection.diagonal.copy(), projection.weighted.copy()
    pushed = projection.apply(candidates)  # [n, m]
    ratio = (schedule.coldest / schedule.hottest) ** (1 / max(schedule.steps - 1, 1))
    for step in range(schedule.steps):
        if time.monotonic() > stop_at:
            break
        # V' = V + s z z' with s = ±variance: M' = M - g g' / (1/s + z'g), g = M z
        signed = np.where(inside, -1.0, 1.0) / variance
        divisor = signed + np.einsum("ij,ij->j", candidates, pushed)
        slope = (candidates.T @ weighted) / divisor
        left = weighted[:, None] - pushed * slope
        left /= np.maximum(diagonal[:, None] - pushed**2 / divisor, 1e-12)
        errors = np.log(np.einsum("ij,ij->j", left, left) / len(weighted))
        errors += price * (inside.sum() + np.where(inside, -1, 1))
        temperature = schedule.hottest * ratio**step
        chances = np.exp(-(errors - errors.min()) / temperature)
        pick = int(rng.choice(len(errors), p=chances / chances.sum()))
        column, scale = pushed[:, pick].copy(), divisor[pick]
        weighted = weighted - column * slope[pick]
        diagonal = diagonal - column**2 / scale
        pushed -= np.outer(column, (column @ candidates) / scale)
        inside[pick] = ~inside[pick]
        if errors[pick] < lowest:
            best, lowest = inside.copy(), errors[pick]
    return best
