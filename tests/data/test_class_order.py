"""The order of classes: by number where they are numbered, and as it was where they are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.data.base import in_order

ALPHABETICAL = ("0", "1", "10", "2", "3", "4", "5", "6", "7", "8", "9")


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    for number in range(11):
        (tmp_path / str(number)).mkdir()
        for index in range(6):
            pixels = np.full((8, 8, 3), 20 * number + index, np.uint8)
            Image.fromarray(pixels).save(tmp_path / str(number) / f"{index}.png")
    return tmp_path


def load(folder: Path, known: tuple[str, ...] = ()) -> base.Dataset:
    return base.load(f"imagefolder:{folder}", seed=0, progress=Silent(), class_names=known)


def test_numbered_folders_are_classes_in_the_order_of_their_numbers(numbered: Path) -> None:
    data = load(numbered)
    assert data.class_names == tuple(map(str, range(11)))
    for split in (data.train, data.val, data.test):
        np.testing.assert_array_equal(split.images[:, 0, 0, 0] // 20, split.labels)


def test_what_was_trained_in_another_order_keeps_it(numbered: Path) -> None:
    data = load(numbered, ALPHABETICAL)
    assert data.class_names == ALPHABETICAL
    shown = [int(ALPHABETICAL[label]) for label in data.test.labels]
    np.testing.assert_array_equal(data.test.images[:, 0, 0, 0] // 20, shown)
    # As every version before gave it: runs and supernets of these images open.
    assert data.identity == "a5fce521e0f4443de7c649cbc1956fa7297a58b7b30b7f312538729e70a4e004"


def test_an_order_of_other_classes_counts_for_nothing(numbered: Path) -> None:
    assert load(numbered, ("cat", "dog")).class_names == tuple(map(str, range(11)))


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["class_10", "class_2"], ("class_2", "class_10")),
        (["10. owl", "9. elk"], ("9. elk", "10. owl")),
        (["007", "10", "08"], ("007", "08", "10")),
        (["1" + "0" * 6000, "9" * 6000], ("9" * 6000, "1" + "0" * 6000)),
        (["b10", "a2"], ("a2", "b10")),
        (["10", "2", "other"], ("10", "2", "other")),
        (["cat", "ant"], ("ant", "cat")),
    ],
)
def test_names_are_in_order(names: list[str], ordered: tuple[str, ...]) -> None:
    assert in_order(names) == ordered
