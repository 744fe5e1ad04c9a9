"""What every data set promises; members are enrolled by being there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from edgenas.core import plugins
from edgenas.core.errors import DataError
from edgenas.core.progress import Silent
from edgenas.core.records import DataCard, from_json, to_json
from edgenas.data import base
from edgenas.data.base import Dataset
from edgenas.supernet.packages.images import Excerpt, write_excerpt
from edgenas.supernet.packages.package import Package


def image_folder(folder: Path) -> str:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("cat", "dog", "eel"):
            (folder / part / name).mkdir(parents=True)
            for index in range(8):
                pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{index}.png")
    return str(folder)


def hugging_face_folder(folder: Path) -> str:
    pytest.importorskip("datasets", reason="the extra 'huggingface' is not installed")
    return image_folder(folder)


def packaged_supernet(folder: Path) -> str:
    digits = base.load("digits", seed=0, progress=Silent())
    weights = folder.with_suffix(".safetensors")
    weights.write_bytes(safetensors.numpy.save({}))
    write_excerpt(Package(weights), digits, Excerpt(30, 40))
    return str(weights)


ARGUMENTS = {
    "digits": lambda folder: "",
    "imagefolder": image_folder,
    "hf": hugging_face_folder,
    "pretrained": packaged_supernet,
}


@pytest.mark.parametrize("name", plugins.names("data"))
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:(datasets|fsspec|multiprocess|dill).*")
def test_member(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert name in ARGUMENTS, "give the new member an argument above"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    argument = ARGUMENTS[name](tmp_path / "images")
    spec = f"{name}:{argument}" if argument else name

    def load(seed: int) -> Dataset:
        return base.load(spec, seed=seed, progress=Silent())

    data, again, other = load(0), load(0), load(1)
    splits = (data.train, data.val, data.test)
    for split in splits:
        n = len(split)
        assert n > 0
        assert split.images.shape == (n, data.image_size, data.image_size, len(data.mean))
        assert split.images.dtype == np.uint8
        assert split.labels.dtype == np.int64
        assert set(split.labels) == set(range(len(data.class_names)))
    assert data.identity == again.identity
    np.testing.assert_array_equal(data.test.images, other.test.images)
    card = data.card()
    assert from_json(to_json(card), DataCard, "the card") == card
    if data.excerpt_of:
        assert other.identity == data.identity
        return
    assert not np.array_equal(data.val.images, other.val.images)
    pixels = data.train.images / 255
    np.testing.assert_allclose(data.mean, pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(data.std, pixels.std((0, 1, 2)), rtol=1e-6)


@pytest.mark.parametrize("name", sorted(set(plugins.names("data")) - {"digits"}))
def test_what_is_not_there_gets_one_line(name: str, tmp_path: Path) -> None:
    if name == "hf":
        pytest.importorskip("datasets", reason="the extra 'huggingface' is not installed")
    for argument in ("", str(tmp_path / "nowhere")):
        with pytest.raises(DataError) as caught:
            base.load(f"{name}:{argument}", seed=0, progress=Silent())
        assert "\n" not in str(caught.value)
