"""Classes of very unequal sizes: each is drawn as often."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.data.base import Dataset, Split
from edgenas.supernet.batches import Batches
from edgenas.supernet.settings import TrainSettings, transfer_settings, unbalanced

SIZE = 8
COUNTS = (2, 10, 84)


@pytest.fixture
def data() -> Dataset:
    labels = np.repeat(np.arange(3), COUNTS)
    pixels = np.broadcast_to(labels[:, None, None, None], (len(labels), SIZE, SIZE, 3))
    split = Split(pixels.astype(np.uint8).copy(), labels.astype(np.int64))
    return Dataset("unequal", ("a", "b", "c"), split, split, split, "1", (0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize(("balanced", "expected"), [(True, (32, 32, 32)), (False, COUNTS)])
def test_an_epoch_has_as_many_images_of_each_class(
    data: Dataset, balanced: bool, expected: tuple[int, ...]
) -> None:
    settings = TrainSettings(epochs=1, batch_size=32, balanced=balanced)
    batches = Batches(data, settings)
    assert (batches.size, batches.per_epoch) == (32, 3)
    drawn = [batches.batch(0, index, batches.rng(0, index)) for index in range(3)]
    labels = torch.cat([targets for _, targets in drawn])
    pixels = torch.cat([inputs for inputs, _ in drawn])[:, 0, 0, 0] * 255
    assert torch.equal(pixels.round().long(), labels)
    assert tuple(labels.bincount().tolist()) == expected


def test_balance_is_chosen_where_a_class_is_over_five_times_another(data: Dataset) -> None:
    assert transfer_settings(data).balanced
    assert not unbalanced(np.repeat(np.arange(2), (10, 50)), 2)
