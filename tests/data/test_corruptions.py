"""Corruptions against scipy and against loops over pixels; always the same for the same images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from edgenas.data import corruptions
from edgenas.data.base import Split

RNG = np.random.default_rng(0)
SIDES = [8, 15, 32]


def images(side: int, n: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (n, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("severity", [1, 2])
def test_a_blur_is_scipys_gaussian(side: int, severity: int) -> None:
    given = images(side)
    sigma = max(0.03 * side, 0.5) * severity
    expected = given.astype(float)
    for axis in (1, 2):
        expected = gaussian_filter1d(
            expected, sigma, axis, mode="nearest", radius=math.ceil(3 * sigma)
        )
    found = corruptions.blur(given, severity, RNG)
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found, expected, atol=0.5 + 1e-6)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("severity", "share"), [(1, 0.75), (2, 0.5)])
def test_pixels_are_means_of_their_block(side: int, severity: int, share: float) -> None:
    given, blocks = images(side), round(side * share)
    found = corruptions.pixelate(given, severity, RNG)
    of = [row * blocks // side for row in range(side)]
    for row, column in [(0, 0), (side - 1, 0), (side // 2, side // 3)]:
        rows = [i for i in range(side) if of[i] == of[row]]
        columns = [i for i in range(side) if of[i] == of[column]]
        mean = np.mean([given[:, i, j] for i in rows for j in columns], axis=0)
        np.testing.assert_allclose(found[:, row, column], mean, atol=0.5 + 1e-6)
    assert len({bytes(line) for line in found[0]}) == blocks


def test_brightness_and_contrast_move_pixels_as_said() -> None:
    given = np.array([[0, 100], [200, 240]], np.uint8).reshape(1, 2, 2, 1)
    bright = corruptions.brightness(given, 2, RNG)
    assert bright.ravel().tolist() == [76, 176, 255, 255]  # 76.5 is rounded to even
    flat = corruptions.contrast(given, 1, RNG)
    assert flat.ravel().tolist() == [68, 118, 168, 188]  # half-way to 135
    assert corruptions.contrast(given, 2, RNG).ravel().tolist() == [101, 126, 151, 161]


def test_noise_has_the_spread_that_is_said() -> None:
    grey = np.full((4, 64, 64, 1), 128, np.uint8)
    for severity in (1, 2):
        noisy = corruptions.noise(grey, severity, np.random.default_rng(1))
        assert noisy.std() == pytest.approx(255 * 0.08 * severity, rel=0.02)


def test_all_networks_see_the_same_images() -> None:
    split = Split(images(8, 400), np.arange(400))
    first, second = (list(corruptions.corrupted(split)) for _ in range(2))
    assert len(first) == 10 and all(len(one) == 256 for one in first)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, first[0].labels)
    assert len({one.images.tobytes() for one in first}) == 10
    assert first[0].labels[[0, -1]].tolist() == [0, 399]
