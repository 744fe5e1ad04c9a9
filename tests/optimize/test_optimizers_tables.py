"""Searches on boards whose true front is known: NAS-Bench-201, 15,625 architectures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.optimize.optimizers import exact
from edgenas.optimize.optimizers.dominance import hypervolume
from edgenas.optimize.optimizers.problem import Problem, Response
from helpers.measured_tables import ENGINES, OPERATIONS, cells

PATH = Path(__file__).parents[3] / "shared/data/nb201_hw360_pi5_pixel/nb201_hw360.csv.gz"
MEASURED = pytest.param(
    "measured", marks=pytest.mark.skipif(not PATH.exists(), reason="the measured table is not here")
)


@pytest.fixture(scope="module", params=["drawn", MEASURED])
def table(request: pytest.FixtureRequest) -> Mapping[str, np.ndarray]:
    """A table by column: drawn from a known truth, or as it was measured."""
    if request.param == "drawn":
        return cells()
    rows = pytest.importorskip("pandas").read_csv(PATH)
    return {name: rows[name].to_numpy() for name in rows}


@pytest.fixture(scope="module")
def boards(table: Mapping[str, np.ndarray]) -> dict[str, Problem]:
    """By engine of a Raspberry Pi 5: accuracy in percent, latency in ms."""
    goals = (Response("accuracy", goal="max"), Response("latency_ms", goal="min"))
    points = tuple(table[name] for name in OPERATIONS)

    def problem(engine: str) -> Problem:
        values = np.full((5,) * 6 + (2,), np.nan)
        columns = ["acc_cifar100", f"lat_ms_pi5_{engine}_cifar100"]
        values[points] = np.stack([table[name] for name in columns], axis=1)
        return Problem((5,) * 6, goals, lambda points: values[tuple(points.T)])

    return {engine: problem(engine) for engine in ENGINES}


@pytest.fixture(scope="module")
def fronts(boards) -> dict[str, np.ndarray]:
    """By engine, the points of its true front, int64 [n, 6]."""
    found = {}
    for engine, problem in boards.items():
        archive = exact.optimize(problem, seed=0, budget=15_625)
        assert archive.optimal
        found[engine] = archive.points[archive.front(problem)]
    return found


def share(problem: Problem, points: np.ndarray, front: np.ndarray) -> float:
    """The hypervolume of points as a share of the true front's, 10 % beyond its worst corner."""
    true = problem.costs(problem.evaluate(front))
    best, spans = true.min(axis=0), np.ptp(true, axis=0)
    volumes = [
        hypervolume((problem.costs(problem.evaluate(some)) - best) / spans, np.full(2, 1.1))
        for some in (points, front)
    ]
    return volumes[0] / volumes[1]


def test_the_front_of_one_engine_loses_on_another(request, boards, fronts):
    shares = np.array(
        [[share(boards[on], fronts[of], fronts[on]) for on in ENGINES] for of in ENGINES]
    )
    elsewhere = ~np.eye(len(ENGINES), dtype=bool)
    assert (np.diag(shares) == 1.0).all()
    assert (shares[elsewhere] < 1.0).all()
    if "measured" not in request.node.name:
        return
    assert shares[0, 1] < 0.997  # the front of onnx on litert
    assert shares[1, 0] < 0.99  # the front of litert on onnx
    assert shares[1, 2] < 0.97  # the front of litert on torchmobile


@pytest.mark.slow
def test_surrogate_comes_within_a_percent_of_the_true_front(boards, fronts):
    problem, front = boards["onnx"], fronts["onnx"]
    medians = {}
    for name in ("surrogate", "nsga2", "evolution"):
        optimizer = plugins.load("optimizers", name)
        runs = [optimizer.optimize(problem, seed=seed, budget=300).points for seed in range(5)]
        medians[name] = np.median([share(problem, points, front) for points in runs])
    assert medians["surrogate"] >= 0.99
    assert medians["surrogate"] > max(medians["nsga2"], medians["evolution"])
