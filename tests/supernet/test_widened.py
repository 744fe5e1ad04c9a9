"""A network of the user's as the smallest of a space: wider ones, and splits, compute the same."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from edgenas.core.errors import InputError
from edgenas.core.records import Architecture, ImageInput
from edgenas.data.base import Dataset, Split
from edgenas.int8.importer.read import import_onnx
from edgenas.spaces.imported import HIDDEN_EIGHTHS, WIDER_EIGHTHS, ImportedSpace
from edgenas.spaces.resizing import hidden_widths, scaled, wider
from edgenas.supernet.growing import GainSettings, split_gains
from edgenas.supernet.imported.space import ImportedSupernet, supernet_of
from edgenas.supernet.imported.start import own_network, write
from edgenas.supernet.imported.widened import widened
from edgenas.supernet.network import Supernet
from edgenas.supernet.splitting import Split as ChannelSplit
from edgenas.supernet.splitting import grown
from helpers.own_networks import exported, pictures
from helpers.shrinkable import CLASSES, seeded

SIZE = 32
MEAN, STD = (0.5,) * 3, (0.25,) * 3
MADE = ImageInput("crop", SIZE, SIZE, "rgb", MEAN, STD, "nchw", "float32")


@cache
def onnx_of(name: str) -> bytes:
    return exported(seeded(name), (3, SIZE, SIZE))


def expected(name: str, images: np.ndarray) -> np.ndarray:
    (found,) = onnxruntime.InferenceSession(onnx_of(name)).run(None, {"image": images})
    return np.asarray(found)


@cache
def own(name: str) -> ImportedSupernet:
    return widened(supernet_of(import_onnx(onnx_of(name), "net.onnx").graph, "net.onnx", "1"))


def photographs(count: int) -> Dataset:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
    split = Split(pixels, np.arange(count) % CLASSES)
    names = tuple(f"class{n}" for n in range(CLASSES))
    return Dataset("noise", names, split, split, split, "1", MEAN, STD)


@pytest.mark.parametrize("name", ["mobilenet-v2", "resnet"])
def test_every_width_computes_what_the_file_does(name: str) -> None:
    images, space = pictures(4, SIZE), own(name).space
    supernet = Supernet(space)
    supernet.keep_statistics()
    supernet.load_state_dict({k: torch.from_numpy(v) for k, v in own(name).tensors.items()})
    rng = np.random.default_rng(0)
    want = expected(name, images)
    for network in (space.smallest(), space.largest(), space.sample(rng), space.sample(rng)):
        with torch.no_grad():
            found = supernet.subnet(network).eval()(torch.from_numpy(images)).numpy()
        np.testing.assert_allclose(found, want, atol=1e-5 * np.abs(want).max(), rtol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet-v2", "resnet"])
def test_a_split_of_the_network_keeps_what_it_computes(name: str, tmp_path: Path) -> None:
    images, space, data = pictures(4, SIZE), own(name).space, photographs(64)
    path = tmp_path / "imported.safetensors"
    write(path, own(name), MADE, ())
    subnet = own_network(path, space, data)
    settings = GainSettings(searched=2, measured=2, batch_size=32)
    gains = split_gains(subnet, data, settings)
    assert set(gains) == set(hidden_widths(space, space.smallest()))
    wide = space.largest()
    after = hidden_widths(space, wide)
    splits = {
        place: ChannelSplit(gain.best(after[place] - len(gain.drops)), gain.direction)
        for place, gain in gains.items()
    }
    assert all(len(one.channels) for one in splits.values())
    want = expected(name, images)
    for network in (subnet, grown(subnet, space.layers(wide), splits, 0.0)):
        with torch.no_grad():
            found = network(torch.from_numpy(images)).numpy()
        np.testing.assert_allclose(found, want, atol=1e-5 * np.abs(want).max(), rtol=1e-5)


def test_blocks_stay_and_get_up_to_twice_their_channels() -> None:
    space = own("mobilenet-v2").space
    assert space.widens and space.resolutions == (SIZE,)
    smallest = hidden_widths(space, space.smallest())
    assert list(smallest.values()) == [32, 48, 48, 64, 64]
    assert [len(stage.depths) for stage in space.stages] == [1] * len(space.stages)
    for place, width in hidden_widths(space, space.largest()).items():
        assert width == 2 * smallest[place]


def test_a_network_grows_by_the_widths_of_its_blocks() -> None:
    space = own("mobilenet-v2").space
    start = space.smallest()
    for stage, choices in enumerate(wider(space, start)):
        depth = start.stages[stage].depth
        assert len(choices) == len(WIDER_EIGHTHS) ** depth
        assert choices[0] == start.stages[stage]
        for choice in choices:
            assert choice.depth == depth
            assert min(map(int, choice.choices[HIDDEN_EIGHTHS])) >= 8
    factors, networks = zip(*scaled(space, start), strict=True)
    assert factors[-1] == 2 and networks[-1] == space.largest()


def test_what_has_no_block_to_split_is_refused() -> None:
    for name in ("mobilenet-v3", "resnet-bottleneck"):
        with pytest.raises(InputError, match=r"net.onnx cannot be grown: none of its blocks"):
            own(name)


def test_blocks_that_cannot_be_split_stay_as_they_are() -> None:
    found = own("resnet").space
    assert isinstance(found, ImportedSpace)
    widest: Architecture = found.largest()
    grows = hidden_widths(found, widest)
    assert list(grows.values()) == [16, 16, 32, 32]
