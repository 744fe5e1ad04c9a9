"""A search from ImageNet's weights on images and with weights that are hard to use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from edgenas.data import pixel_store
from edgenas.runs.start import image_size
from edgenas.spaces import lite
from edgenas.supernet.imagenet.weights import CLASSES
from helpers.cli import Done, edgenas
from helpers.imagenet_package import package_of, random_weights

SIZE = 40  # pixels, fewer than the least resolution


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    state = random_weights(lite.create(CLASSES, 3, 224))
    with package_of(state, tmp_path, monkeypatch) as path:
        yield path


def photograph(rng: np.random.Generator) -> Image.Image:
    soft = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
    noise = rng.normal(0, 8, (SIZE, SIZE, 3))
    pixels = np.asarray(soft.resize((SIZE, SIZE), Image.Resampling.BICUBIC)) + noise
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def images(root: Path, counts: dict[str, int]) -> Path:
    """Write classes of so many training images and two test images each."""
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        for part, n in (("train", count), ("test", 2)):
            (root / part / name).mkdir(parents=True)
            for number in range(n):
                photograph(rng).save(root / part / name / f"{number}.png")
    return root


def trained(root: Path, run: Path, *more: str) -> Done:
    options = ("--data", f"imagefolder:{root}", "--supernet", "imagenet", "--epochs", "1")
    return edgenas("train", str(run), *options, *more)


def test_few_unlike_and_odd_images_are_trained_on_and_the_balance_is_said(
    package: Path, tmp_path: Path
) -> None:
    root = images(tmp_path / "images", {"leek": 5, "pear": 5, "milk": 36})
    odd, rng = root / "train" / "leek", np.random.default_rng(1)
    photograph(rng).convert("CMYK").save(odd / "cmyk.jpg")
    Image.fromarray(rng.integers(0, 65_536, (SIZE, SIZE), np.uint16)).save(odd / "grey16.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    photograph(rng).save(odd / "turned.jpg", exif=exif)
    photograph(rng).save(odd / "moving.gif", save_all=True, append_images=[photograph(rng)])
    photograph(rng).resize((9, 12)).save(odd / "tiny.png")
    done = trained(root, tmp_path / "run")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Traceback" not in said
    assert "each is drawn as often" in said
    assert "1 image has several pictures: the first of each is taken" in said
    assert "linear classifier on the frozen ImageNet network" in said
    assert (tmp_path / "run" / "supernet.safetensors").exists()
    assert (tmp_path / "run" / "linear_classifier.safetensors").exists()


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_weights_end_in_one_line_before_images_are_read(
    package: Path, tmp_path: Path, damage: str
) -> None:
    root = images(tmp_path / "images", {"leek": 4, "pear": 4})
    content = package.read_bytes()
    package.write_bytes(content[:-9] if damage == "cut" else b"\0" + content[1:])
    done = trained(root, tmp_path / "run")
    assert done.returncode not in (0, 1)
    assert "cut, changed or of another version" in done.stderr
    assert "pip install --force-reinstall" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_said_before_anything_is_decoded(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = images(tmp_path / "images", {"leek": 4, "pear": 4})
    monkeypatch.setattr(pixel_store, "MOST_IN_MEMORY", 1000)
    usage = SimpleNamespace(total=10**9, used=10**9, free=5)
    monkeypatch.setattr(pixel_store.shutil, "disk_usage", lambda path: usage)
    done = trained(root, tmp_path / "run")
    assert done.returncode not in (0, 1)
    assert "the decoded pixels need" in done.stderr
    assert "XDG_CACHE_HOME=DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_limit_that_no_size_meets_names_the_fastest_and_the_space_to_take(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = images(tmp_path / "images", {"leek": 4, "pear": 4})
    timed = {size: size / 100 for size in image_size.SIZES}
    monkeypatch.setattr(image_size, "_timed", lambda context: (0.61, timed))
    options = ("--data", f"imagefolder:{root}", "--supernet", "imagenet")
    done = edgenas("search", *options, "--max-latency", "0.3ms", "--out", str(tmp_path / "run"))
    assert done.returncode not in (0, 1)
    assert "takes 0.61 ms on 'local', at 64 px; the limit is 0.3 ms" in " ".join(
        done.stderr.split()
    )
    assert "--supernet none --space mbv3-tiny" in done.stderr


@pytest.mark.slow  # some 2,000 images go through four networks
def test_a_thousand_classes_are_trained_on(package: Path, tmp_path: Path) -> None:
    root = images(tmp_path / "images", {f"class {number}": 3 for number in range(1000)})
    done = trained(root, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
