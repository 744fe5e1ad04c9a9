"""Searches on measured boards whose true front is known: NAS-Bench-201, 15,625 architectures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgenas import plugins
from edgenas.optimizers import exact
from edgenas.optimizers.dominance import hypervolume
from edgenas.optimizers.problem import Problem, Response

PATH = Path(__file__).parents[2] / "shared/data/nb201_hw360_pi5_pixel/nb201_hw360.csv.gz"
EDGES = [f"op_{edge}" for edge in ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")]
ENGINES = ("onnx", "litert", "torchmobile")

pytestmark = pytest.mark.skipif(not PATH.exists(), reason="the measured table is not here")


@pytest.fixture(scope="module")
def boards() -> dict[str, Problem]:
    """By engine of a Raspberry Pi 5: accuracy in percent, latency in ms."""
    pandas = pytest.importorskip("pandas")
    rows = pandas.read_csv(PATH)
    goals = (Response("accuracy", goal="max"), Response("latency_ms", goal="min"))

    def problem(engine: str) -> Problem:
        values = np.full((5,) * 6 + (2,), np.nan)
        columns = ["acc_cifar100", f"lat_ms_pi5_{engine}_cifar100"]
        values[tuple(rows[EDGES].to_numpy().T)] = rows[columns].to_numpy()
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


def test_the_front_of_one_engine_loses_on_another(boards, fronts):
    shares = np.array(
        [[share(boards[on], fronts[of], fronts[on]) for on in ENGINES] for of in ENGINES]
    )
    elsewhere = ~np.eye(len(ENGINES), dtype=bool)
    assert (np.diag(shares) == 1.0).all()
    assert (shares[elsewhere] < 1.0).all()
    assert shares[0, 1] < 0.997  # the front of onnx on litert
    assert shares[1, 0] < 0.99  # the front of litert on onnx
    assert shares[1, 2] < 0.97  # the front of litert on torchmobile


def test_surrogate_comes_within_a_percent_of_the_true_front(boards, fronts):
    problem, front = boards["onnx"], fronts["onnx"]
    medians = {}
    for name in ("surrogate", "nsga2", "evolution"):
        optimizer = plugins.load("optimizers", name)
        runs = [optimizer.optimize(problem, seed=seed, budget=300).points for seed in range(5)]
        medians[name] = np.median([share(problem, points, front) for points in runs])
    assert medians["surrogate"] >= 0.99
    assert medians["surrogate"] > max(medians["nsga2"], medians["evolution"])
