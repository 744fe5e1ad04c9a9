"""Data sets by name, resizing, and the digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from edgenas.core.errors import DataError, PluginError
from edgenas.core.progress import Silent
from edgenas.data import base


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(PluginError, match="Did you mean 'digits'"):
        base.load("digit", seed=0, progress=Silent())


def test_digits_takes_no_argument() -> None:
    with pytest.raises(DataError, match="takes no argument"):
        base.load("digits:8", seed=0, progress=Silent())


def test_digits_are_scikit_learns() -> None:
    data = base.load("digits", seed=0, progress=Silent())
    bunch = load_digits()
    assert data.train.images.shape[1:] == (16, 16, 1)
    assert len(data.test) == 360
    splits = (data.train, data.val, data.test)
    assert sum(map(len, splits)) == len(bunch.target) == 1797
    labels = np.concatenate([split.labels for split in splits])
    np.testing.assert_array_equal(np.bincount(labels), np.bincount(bunch.target))
    shares = np.bincount(data.val.labels) / np.bincount(labels)
    assert shares.min() > 0.17
    assert shares.max() < 0.22
    ink = sum(float(split.images.sum()) for split in splits) / 255 / 4
    assert ink == pytest.approx(bunch.images.sum() / 16, rel=0.01)


def test_the_test_digits_are_the_same_for_every_seed() -> None:
    one, other = (base.load("digits", seed=seed, progress=Silent()) for seed in (0, 1))
    np.testing.assert_array_equal(one.test.images, other.test.images)
    assert one.identity != other.identity
    assert one.identity == base.load("digits", seed=0, progress=Silent()).identity


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [7, 24, 31])
def test_resize_is_bilinear_with_antialias(channels: int, size: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 24, 24, channels), np.uint8)
    got = base.resize(images, size)
    assert got.dtype == np.uint8
    assert got.shape == (3, size, size, channels)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(images).permute(0, 3, 1, 2).float(),
        size=(size, size),
        mode="bilinear",
        antialias=True,
    )
    assert np.abs(got - expected.permute(0, 2, 3, 1).numpy()).max() <= 1.01
