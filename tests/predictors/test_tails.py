"""Noise with heavy tails: a few disturbed rows are weighted down; nothing changes where there are
none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from edgenas.predictors.linear import student
from edgenas.predictors.linear.shrinkage import Level
from edgenas.predictors.tables.regression import TableRegression, load

Columns = dict[str, np.ndarray]
COSTS = np.array([2.0, 1.5, 1.2, 0.8])


def _timed(seed: int, late: bool, n: int = 60) -> tuple[Columns, np.ndarray]:
    """Return counts of blocks with latencies, and the means; every tenth row was disturbed."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(1, 9, (n, 4)).astype(float)
    mean = 8 + blocks @ COSTS
    names = ("stem", "body", "neck", "head")
    rows = {name: blocks[:, at] for at, name in enumerate(names)}
    rows["latency_ms"] = mean * rng.lognormal(0, 0.01, n)
    if late:
        rows["latency_ms"][::10] *= rng.uniform(1.3, 2, len(mean[::10]))
    return rows, mean


def test_disturbed_rows_do_not_spoil_the_others() -> None:
    off, promised = [], []
    for seed in range(3):
        rows, mean = _timed(seed, late=True)
        fitted = TableRegression().fit(rows, "latency_ms")
        light = fitted.regression.light
        assert 6 <= light <= 12  # those that were, and few more
        assert f"heavy tails: {light} of 60 rows" in " ".join(fitted.report()["notes"])
        off.append(fitted.predict(rows) - mean)
        again = load(json.loads(json.dumps(fitted.to_json())))
        assert again.regression.light == light
        calm, _ = _timed(seed + 50, late=False)
        inside = again.get_prediction(calm, 0.9)
        promised.append((inside.lower <= calm["latency_ms"]) & (calm["latency_ms"] <= inside.upper))
    plain = np.column_stack([np.ones(60), *(rows[x] for x in list(rows)[:4])])
    least_squares = plain @ np.linalg.lstsq(plain, rows["latency_ms"], rcond=None)[0]
    assert np.sqrt(np.mean(np.square(off))) < 0.2 * np.sqrt(np.mean((least_squares - mean) ** 2))
    assert np.mean(promised) > 0.9


@pytest.mark.parametrize("seed", range(4))
def test_calm_rows_all_count_alike(seed: int) -> None:
    rows, _ = _timed(seed, late=False)
    fitted = TableRegression("main").fit(rows, "latency_ms")
    assert fitted.regression.light == 0
    assert "heavy tails" not in " ".join(fitted.report()["notes"])


def test_weights_are_those_of_the_greatest_likelihood() -> None:
    """With levels so wide that nothing is shrunk, of a mean alone: the location of Student's t."""
    rng = np.random.default_rng(4)
    response = 5 + stats.t.rvs(1.5, size=80, random_state=rng)
    matrix = rng.normal(0, 1, (80, 1))
    heavy = student.find(matrix, response, [Level("own", np.eye(1))], np.array([1e-9]), np.ones(80))
    assert heavy is not None and heavy.gain > 5
    weighted = float(np.average(response, weights=heavy.weights))
    best = max(
        (stats.t(degrees, *stats.t.fit(response, fdf=degrees)[1:]) for degrees in (2.0, 4.0)),
        key=lambda law: law.logpdf(response).sum(),
    )
    assert weighted == pytest.approx(best.mean() if best.args[0] > 1 else 0, abs=0.05)
