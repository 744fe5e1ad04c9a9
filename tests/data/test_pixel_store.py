"""Pixels that are kept in a file: the same data set, and what happens where there is no room."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from edgenas.core.errors import DataError
from edgenas.core.progress import Silent
from edgenas.data import base, decode, pixel_store


class Said(Silent):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        for number in range(12):
            path = tmp_path / "images" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(path)
    return tmp_path / "images"


def load(folder: Path, progress: Silent | None = None) -> base.Dataset:
    return base.load(f"imagefolder:{folder}", seed=0, progress=progress or Silent(), image_size=40)


def test_images_in_a_file_are_the_same_data_set(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = load(folder)
    monkeypatch.setattr(pixel_store, "MOST_IN_MEMORY", 1000)
    monkeypatch.setattr(pixel_store, "RELEASED_EVERY", 2)
    monkeypatch.setattr(pixel_store, "STEP", 5)
    monkeypatch.setattr(decode, "RELEASED", 4)
    said = Said()
    mapped = load(folder, said)
    assert isinstance(mapped.train.images, np.memmap)
    assert mapped.identity == in_memory.identity
    assert (mapped.mean, mapped.std) == (in_memory.mean, in_memory.std)
    for part in ("train", "val", "test"):
        one, other = getattr(mapped, part), getattr(in_memory, part)
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)
        assert one.files == other.files
    assert any("36 images at 40 px are decoded once, into 0.0 GB" in text for text in said.messages)
    assert list((tmp_path / "cache" / "edgenas" / "images").iterdir()) == []


def test_no_room_on_the_disk_is_said_before_anything_is_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_store, "MOST_IN_MEMORY", 1000)
    usage = SimpleNamespace(total=10**9, used=10**9, free=5)
    monkeypatch.setattr(pixel_store.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(
        DataError, match=r"the decoded pixels need .* where 0\.0 GB are free"
    ) as told:
        load(folder)
    assert "--image-size" in told.value.hint


def test_a_disk_that_fills_up_meanwhile_is_no_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pixel_store, "MOST_IN_MEMORY", 1000)
    monkeypatch.setattr(pixel_store.os, "posix_fallocate", full, raising=False)
    with pytest.raises(DataError, match="the decoded pixels need"):
        load(folder)


def test_few_of_the_images_of_a_file_are_in_memory_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    status = Path("/proc/self/smaps")
    if not status.exists():
        pytest.skip("only Linux tells what of a file is in memory")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(pixel_store, "MOST_IN_MEMORY", 1000)

    def resident_mb(images: np.ndarray) -> float:
        base_address = f"{images.ctypes.data:x}-"
        lines = iter(status.read_text().splitlines())
        next(line for line in lines if line.startswith(base_address))
        return int(next(line for line in lines if line.startswith("Rss:")).split()[1]) / 1024

    images = pixel_store.empty((8192, 32, 32, 3))  # 24 MB
    most, rows = 0.0, 0
    for part in pixel_store.parts(images):
        part[:] = 7
        rows += len(part)
        most = max(most, resident_mb(images))
    assert rows == 8192
    assert 5 < most < 8  # eight steps of 0.75 MB
    assert resident_mb(images) < 1
    assert (images[::100] == 7).all()


def test_inputs_are_normalised_as_they_are_taken(folder: Path) -> None:
    dataset = load(folder)
    every = dataset.normalize(dataset.train.images)
    inputs = dataset.inputs(dataset.train.images)
    assert len(inputs) == len(every)
    np.testing.assert_array_equal(inputs[3:9], every[3:9])
    np.testing.assert_array_equal(inputs[4], every[4])
    np.testing.assert_array_equal(np.stack(list(inputs)), every)
