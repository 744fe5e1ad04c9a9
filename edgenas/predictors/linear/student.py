"""Noise with heavy tails: rows that something disturbed count less.

A few timings that were taken while something else ran pull a least squares fit their way. Under
Student's t with few degrees of freedom a row counts for (degrees + 1) / (degrees + its squared
error over the scale), found again until it settles (Lange, Little & Taylor 1989). The error is the
one that a row has as predicted from all others, so that a row with leverage cannot hide. Whether
rows scatter so is told by the likelihood of these errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.predictors.linear import shrinkage
from edgenas.predictors.linear.projection import Means, Projection
from edgenas.predictors.linear.shrinkage import Level

DEGREES = (2.0, 4.0)
# Fewer rows tell nothing of tails; of more, each pulls little, and weights cost the cube of rows.
FEWEST, MOST = 12, shrinkage.MOST_ROWS
# Weights are found so often under variances as they are, and variances so often under weights.
ROUNDS, TIMES, STEPS, SCALE_ROUNDS = 6, 2, 6, 20
# Tails must be worth so much log likelihood a row, and the rows that count for less than half be
# few: many are no disturbance, but what the terms do not say.
# Less than PROMISING under the variances of normal noise is not followed up.
WORTHWHILE, MOST_LIGHT, PROMISING = 0.3, 0.2, 0.1


@dataclass(frozen=True)
class Heavy:
    """weights : float64 [n], of the rows, 1 where noise is normal. variances : of the levels under
    them. gain : in log likelihood of left-out errors over normal noise."""

    weights: np.ndarray
    variances: np.ndarray
    gain: float


def find(
    matrix: np.ndarray,
    response: np.ndarray,
    levels: Sequence[Level],
    variances: np.ndarray,
    noise: np.ndarray,
) -> Heavy | None:
    """Return how rows [n, p] count, None unless few of `response` [n] are far off.

    variances : of the levels under normal noise. noise : float64 [n], relative standard deviations.
    """
    n = len(response)
    if not FEWEST <= n <= MOST or not np.any(variances > 0):
        return None
    roots = [level.root for level in levels]
    normal = _normal(Means.of(matrix, roots, variances).project(response, noise**2))
    best = None
    for degrees in DEGREES:
        heavy = _weighted(matrix, response, levels, (variances, noise, degrees), normal)
        if heavy is not None and (best is None or heavy.gain > best.gain):
            best = heavy
    if best is None or best.gain < WORTHWHILE * n or light(best.weights) > MOST_LIGHT * n:
        return None
    return best


def light(weights: np.ndarray) -> int:
    """Return how many rows of these `weights` [n] count for less than half."""
    return int((weights < 0.5).sum())


def _weighted(
    matrix: np.ndarray,
    response: np.ndarray,
    levels: Sequence[Level],
    given: tuple[np.ndarray, np.ndarray, float],
    normal: float,
) -> Heavy | None:
    """Return weights and variances of one number of degrees; None if it does not promise."""
    variances, noise, degrees = given
    roots = [level.root for level in levels]
    weights, likelihood = np.ones(len(response)), -np.inf
    for _ in range(TIMES):
        means = Means.of(matrix, roots, variances)
        for _ in range(ROUNDS):
            projection = means.project(response, noise**2 / weights)
            weights, likelihood = _told(projection, noise**2, degrees)
        if likelihood - normal < PROMISING * len(response):
            return None
        wide = noise**2 / weights
        variances = shrinkage.choose(
            matrix, response, levels, variances, STEPS, noise=wide
        ).variances
    projection = Means.of(matrix, roots, variances).project(response, noise**2 / weights)
    weights, likelihood = _told(projection, noise**2, degrees)
    return Heavy(weights, variances, likelihood - normal)


def _told(projection: Projection, noise: np.ndarray, degrees: float) -> tuple[np.ndarray, float]:
    """Return the weights that left-out errors give, and the log likelihood of these.

    noise : float64 [n], relative variances of rows that count as 1.
    """
    from scipy import special

    off, wide = projection.left_out(), 1 / np.maximum(projection.diagonal, 1e-12)
    wide = np.maximum(wide - projection.noise + noise, 1e-12)
    squares = off**2 / wide
    scale = max(float(np.median(squares)), 1e-300)
    for _ in range(SCALE_ROUNDS):
        scale = float(np.mean((degrees + 1) / (degrees + squares / scale) * squares))
        scale = max(scale, 1e-300)
    half = (degrees + 1) / 2
    constant = special.gammaln(half) - special.gammaln(degrees / 2)
    constant -= 0.5 * np.log(degrees * np.pi)
    each = constant - half * np.log1p(squares / scale / degrees) - 0.5 * np.log(wide * scale)
    return (degrees + 1) / (degrees + squares / scale), float(each.sum())


def _normal(projection: Projection) -> float:
    """Return the log likelihood of left-out errors under normal noise."""
    off, wide = projection.left_out(), 1 / np.maximum(projection.diagonal, 1e-12)
    scale = max(float(np.mean(off**2 / wide)), 1e-300)
    each = -0.5 * (np.log(2 * np.pi * scale * wide) + off**2 / wide / scale)
    return float(each.sum())
