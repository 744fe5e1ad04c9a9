"""Synthetic calibration images: noise, changed until subnets see in it what they see in images.

For subnets of the space the mean and spread of every channel before each batch norm, and of the
classifier's inputs and answers, are brought to those of real training images (Cai et al. 2020,
ZeroQ, arXiv 2001.00281; Yin et al. 2020, DeepInversion, arXiv 1912.08795). No image is copied: only
these statistics reach the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgenas.core.interfaces import Data
from edgenas.core.progress import Progress
from edgenas.core.records import Architecture
from edgenas.supernet.batch_norm import BatchNorm
from edgenas.supernet.blocks import Linear, Subnet
from edgenas.supernet.network import Supernet
from edgenas.supernet.recalibrate import CALIBRATION_IMAGES, calibrated_subnet, input_batches

VARIANCE_FLOOR = 1e-5
LEAST_PIXELS = 16  # that a layer counts with; the classifier has one


@dataclass(frozen=True)
class Synthesis:
    """How the images are made.

    subnets : whose statistics are matched: the largest, the smallest and random ones.
    steps : of Adam, each of one subnet and `batch_size` of the images, by a cosine from
        `learning_rate` (of pixels as fractions of 255) to zero.
    """

    images: int = CALIBRATION_IMAGES
    subnets: int = 24
    steps: int = 450
    batch_size: int = 128
    learning_rate: float = 0.04
    seed: int = 0


def synthesize(supernet: Supernet, data: Data, recipe: Synthesis, progress: Progress) -> np.ndarray:
    """Return synthetic images, uint8 [n, size, size, channels], of the size of those of `data`."""
    rng = np.random.default_rng(recipe.seed)
    mean, std = (torch.tensor(part).view(1, -1, 1, 1) for part in (data.mean, data.std))
    pixels = (mean + std * _noise(data, recipe)).clamp_(0, 1).requires_grad_()
    optimizer = torch.optim.Adam([pixels], lr=recipe.learning_rate, betas=(0.9, 0.99))
    with progress.task("Making synthetic images", recipe.subnets + recipe.steps) as task:
        matched = []
        for architecture in _architectures(supernet, recipe, rng):
            matched.append(MatchedSubnet(calibrated_subnet(supernet, architecture, data), data))
            task.advance()
        turns, parts = _shuffled(len(matched), 1, rng), _shuffled(*_sizes(recipe), rng)
        for step in range(recipe.steps):
            subnet, chosen = matched[int(next(turns)[0])], torch.from_numpy(next(parts))
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * _cosine(step / recipe.steps)
            distance = subnet.distance((_resized(pixels[chosen], subnet.resolution) - mean) / std)
            optimizer.zero_grad(set_to_none=True)
            distance.backward()
            optimizer.step()
            with torch.no_grad():
                pixels.clamp_(0, 1)
            task.advance()
            task.note(f"distance {float(distance.detach()):.3f}")
    stored = (pixels.detach() * 255).round().to(torch.uint8)
    return np.ascontiguousarray(stored.permute(0, 2, 3, 1).numpy())


class MatchedSubnet:
    """A subnet with the statistics of its channels on real images, by which it is calibrated."""

    def __init__(self, subnet: Subnet, data: Data) -> None:
        self.subnet, self.resolution = subnet.requires_grad_(False), subnet.resolution
        self.seen: dict[str, tuple[Tensor, Tensor, int]] = {}  # variance, mean, pixels
        self.real: dict[str, tuple[Tensor, Tensor]] = {}
        for name, module in subnet.named_modules():
            if isinstance(module, BatchNorm):
                self.real[name] = module.running_var.clone(), module.running_mean.clone()
                module.register_forward_pre_hook(self._watch(name))
            elif isinstance(module, Linear):
                module.register_forward_pre_hook(self._watch(f"{name}.inputs"))
                module.register_forward_hook(self._watch_answers(name))
        self._see_answers(data)

    def distance(self, images: Tensor) -> Tensor:
        """Return how far the statistics on normalised images [n, c, h, w] are from the real ones.

        Of each channel, the square of the means' difference in units of the real spread, and that
        of the spreads' relative difference. Layers count by the square root of their pixels: more
        pixels leave less to chance, in real images too.
        """
        self.subnet(images.contiguous(memory_format=torch.channels_last))
        total = images.new_zeros(())
        for name, (real_variance, real_mean) in self.real.items():
            variance, mean, pixels = self.seen[name]
            spread = (real_variance + VARIANCE_FLOOR).sqrt()
            of_spread = (variance + VARIANCE_FLOOR).sqrt() / spread - 1
            off = (((mean - real_mean) / spread) ** 2 + of_spread**2).mean()
            total = total + off * math.sqrt(max(pixels, LEAST_PIXELS))
        return total

    def _see_answers(self, data: Data) -> None:
        """Note what the classifier reads and answers on the images that calibrate."""
        images = data.calibration(CALIBRATION_IMAGES).resized(self.resolution).images
        with torch.no_grad():
            self.subnet(torch.cat(list(input_batches(images, data))))
        self.real |= {name: seen[:2] for name, seen in self.seen.items() if name not in self.real}

    def _watch(self, name: str) -> Any:
        def watch(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._note(name, inputs[0])

        return watch

    def _watch_answers(self, name: str) -> Any:
        def watch(_: nn.Module, __: Any, answers: Tensor) -> None:
            self._note(f"{name}.answers", answers)

        return watch

    def _note(self, name: str, values: Tensor) -> None:
        axes = [axis for axis in range(values.ndim) if axis != 1]
        pixels = values[0, 0].numel()
        self.seen[name] = *torch.var_mean(values, axes, correction=0), pixels


def _architectures(
    supernet: Supernet, recipe: Synthesis, rng: np.random.Generator
) -> Iterator[Architecture]:
    space = supernet.space
    yield space.largest()
    yield space.smallest()
    for _ in range(recipe.subnets - 2):
        yield space.sample(rng)


def _noise(data: Data, recipe: Synthesis) -> Tensor:
    """Return noise of variance 1 [n, c, size, size], as strong at each scale, as images are."""
    generator = torch.Generator().manual_seed(recipe.seed)
    size, channels = data.train.images.shape[2:]
    total = torch.zeros(recipe.images, channels, size, size)
    for cells in (*(2**doublings for doublings in range((size - 1).bit_length())), size):
        noise = torch.randn(recipe.images, channels, cells, cells, generator=generator)
        total += F.interpolate(noise, (size, size), mode="bilinear", align_corners=False)
    return total / total.std()


def _resized(pixels: Tensor, size: int) -> Tensor:
    """Return the images at `size` pixels, as `data.base.resize` makes them but for rounding."""
    if pixels.shape[2] == size:
        return pixels
    how = {"mode": "bilinear", "antialias": True, "align_corners": False}
    return F.interpolate(pixels, (size, size), **how)  # type: ignore[arg-type]


def _shuffled(count: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield `size` different numbers below `count` at a time; all come up before any again."""
    while True:
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]


def _sizes(recipe: Synthesis) -> tuple[int, int]:
    return recipe.images, min(recipe.batch_size, recipe.images)


def _cosine(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))
