"""How images become square, said where they lose by it, and kept with all that is trained so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from edgenas.core.errors import EdgeNasError, InputError, RunFolderError
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.progress import Silent
from edgenas.core.records import FITS, Fit, ImageInput
from edgenas.data import base
from edgenas.data.decode import read_input
from edgenas.runs.config import RunConfig, resumed, write_config
from edgenas.runs.open import open_run
from edgenas.supernet import train_file
from edgenas.supernet.packages.images import Excerpt, write_excerpt
from edgenas.supernet.packages.package import Package

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def wide(colours: tuple[tuple[int, int, int], ...] = (RED, GREEN, GREEN, BLUE)) -> Image.Image:
    """An image of 64 x 16 px: four squares side by side."""
    image = Image.new("RGB", (64, 16))
    for index, colour in enumerate(colours):
        image.paste(colour, (16 * index, 0, 16 * index + 16, 16))
    return image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colours in (("a", (RED, GREEN, GREEN, BLUE)), ("b", (BLUE, GREEN, GREEN, RED))):
        (tmp_path / "wide" / name).mkdir(parents=True)
        for index in range(8):
            wide(colours).save(tmp_path / "wide" / name / f"{index}.png")
    return tmp_path / "wide"


def load(folder: Path, fit: Fit | None, progress: Silent | None = None) -> base.Dataset:
    return base.load(f"imagefolder:{folder}", seed=0, progress=progress or Silent(), fit=fit)


def test_the_centre_square_alone_is_green(folder: Path) -> None:
    data = load(folder, None)
    assert (data.fit, data.image_size) == ("crop", 16)
    assert (data.train.images == GREEN).all()


def test_padding_keeps_all_between_black_bars(folder: Path) -> None:
    data = load(folder, "pad")
    assert (data.fit, data.image_size) == ("pad", 64)
    image = data.train.images[data.train.labels == 0][0]
    assert (image[:24] == 0).all()
    assert (image[40:] == 0).all()
    np.testing.assert_array_equal(image[24:40], np.asarray(wide()))


def test_squeezing_keeps_all_of_each_side(folder: Path) -> None:
    data = load(folder, "squeeze")
    assert (data.fit, data.image_size) == ("squeeze", 16)
    image = data.train.images[data.train.labels == 0][0]
    assert (image[:, 0] == RED).all()
    assert (image[:, 7:9] == GREEN).all()
    assert (image[:, 15] == BLUE).all()


def test_images_far_from_square_are_warned_of_with_a_way_to_keep_all(folder: Path) -> None:
    progress = Silent()
    load(folder, None, progress)
    assert [text for text in progress.warnings if "square" in text] == [
        "Only the centre square of each image is seen: 75% of their pixels are dropped (mean; the "
        "long side is 4.0 times the short one, median). To keep all of it: --fit squeeze, or "
        "--fit pad."
    ]
    for fit in ("pad", "squeeze"):
        silent = Silent()
        load(folder, fit, silent)
        assert not any("square" in text for text in silent.warnings)


@pytest.mark.parametrize("fit", FITS)
def test_one_file_makes_the_input_that_the_network_was_trained_on(folder: Path, fit: Fit) -> None:
    data = load(folder, fit)
    made = ImageInput(fit, data.image_size, 12, "rgb", data.mean, data.std, "nchw", "float32")
    pixels = read_input(folder / "b" / "0.png", made)
    seen = data.test.resized(12).images[data.test.labels == 1][0]
    np.testing.assert_array_equal(pixels, seen)


def test_an_input_is_described_in_words() -> None:
    made = ImageInput("pad", 64, 48, "rgb", (0.5,) * 3, (0.25,) * 3, "nhwc", "uint8")
    assert str(made) == (
        "the upright image, centred between black bars at 64 px, then at 48 px (bilinear, "
        "antialiased); RGB, nhwc, uint8; (pixel / 255 - mean) / std, mean 0.5, 0.5, 0.5, std 0.25, "
        "0.25, 0.25"
    )


def test_a_resumed_run_refuses_another_fit(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_config(folder, RunConfig(fit="squeeze"), "1")
    assert resumed(folder, {"fit": "squeeze"}).fit == "squeeze"
    with pytest.raises(RunFolderError, match="started with --fit squeeze, not with --fit pad"):
        resumed(folder, {"fit": "pad"})


def metadata_of(path: Path, **about: object) -> Path:
    text = {name: json.dumps(value) for name, value in about.items()}
    path.write_bytes(safetensors.numpy.save({}, text))
    return path


def test_an_interrupted_training_refuses_another_fit(folder: Path, tmp_path: Path) -> None:
    metadata_of(tmp_path / "x.safetensors.checkpoint", fit="pad", class_names=["a", "b"])
    with pytest.raises(InputError, match="was trained with --fit pad, not crop"):
        train_file.train(
            tmp_path / "x.safetensors",
            f"imagefolder:{folder}",
            "mbv3-tiny",
            "auto",
            {"epochs": 1},
            Silent(),
            resume=True,
        )


def test_a_run_takes_the_fit_of_its_supernet_unless_asked(tmp_path: Path) -> None:
    space = {"name": "mbv3-tiny"}
    path = metadata_of(tmp_path / "x.safetensors", edgenas="supernet", space=space, fit="pad")
    asked = {"supernet": str(path), "data": "digits"}
    with open_run(tmp_path / "one", asked, Silent(), resume=False) as context:
        assert context.config.fit == "pad"
    with open_run(tmp_path / "two", {**asked, "fit": "crop"}, Silent(), resume=False) as context:
        assert context.config.fit == "crop"
    with open_run(tmp_path / "two", asked, Silent(), resume=True) as context:
        assert context.config.fit == "crop"


def test_packaged_images_keep_their_fit_and_refuse_another(folder: Path, tmp_path: Path) -> None:
    weights = metadata_of(tmp_path / "x.safetensors", edgenas="supernet")
    write_excerpt(Package(weights), load(folder, "pad"), Excerpt(2, 2))

    def packaged(fit: Fit | None) -> base.Dataset:
        return base.load(f"pretrained:{weights}", seed=0, progress=Silent(), fit=fit)

    assert packaged(None).card().fit == packaged("pad").fit == "pad"
    with pytest.raises(EdgeNasError, match="squares made by --fit pad, not crop"):
        packaged("crop")
