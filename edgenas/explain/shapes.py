"""What the numbers of choices do to a response: step after step, each averaged where it is made."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from edgenas.explain.choices import Change
from edgenas.predictors.base import Additive
from edgenas.reporting.document import ShapeCurve, Shapes

LEAST_STEPS = 2  # of fewer, the effect says it all
POINTS = 100.0  # of percent in a fraction


def shapes(predictor: Additive, changes: Sequence[Change], confidence: float) -> Shapes:
    """Return a curve for each choice of three numbers or more: the sum of its steps from its lowest
    value on, with the interval of that sum.

    changes : of one number to the next one, in their order; others are left out.
    """
    scale, unit = scale_and_unit(predictor)
    curves = []
    for of, steps in itertools.groupby(changes, key=lambda one: one.of):
        chain = _chain(list(steps))
        if not of or len(chain) < LEAST_STEPS:
            continue
        from_lowest = np.cumsum([one.difference for one in chain], axis=0)
        sums = predictor.contrast(from_lowest, confidence)
        effect, lower, upper = (
            (0.0, *(scale * side).tolist()) for side in (sums.mean, sums.lower, sums.upper)
        )
        x = (chain[0].values[0], *(one.values[1] for one in chain))
        curves.append(ShapeCurve(of, x, effect, lower, upper))
    return Shapes(unit, tuple(curves))


def scale_and_unit(predictor: Additive) -> tuple[float, str]:
    """Return what effects are multiplied by to be shown, and the unit that they then have."""
    return (POINTS, "points") if predictor.unit == "fraction" else (1.0, predictor.unit)


def _chain(steps: list[Change]) -> list[Change]:
    """Return the first steps of which each begins where the one before it ended."""
    chain = steps[:1]
    for one in steps[1:]:
        if not one.values or one.values[0] != chain[-1].values[-1]:
            break
        chain.append(one)
    return chain
