"""Supernet files, calibration, augmentation and the default recipes."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from edgenas.core.errors import InputError
from edgenas.data.assemble import assemble
from edgenas.data.base import Dataset, Split
from edgenas.spaces import mbv3_tiny
from edgenas.supernet.augment import augment
from edgenas.supernet.files import load, read_tensors, save, write_tensors
from edgenas.supernet.network import Supernet
from edgenas.supernet.packages.package import metadata
from edgenas.supernet.recalibrate import calibrated_subnet, recalibrate, to_input
from edgenas.supernet.scores import accuracy, logits
from edgenas.supernet.settings import TrainSettings, default_epochs, default_settings

SPACE = mbv3_tiny.create(num_classes=3, in_channels=3, image_size=16)


def noise(n: int, channels: int = 3, size: int = 16) -> Split:
    rng = np.random.default_rng(n)
    images = rng.integers(0, 256, (n, size, size, channels), np.uint8)
    return Split(images, np.arange(n, dtype=np.int64) % 3)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return assemble("noise", ("a", "b", "c"), noise(300), noise(30), noise(33), seed=0)


def test_a_saved_supernet_says_what_it_is_made_of(data: Dataset, tmp_path: Path) -> None:
    supernet, path = Supernet(SPACE, seed=3), tmp_path / "supernet.safetensors"
    save(supernet, path, data, TrainSettings(epochs=2))
    loaded = load(path, SPACE)
    for name, value in supernet.named_parameters():
        assert torch.equal(value, loaded.get_parameter(name))
    with safe_open(path, "np") as stream:
        about = {key: json.loads(text) for key, text in stream.metadata().items()}
    assert about["class_names"] == ["a", "b", "c"]
    assert about["mean"] == list(data.mean)
    assert about["std"] == list(data.std)
    assert about["data"] == {"name": "noise", "identity": data.identity}
    assert about["space"]["resolutions"] == [12, 14, 16]
    assert about["settings"]["epochs"] == 2


def test_what_is_not_this_spaces_supernet_is_refused(data: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "supernet.safetensors"
    with pytest.raises(InputError, match="Cannot read the supernet"):
        load(path, SPACE)
    save(Supernet(SPACE), path, data, TrainSettings())
    with pytest.raises(InputError, match="another space: its num_classes is 3, here it is 4"):
        load(path, replace(SPACE, num_classes=4))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="Cannot read the supernet"):
        load(path, SPACE)


def test_input_is_the_data_sets_normalization(data: Dataset) -> None:
    got = to_input(data.val.images, data)
    assert got.shape == (30, 3, 16, 16)
    np.testing.assert_allclose(got.numpy(), data.normalize(data.val.images), atol=1e-6)


def test_recalibration_matches_torchs_cumulative_average(data: Dataset) -> None:
    architecture = SPACE.largest()
    subnet = Supernet(SPACE, seed=1).subnet(architecture)
    images = data.calibration(256).resized(architecture.resolution).images
    recalibrate(subnet, images, data)
    reference = nn.BatchNorm2d(SPACE.stem_width, momentum=None)
    state = subnet.state_dict()
    with torch.no_grad():
        for batch in np.split(images, 2):
            values = to_input(batch, data)
            reference(nn.functional.conv2d(values, state["stem.conv.weight"], padding=1))
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(state[f"stem.bn.{name}"], getattr(reference, name))
    assert not subnet.training
    before = {name: value.clone() for name, value in state.items()}
    logits(subnet, images, data)
    assert all(torch.equal(value, before[name]) for name, value in subnet.state_dict().items())


def test_a_calibrated_subnet_is_independent_of_the_supernet(data: Dataset) -> None:
    supernet = Supernet(SPACE, seed=1)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    one = calibrated_subnet(supernet, SPACE.largest(), data).numpy_state()
    again = calibrated_subnet(supernet, SPACE.largest(), data).numpy_state()
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert {value.dtype for value in one.values()} == {np.dtype(np.float32)}


def test_accuracy_counts_right_answers_at_the_subnets_resolution(data: Dataset) -> None:
    subnet = calibrated_subnet(Supernet(SPACE, seed=1), SPACE.smallest(), data)
    answers = logits(subnet, data.test.resized(12).images, data).argmax(1)
    assert answers.shape == (33,)
    assert accuracy(subnet, data.test, data) == pytest.approx((answers == data.test.labels).mean())
    relabelled = Split(data.test.images, answers.astype(np.int64))
    assert accuracy(subnet, relabelled, data) == 1.0


def test_augmentation_only_shifts_and_mirrors() -> None:
    images = torch.from_numpy(noise(40, size=6).images)
    moved = augment(images, np.random.default_rng(0), shift=1, flip=True).numpy()
    seen = set()
    for before, after in zip(images.numpy(), moved, strict=True):
        padded = np.pad(before, ((1, 1), (1, 1), (0, 0)), mode="edge")
        candidates = {
            (row, column, mirror): padded[row : row + 6, column : column + 6][:, :: 1 - 2 * mirror]
            for row in range(3)
            for column in range(3)
            for mirror in (0, 1)
        }
        matches = [key for key, value in candidates.items() if np.array_equal(value, after)]
        assert len(matches) == 1
        seen.add(matches[0])
    assert {row for row, _, _ in seen} == {column for _, column, _ in seen} == {0, 1, 2}
    assert {mirror for _, _, mirror in seen} == {0, 1}


def test_without_flip_no_image_is_mirrored_and_without_shift_none_moves() -> None:
    images = torch.from_numpy(noise(40).images)
    assert torch.equal(augment(images, np.random.default_rng(0), shift=0, flip=False), images)


def test_only_colour_images_are_mirrored(data: Dataset) -> None:
    assert default_settings(data) == replace(
        TrainSettings(), epochs=default_settings(data).epochs, shift=2, flip=True
    )
    grey = assemble("grey", data.class_names, noise(90, 1), noise(30, 1), noise(30, 1), seed=0)
    as_rgb = [
        Split(np.repeat(s.images, 3, axis=3), s.labels) for s in (grey.train, grey.val, grey.test)
    ]
    for colourless in (grey, assemble("rgb", data.class_names, *as_rgb, seed=0)):
        settings = default_settings(colourless, epochs=5, seed=9)
        assert (settings.flip, settings.shift, settings.epochs, settings.seed) == (False, 1, 5, 9)


def test_what_is_not_chosen_is_left_to_the_default_of_the_data(data: Dataset) -> None:
    assert default_settings(data, epochs=None) == default_settings(data)


@pytest.mark.parametrize(
    ("n_images", "epochs"),
    [(20, 300), (240, 100), (999, 24), (1_080, 14), (10_000, 10), (50_000, 3), (10**6, 3)],
)
def test_few_images_are_seen_more_often(n_images: int, epochs: int) -> None:
    assert default_epochs(n_images) == epochs


def test_how_far_images_are_changed_can_be_chosen(data: Dataset) -> None:
    none, strong = default_settings(data, "none"), default_settings(data, "strong", batch_size=16)
    assert (none.shift, none.flip, none.mixup) == (0, False, 0.0)
    assert (strong.shift, strong.flip, strong.batch_size) == (2, True, 16)
    assert min(strong.colour, strong.cut_out, strong.mixup, strong.label_smoothing) > 0
    with pytest.raises(InputError, match="--batch-size must be 2 or more"):
        default_settings(data, batch_size=1)


def test_a_folder_whose_name_is_no_utf_8_holds_weights_too(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"d-\xff\xe9") / "supernet.safetensors"
    write_tensors(path, {"a": torch.ones(2)}, {"edgenas": "supernet", "format_version": 1})
    tensors, about = read_tensors(path, "supernet")
    assert tensors["a"].tolist() == [1.0, 1.0] and about["edgenas"] == "supernet"
    assert metadata(path) == about
