"""The blend of known boards: its estimates against dense formulas, and what it believes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from edgenas.predictors.transfer import mixture as blending
from edgenas.predictors.transfer.mixture import MEAN, Blend, blend


def boards(n: int, seed: int = 0) -> np.ndarray:
    """Latencies of n networks on five boards: three alike, two of another kind."""
    rng = np.random.default_rng(seed)
    work = rng.uniform(1, 5, (n, 3))
    laws = np.array([[1, 2, 3], [2, 4.2, 6], [3, 6, 9.3], [9, 1, 2], [5, 0.5, 1.2]])
    return 2 + work @ laws.T


def test_one_explanation_is_the_posterior_of_a_normal_model(monkeypatch):
    """Against least squares on the rows stacked with the prior, of which the scale has none."""
    share, noise = 0.3, 0.5
    monkeypatch.setattr(blending, "SHARES", (share,))
    monkeypatch.setattr(blending, "NOISES", (noise,))
    monkeypatch.setattr(blending, "MEAN_SHARE", 1.0 - 1e-12)
    sources = boards(9)
    errors = np.linspace(0.5, 2, 9)
    response = 3 * sources.mean(axis=1) + np.random.default_rng(1).normal(0, 1, 9)
    found = blend(sources, response, errors)
    mean = sources.mean(axis=0)
    relative = np.column_stack([np.ones(9), sources / mean])
    towards = np.append(0, mean / mean.sum())
    root = np.zeros((6, 6))
    root[0, 0] = blending.SHIFT
    root[1:, 1:] = (np.eye(5) - 0.2) * np.sqrt(share / 4)
    onto = np.column_stack([towards, root])
    sizes = noise * np.median(sources.std(axis=0) / mean) * errors
    stacked = np.vstack([relative @ onto / sizes[:, None], np.eye(7)[1:]])
    inverse = np.linalg.inv(stacked.T @ stacked)
    estimate = inverse @ stacked.T @ np.append(response / sizes, np.zeros(6))
    back = np.diag(np.append(1, 1 / mean))
    onto = back @ onto
    np.testing.assert_allclose(found.posterior.params, onto @ estimate, rtol=1e-8)
    covariance = onto @ inverse @ onto.T / (sizes[0] / errors[0]) ** 2
    np.testing.assert_allclose(found.posterior.covariance, covariance, rtol=1e-7, atol=1e-9)
    hat = stacked @ inverse @ stacked.T
    assert found.posterior.effective == pytest.approx(np.trace(hat[:9, :9]))


def test_belief_follows_the_likelihood_of_the_rows(monkeypatch):
    """With deviations, shift and noise given, beliefs are as normal densities averaged over the
    residual variance (its prior 1 / variance) and a flat scale."""
    monkeypatch.setattr(blending, "SHARES", (0.1,))
    monkeypatch.setattr(blending, "NOISES", (0.7,))
    sources = boards(6)
    response = 2 * sources[:, 3] + np.random.default_rng(2).normal(0, 6, 6)
    found = blend(sources, response, np.ones(6))
    mean = sources.mean(axis=0)
    relative = sources / mean
    among = relative - relative.mean(axis=1, keepdims=True)
    noise = 0.7 * np.median(sources.std(axis=0) / mean)
    rows = 0.1 / 4 * among @ among.T + blending.SHIFT**2 + noise**2 * np.eye(6)
    centres = [*relative.T, sources.sum(axis=1) / mean.sum()]
    scales, sizes = np.linspace(-200, 300, 501), np.geomspace(1, 1e6, 100)
    density = []
    for centre in centres:
        whole = 0.0
        for size in sizes:
            normal = multivariate_normal(np.zeros(6), size * rows)
            whole += normal.pdf(response - scales[:, None] * centre).sum()
        density.append(whole)  # the grid of sizes is even in their logarithm: 1 / variance
    expected = np.array(density) * [*[0.1] * 5, 0.5]
    np.testing.assert_allclose(found.belief, expected / expected.sum(), rtol=0.02)


def test_a_board_like_one_is_taken_for_it_and_a_board_between_is_predicted_too():
    sources = boards(200)
    names = tuple("abcde")
    rng = np.random.default_rng(3)
    like = 0.5 * sources[:, 3] * rng.normal(1, 0.01, 200)
    few = Blend.of(np.zeros((8, 0)), sources[:8], like[:8])
    likeness = few.likeness(names)
    assert sum(likeness.values()) == pytest.approx(1) and set(likeness) == {*names, MEAN}
    assert likeness["d"] + likeness["e"] > 0.9
    between = 0.3 * sources[:, 0] + 0.4 * sources[:, 3] + 1
    fitted = Blend.of(np.zeros((8, 0)), sources[:8], between[:8]).fit()
    error = fitted.predict(sources[8:]) - between[8:]
    best = min(
        np.std(between[8:] - np.polyval(np.polyfit(x[:8], between[:8], 1), x[8:]))
        for x in sources.T
    )
    assert np.sqrt(np.mean(error**2)) < 0.25 * best


def test_noise_that_grows_with_the_mean_is_found():
    rng = np.random.default_rng(4)
    source = rng.uniform(1, 40, (80, 1))
    grown = 2 * source[:, 0] * rng.normal(1, 0.05, 80)
    even = 2 * source[:, 0] + rng.normal(0, 2, 80) + 8
    assert Blend.of(np.zeros((80, 0)), source, grown).spread.power >= 0.75
    assert Blend.of(np.zeros((80, 0)), source, even).spread.power == 0


def test_responses_without_a_positive_mean_are_blended_too():
    sources = boards(60) - 20
    response = 5 - sources[:, 1] + 2 * sources[:, 4]
    fitted = Blend.of(np.zeros((12, 0)), sources[:12], response[:12]).fit()
    error = fitted.predict(sources[12:]) - response[12:]
    assert np.sqrt(np.mean(error**2)) < 0.2 * response.std()


def test_sources_that_never_vary_say_nothing():
    fitted = Blend.of(np.zeros((6, 0)), np.full((6, 2), 3.0), np.arange(1.0, 7.0)).fit()
    assert np.isfinite(fitted.params).all() and np.isfinite(fitted.covariance).all()
    assert fitted.predict(np.full((1, 2), 3.0))[0] == pytest.approx(3.5)
