"""Optimal design against enumeration, and annealing against refitting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgenas.core.errors import PredictorError
from edgenas.predictors.linear import d_optimal, projection
from edgenas.predictors.tables import annealing


def pool(n: int = 14, p: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, p))


def information(rows: np.ndarray, chosen) -> np.ndarray:
    full = np.column_stack([np.ones(len(rows)), rows - rows.mean(axis=0)])
    prior = np.diag([1e-6, *np.ones(rows.shape[1])])
    return prior + full[list(chosen)].T @ full[list(chosen)]


@pytest.mark.parametrize("seed", range(5))
def test_d_optimal_is_the_best_of_all_designs(seed):
    rows = pool(seed=seed) * 5
    volume = {
        chosen: np.linalg.slogdet(information(rows, chosen))[1]
        for chosen in itertools.combinations(range(14), 5)
    }
    found = tuple(d_optimal.choose(rows, 5, criterion="D"))
    assert volume[found] >= max(volume.values()) - 0.02


@pytest.mark.parametrize("seed", range(5))
def test_i_optimal_has_nearly_the_least_mean_variance(seed):
    rows = pool(seed=seed) * 5
    full = np.column_stack([np.ones(14), rows - rows.mean(axis=0)])

    def variance(chosen) -> float:
        return float(np.trace(full @ np.linalg.inv(information(rows, chosen)) @ full.T))

    least = min(variance(chosen) for chosen in itertools.combinations(range(14), 5))
    assert variance(d_optimal.choose(rows, 5, criterion="I")) <= 1.03 * least


def test_what_is_measured_already_counts_and_is_not_chosen_again():
    rows = pool(40, 3)
    taken = np.array([0, 5, 9])
    chosen = d_optimal.choose(rows, 6, taken=taken)
    assert len(set(chosen) | set(taken)) == 9
    with pytest.raises(PredictorError, match="37 subnets are left"):
        d_optimal.choose(rows, 38, taken=taken)


def test_a_design_of_fewer_rows_than_terms_with_constant_terms():
    rows = np.column_stack([pool(30, 8), np.ones(30)])
    assert len(d_optimal.choose(rows, 4)) == 4


def test_the_widest_prediction_is_measured_next():
    assert d_optimal.widest(np.array([1.0, 3.0, 2.0]), 2, np.array([1])).tolist() == [2, 0]


def test_stopping_says_which_limit_was_reached():
    assert "reached the wanted 1.00%" in d_optimal.stop(0.009, 0.01, 10, 60).reason
    assert "budget of 60 s" in d_optimal.stop(0.02, 0.01, 61, 60).reason
    assert not d_optimal.stop(0.02, None, 10, 60).reached
    known = {"gain": 0.0004, "target_gain": 0.0005}
    assert "would gain 0.04% of accuracy" in d_optimal.stop(0.02, None, 10, 60, **known).reason
    assert not d_optimal.stop(0.02, 0.01, 10, 60, **known).reached  # both are wanted
    assert d_optimal.stop(0.009, 0.01, 10, 60, **known).reached
    assert not d_optimal.stop(0.02, None, 10, 60, target_gain=0.0005).reached


def test_annealing_finds_the_terms_that_are_there():
    rng = np.random.default_rng(1)
    candidates = rng.normal(size=(80, 60))
    response = 3 * candidates[:, 7] - 2 * candidates[:, 33] + rng.normal(0, 0.5, 80)
    start = projection.project(np.eye(80), response)
    price = 2 * np.log(80) / 80
    shares = annealing.choose(start, candidates, variance=10.0, price=price, seed=0)
    assert shares[[7, 33]].tolist() == [1.0, 1.0]
    assert shares.sum() < 6
    again = annealing.choose(start, candidates, variance=10.0, price=price, seed=0)
    np.testing.assert_array_equal(shares, again)


def test_annealing_keeps_out_terms_that_are_not_there():
    rng = np.random.default_rng(2)
    response = rng.normal(size=50)
    start = projection.project(np.eye(50), response)
    price = 3 * np.log(50) / 50
    shares = annealing.choose(start, rng.normal(size=(50, 30)), variance=1.0, price=price, seed=0)
    assert shares.sum() < 1
