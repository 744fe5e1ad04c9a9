"""Hardware parameters: used where boards follow a law, refused where they say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core.errors import PredictorError
from edgenas.predictors.base import TrainingData
from edgenas.predictors.transfer import adapt, hardware

CURVE = np.linspace(5, 50, 10)


def boards(rng: np.random.Generator, count: int) -> dict[str, dict[str, float]]:
    names = [*(f"board {i}" for i in range(count)), hardware.NEW]
    return {
        name: {
            "cores": int(rng.integers(1, 9)),
            "clock_ghz": float(rng.uniform(0.8, 3)),
            "memory_gb_s": float(rng.uniform(2, 40)),
            "int8_dot_product": bool(rng.integers(2)),
        }
        for name in names
    }


def test_a_law_of_cores_and_clock_is_found_and_a_useless_parameter_is_not():
    used, off = 0, []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        given = boards(rng, 8)
        scales = {n: 8 / (b["cores"] * b["clock_ghz"]) for n, b in given.items()}
        names = tuple(given)[:-1]
        sources = CURVE[:, None] * [scales[n] for n in names]
        found = hardware.expect(names, sources, given)
        if found.slopes is not None:
            used += 1
            truth = [scales["this"] / scales[n] for n in names]
            off += np.abs(np.log(found.slopes / truth)).tolist()
            assert "cores" in found.sentence
    assert used >= 5 and np.median(off) < 0.15


@pytest.mark.slow
def test_hardware_that_says_nothing_is_refused():
    refused = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        given = boards(rng, 8)
        sources = CURVE[:, None] * np.exp(rng.normal(0, 1, 8))
        found = hardware.expect(tuple(given)[:-1], sources, given)
        refused += found.slopes is None
    assert refused >= 9


def test_too_few_boards_and_bad_parameters_are_said():
    given = boards(np.random.default_rng(0), 4)
    names = tuple(given)[:-1]
    sources = np.tile(CURVE[:, None], 4)
    few = hardware.expect(names[:3], sources[:, :3], given)
    assert few.slopes is None and "fewer than 4" in few.sentence
    with pytest.raises(PredictorError, match="hardware of 'other' is not given"):
        hardware.expect(("other", *names[1:]), sources, given)
    with pytest.raises(PredictorError, match="clock_ghz"):
        hardware.expect(names, sources, {**given, "board 0": {"clock_ghz": -1}})
    with pytest.raises(PredictorError, match="may say"):
        hardware.expect(names, sources, {**given, "board 0": {"ghz": 1}})


@pytest.mark.slow
def test_five_noisy_rows_are_scaled_better_with_hardware():
    better = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        given = boards(rng, 8)
        scales = {n: 8 / (b["cores"] * b["clock_ghz"]) for n, b in given.items()}
        curve = rng.uniform(5, 50, 105)
        sources = curve[:, None] * [scales[n] for n in tuple(given)[:-1]]
        truth = scales["this"] * curve
        noisy = truth[:5] * rng.normal(1, 0.25, 5)
        data = TrainingData("ms", "ms", ("term",), np.ones((5, 1)), noisy)
        names = tuple(given)[:-1]
        expected = hardware.expect(names, sources[:5], given)
        assert expected.slopes is not None
        errors = []
        for known in (expected, None):
            got = adapt.adapt(data, sources[:5], names, expected=known)
            predicted = got.predictor.predict(got.rows(np.ones((100, 1)), sources[5:]))
            errors.append(np.sqrt(np.mean((predicted - truth[5:]) ** 2)))
        better.append(errors[0] / errors[1])
    assert np.median(better) < 0.9 and max(better) < 1.5
