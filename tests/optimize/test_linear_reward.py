"""Theory, by brute force: no mix of two objectives ever prefers a point of the front that lies in a
dent of it, whatever the weights; a limit on one of them finds it (Das and Dennis 1997)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from edgenas.core import plugins
from edgenas.optimize.optimizers.dominance import nondominated
from edgenas.optimize.optimizers.problem import Problem, Response

# (accuracy, latency): networks on a front with a dent, and two that are dominated
NETWORKS = np.array(
    [
        *((0.60, 1.0), (0.66, 2.0), (0.70, 3.0), (0.75, 4.0), (0.92, 5.0), (0.93, 7.0)),
        *((0.58, 1.5), (0.74, 4.5)),
    ]
)
IN_THE_DENT = {1, 2, 3}  # accuracy gained for each ms: first little, then much


def problem(at_most_ms: float | None) -> Problem:
    return Problem(
        options=(2, 4),
        responses=(Response("accuracy", goal="max"), Response("latency", at_most=at_most_ms)),
        evaluate=lambda points: NETWORKS[4 * points[:, 0] + points[:, 1]],
    )


def costs() -> np.ndarray:
    return NETWORKS * (-1.0, 1.0)


def test_the_dent_is_on_the_front_but_not_on_its_convex_hull() -> None:
    front = set(nondominated(costs()).tolist())
    assert front == {0, 1, 2, 3, 4, 5}
    hull = ConvexHull(costs())
    lower = {
        index
        for facet, normal in zip(hull.simplices, hull.equations, strict=True)
        if (normal[:2] <= 1e-12).all()  # facing less of both costs
        for index in facet.tolist()
    }
    assert front - lower == IN_THE_DENT


def test_no_mix_of_the_objectives_returns_a_point_of_the_dent() -> None:
    best: set[int] = set()
    for weight in np.linspace(0, 1, 20_001):
        reward = weight * NETWORKS[:, 0] - (1 - weight) * NETWORKS[:, 1]
        best |= set(np.flatnonzero(reward == reward.max()).tolist())
    assert best == {0, 4, 5}
    assert not best & IN_THE_DENT


@pytest.mark.parametrize("index", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("optimizer", ["exact", "random"])
def test_a_limit_returns_every_point_of_the_front(optimizer: str, index: int) -> None:
    limited = problem(at_most_ms=float(NETWORKS[index, 1]))
    archive = plugins.load("optimizers", optimizer).optimize(limited, seed=0, budget=200)
    (found,) = archive.front(limited)
    assert archive.points[found].tolist() == list(divmod(index, 4))
