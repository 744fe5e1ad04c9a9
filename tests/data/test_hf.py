"""Hugging Face data sets, from folders that `datasets` itself wrote."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgenas.core.errors import DataError
from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.data.base import Dataset


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    return pytest.importorskip("datasets", reason="the extra 'huggingface' is not installed")


def load(folder: Path) -> Dataset:
    return base.load(f"hf:{folder}", seed=0, progress=Silent())


def table(datasets: Any, labels: list[Any], kind: Any = None, column: str = "label") -> Any:
    """Images whose grey level is ten times their number, with `labels`."""
    images = [Image.new("L", (10, 10), 10 * index) for index in range(len(labels))]
    features = {"image": datasets.Image(), column: kind or datasets.ClassLabel(names=["no", "yes"])}
    rows = {"image": images, column: labels}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(features))


def write(datasets: Any, folder: Path, **splits: Any) -> None:
    datasets.DatasetDict(splits).save_to_disk(folder)


def test_a_saved_data_set_is_read_as_rgb(datasets: Any, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    train, rest = table(datasets, [0, 1] * 4), table(datasets, [1, 0, 1])
    write(datasets, folder, train=train, validation=rest, test=rest)
    data = load(folder)
    assert data.class_names == ("no", "yes")
    assert (len(data.train), len(data.val), len(data.test)) == (8, 3, 3)
    assert data.train.images.shape == (8, 10, 10, 3)
    np.testing.assert_array_equal(data.test.images[:, 0, 0, 0], [0, 10, 20])
    np.testing.assert_array_equal(data.test.labels, [1, 0, 1])


def test_names_as_labels_become_classes(datasets: Any, tmp_path: Path) -> None:
    text = datasets.Value("string")
    train = table(datasets, ["sea", "land"] * 4, text, "labels")
    test = table(datasets, ["land", "sea"], text, "labels")
    write(datasets, tmp_path / "saved", train=train, test=test)
    data = load(tmp_path / "saved")
    assert data.class_names == ("land", "sea")
    np.testing.assert_array_equal(data.test.labels, [0, 1])


def test_what_is_missing_is_said(datasets: Any, tmp_path: Path) -> None:
    good = table(datasets, [0, 1] * 4)
    write(datasets, tmp_path / "test_only", test=good)
    with pytest.raises(DataError, match=r"needs the split train; it has: test"):
        load(tmp_path / "test_only")
    write(datasets, tmp_path / "unlabelled", train=good, test=table(datasets, [0, -1]))
    with pytest.raises(DataError, match="test has images without a label"):
        load(tmp_path / "unlabelled")
    bare = good.remove_columns("label")
    write(datasets, tmp_path / "bare", train=bare, test=bare)
    with pytest.raises(DataError, match="has no label column; it has: image"):
        load(tmp_path / "bare")


def test_a_damaged_image_is_named_by_its_row(datasets: Any, tmp_path: Path) -> None:
    good = table(datasets, [0, 1] * 4)
    rows = good.cast_column("image", datasets.Image(decode=False)).to_dict()
    rows["image"][3] = {"bytes": b"not an image", "path": None}
    damaged = datasets.Dataset.from_dict(rows, features=good.features)
    write(datasets, tmp_path / "saved", train=damaged, test=good)
    (skipped,) = load(tmp_path / "saved").skipped
    assert str(skipped) == "train[3] (not an image)"


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"needs the package 'datasets'.*edgenas.huggingface"):
        base.load("hf:anything", seed=0, progress=Silent())
