"""Classes of very unequal sizes: each is drawn as often."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from edgenas.data.base import Dataset, Split
from edgenas.spaces import mbv3_tiny
from edgenas.supernet import trainer
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
    data: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    balanced: bool,
    expected: tuple[int, ...],
) -> None:
    seen: list[int] = []

    def recorded(images: Tensor, *_: object) -> Tensor:
        seen.extend(images[:, 0, 0, 0].tolist())
        return images

    monkeypatch.setattr(trainer, "augment", recorded)
    settings = TrainSettings(epochs=1, batch_size=32, balanced=balanced)
    space = mbv3_tiny.create(3, 3, SIZE)
    one = trainer.Trainer(space, data, settings, tmp_path / "checkpoint", "cpu")
    torch.set_num_threads(1)
    assert len(list(one.steps())) == 3
    assert tuple(np.bincount(seen)) == expected


def test_balance_is_chosen_where_a_class_is_over_five_times_another(data: Dataset) -> None:
    assert transfer_settings(data).balanced
    assert not unbalanced(np.repeat(np.arange(2), (10, 50)), 2)
