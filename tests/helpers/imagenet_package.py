"""A package of ImageNet's weights that has random ones, of the same names and shapes."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from edgenas.spaces import lite
from edgenas.spaces.base import MobileSpace
from edgenas.supernet.imagenet import weights


def random_weights(space: MobileSpace, seed: int = 0) -> dict[str, Tensor]:
    """Return tensors named as efficientnet-lite-pytorch names them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        fan_in = int(np.prod(shape[1:]))
        return torch.randn(*shape, generator=generator) * (2 / fan_in) ** 0.5

    def uniform(least: float, greatest: float, channels: int) -> Tensor:
        return torch.rand(channels, generator=generator) * (greatest - least) + least

    state: dict[str, Tensor] = {}
    layers = {layer.name: layer for layer in space.layers(space.largest())}
    for conv, norm, name in weights._names(tuple(layers.values())):
        layer = layers[name]
        depth = 1 if layer.kind == "depthwise" else layer.in_channels
        channels = layer.out_channels
        state[f"{conv}.weight"] = normal(channels, depth, layer.kernel_size, layer.kernel_size)
        state[f"{norm}.weight"] = uniform(0.8, 1.2, channels)
        state[f"{norm}.bias"] = uniform(-0.1, 0.3, channels)
        state[f"{norm}.running_mean"] = uniform(-0.1, 0.1, channels)
        state[f"{norm}.running_var"] = uniform(0.3, 1.2, channels)
        state[f"{norm}.num_batches_tracked"] = torch.tensor(1)
    state["_fc.weight"] = normal(weights.CLASSES, lite.HEAD_WIDTH)
    state["_fc.bias"] = torch.zeros(weights.CLASSES)
    return state


@contextmanager
def package_of(
    state: dict[str, Tensor], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Install a package with these weights below `folder`; yield its file."""
    source = dataclasses.replace(
        weights.SOURCES["imagenet"], distribution="some-lite0-weights", file="lite0.pth"
    )
    path = folder / "site" / source.package / "models" / source.file
    path.parent.mkdir(parents=True)
    (path.parents[1] / "__init__.py").write_text("raise AssertionError('no code of it is run')")
    torch.save(state, path)
    source = dataclasses.replace(source, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(weights.SOURCES, "imagenet", source)
    monkeypatch.syspath_prepend(str(folder / "site"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    yield path
    sys.modules.pop(source.package, None)
