"""Mean and variance of a supernet's channels over the user's images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from edgenas.core.interfaces import Data
from edgenas.supernet.network import Supernet, convolution
from edgenas.supernet.recalibrate import input_batches


class Moments(NamedTuple):
    """Of each channel over images and pixels, float32 [c]."""

    mean: Tensor
    variance: Tensor


def moments(
    supernet: Supernet, names: Sequence[str], images: np.ndarray, data: Data
) -> dict[str, Moments]:
    """Return the moments before the norms of `names` in the largest network, statistics as stored.

    images : uint8 [n, h, w, c] at the greatest resolution.
    """
    sums: dict[str, list[Tensor]] = {name: [] for name in names}

    def add(name: str, values: Tensor) -> None:  # each batch has the same pixels, or one less image
        channels = values.double()
        sums[name].append(
            torch.stack((channels.mean((0, 2, 3)), channels.square().mean((0, 2, 3))))
        )

    hooks = [
        convolution(supernet, name).bn.register_forward_hook(
            lambda _, given, result, name=name: add(name, given[0])
        )
        for name in names
    ]
    supernet.eval()
    try:
        with torch.no_grad():
            for batch in input_batches(images, data):
                supernet(batch, supernet.space.largest())
    finally:
        for hook in hooks:
            hook.remove()
    found = {}
    for name, batches in sums.items():
        mean, square = torch.stack(batches).mean(0)
        found[name] = Moments(mean.float(), (square - mean.square()).clamp(min=0).float())
    return found
