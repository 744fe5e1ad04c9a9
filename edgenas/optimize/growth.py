"""Which hidden channels to add to a network, or to leave: the most value that the limits allow.

Values and costs are sums over stages, and costs have steps (a multiple of 8 channels may be no
slower than fewer): a knapsack of one choice a stage. The exact search solves it, with the board's
own predictors as costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgenas.core import plugins
from edgenas.core.records import Architecture, StageChoice
from edgenas.core.records.goals import Limit
from edgenas.optimize.front import lay_out_front
from edgenas.optimize.layout import Grid, Predictors
from edgenas.optimize.limits import keeps
from edgenas.optimize.optimizers.problem import NoneFeasibleError, Problem, Response, Sums
from edgenas.spaces.resizing import Choices, scaled

StageValue = Callable[[int, StageChoice], float]


def most_valuable(
    predictors: Predictors,
    resolution: int,
    choices: Choices,
    value: StageValue,
    limits: Mapping[str, Limit],
) -> Architecture | None:
    """Return the network of the most summed value whose prediction bounds keep the limits.

    choices : of each stage. value : of a stage and one of its choices. None if nothing keeps them.

    Raises
    ------
    PredictorError : a limited response has no predictor.
    """
    space = predictors.space
    layout = lay_out_front(predictors, (), limits, Grid(space, choices))
    size = space.resolutions.index(resolution)
    values = [np.array([value(stage, one) for one in of]) for stage, of in enumerate(choices)]

    def at_size(points: np.ndarray) -> np.ndarray:
        placed: np.ndarray = points.copy()
        placed[:, 0] = size
        return placed

    def evaluate(points: np.ndarray) -> np.ndarray:
        summed = sum(of[points[:, 1 + stage]] for stage, of in enumerate(values))
        return np.column_stack((summed, layout.problem.evaluate(at_size(points))))

    sums = layout.problem.sums
    problem = Problem(
        (1, *map(len, choices)),
        (Response("value", "max"), *layout.problem.responses),
        evaluate,
        sums=None if sums is None else _with_value(sums, size, values),
    )
    exact = plugins.load("optimizers", "exact")
    try:
        archive = exact.optimize(problem, seed=0, budget=exact.BUDGET)
    except NoneFeasibleError:
        return None
    best = archive.points[archive.front(problem)[:1]]
    return layout.architecture(tuple(at_size(best)[0].tolist()))


def widest_scaled(
    predictors: Predictors, network: Architecture, limits: Mapping[str, Limit]
) -> Architecture:
    """Return the network scaled in width by the greatest factor that keeps the limits.

    The network itself where no factor does.
    """
    resized = [one for _, one in scaled(predictors.space, network)]
    within = [
        one.architecture
        for one in predictors.candidates(resized)
        if keeps(one.predicted, limits.values())
    ]
    return within[-1] if within else network


def _with_value(sums: Sums, size: int, values: Sequence[np.ndarray]) -> Sums:
    """Return the sums at one size, with the value as a column before the others."""
    parts = tuple(
        np.concatenate((of[None, :, None], part[size : size + 1]), axis=2)
        for of, part in zip(values, sums.parts, strict=True)
    )
    return Sums(np.hstack((np.zeros((1, 1)), sums.offsets[size : size + 1])), parts)
