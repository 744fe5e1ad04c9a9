"""The most accurate networks within limits, proved: of all bits, or of one number throughout.

The best of a million predictions errs upwards, the farther the more choices there are. So a choice
of bits stage by stage is held against the best network of each number of bits (docs/decisions).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgenas.core.records import Architecture, Limit
from edgenas.core.records.goals import SCORE, Objective
from edgenas.optimize.front import lay_out_front
from edgenas.optimize.layout import Grid, Predictors
from edgenas.optimize.optimizers.sums_front import sums_front
from edgenas.spaces.base import MobileSpace
from edgenas.spaces.bits import of_bits, uniform_bits


def most_accurate(
    predictors: Predictors,
    limits: Mapping[str, Limit],
    grid: Grid | None = None,
    count: int = 1,
) -> tuple[Architecture, ...]:
    """Return up to `count` networks of the greatest predicted accuracy within limits, best first.

    () where no network keeps the limits. Those behind the first take less of something limited. The
    predictors have to be sums over the choices; the first is proved to be the best where what is
    limited follows from the layers, as LUTs do.

    grid : the choices that count; None for all of the space.
    """
    layout = lay_out_front(predictors, (Objective(SCORE, "max"),), limits, grid)
    points = sums_front(layout.problem).points
    if not len(points):
        return ()
    values = layout.problem.evaluate(points)
    within = np.flatnonzero(layout.problem.feasible(values))
    best = within[np.argsort(-values[within, 0], kind="stable")[:count]]
    return tuple(layout.architecture(tuple(point)) for point in points[best].tolist())


def of_each_uniform_bits(
    predictors: Predictors, limits: Mapping[str, Limit], count: int = 1
) -> dict[int, tuple[Architecture, ...]]:
    """Return, by number of bits, the most accurate networks that have it throughout."""
    space = predictors.space
    return {
        bits: most_accurate(predictors, limits, uniform_grid(space, bits), count)
        for bits in uniform_bits(space)
    }


def uniform_grid(space: MobileSpace, bits: int) -> Grid:
    """Return the choices whose weights and activations have this number of bits."""
    every = Grid.of(space)
    kept = (tuple(one for one in of if one == of_bits(one, bits, bits)) for of in every.choices)
    return replace(every, choices=tuple(kept))
