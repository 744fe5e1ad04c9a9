"""What a search begins with, where its user names neither a space nor a supernet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.core.errors import InputError
from edgenas.core.files.run_folder import RunFolder
from edgenas.runs import config
from edgenas.runs.run import RunContext
from edgenas.runs.start import weights as start
from edgenas.supernet.imagenet import weights
from helpers.listening import Listening


@pytest.fixture(autouse=True)
def extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "installed", lambda name: True)


def folder_of(path: Path, size: int) -> Path:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        for number in range(12):
            file = path / name / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            soft = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
            soft = soft.resize((size, size), Image.Resampling.BICUBIC)
            noise = rng.normal(0, 6, (size, size, 3))
            pixels = np.clip(np.asarray(soft) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(file)
    return path


def chosen(tmp_path: Path, size: int) -> tuple[config.RunConfig, list[str]]:
    images = folder_of(tmp_path / "images", size)
    begun = config.begun({"data": f"imagefolder:{images}"})
    assert begun.supernet == config.AUTO
    run = tmp_path / "run"
    run.mkdir()
    told = Listening()
    context = RunContext(RunFolder(run), begun, told)
    start.choose(context)
    assert config.read_config(context.folder) == context.config
    return context.config, told.messages


def test_photographs_begin_with_imagenets_weights(tmp_path: Path) -> None:
    settled, told = chosen(tmp_path, 100)
    assert (settled.supernet, settled.space) == ("imagenet", "lite")
    assert "The images are colour photographs" in told[-1]
    assert "--supernet none trains from nothing" in told[-1]


def test_small_images_begin_with_nothing(tmp_path: Path) -> None:
    settled, told = chosen(tmp_path, 32)
    assert (settled.supernet, settled.space) == (None, "mbv3-tiny")
    assert "Images of 32 px" in told[-1]
    assert "begins with random weights; --supernet imagenet would not" in told[-1]


@pytest.mark.parametrize(
    "asked",
    [
        {"data": "digits"},
        {"data": "imagefolder:x", "supernet": "none"},
        {"data": "imagefolder:x", "space": "mbv3-cpu"},
    ],
)
def test_nothing_is_chosen_where_the_user_has_or_there_are_no_files(asked: dict[str, str]) -> None:
    assert config.begun(asked).supernet is None


def test_without_the_extra_training_begins_with_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "installed", lambda name: False)
    assert config.begun({"data": "imagefolder:x"}).supernet is None


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"image_size": 4}, "--image-size must be 8 to 320 pixels"),
        ({"image_size": 400}, "--image-size must be 8 to 320 pixels"),
        ({"time_s": 0.0}, "--time must be above 0 s"),
    ],
)
def test_impossible_sizes_and_times_are_refused(options: dict[str, float], match: str) -> None:
    with pytest.raises(InputError, match=match):
        config.begun({"data": "digits", **options})
