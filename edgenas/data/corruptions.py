"""Images as bad cameras, light and links make them: five cheap corruptions at two severities.

Their kinds are five of those of Hendrycks and Dietterich (2019, arXiv 1903.12261); how strong they
are is edgenas's own, and sizes are shares of the image's side, so that small images are not lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from edgenas.data.base import Split

MOST_IMAGES = 256  # of a split that are corrupted: each is looked at ten times
SEVERITIES = (1, 2)
_SEED = 9


def noise(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return the images with Gaussian noise of 8 or 16 % of the range."""
    return _pixels(images + rng.normal(0, 255 * 0.08 * severity, images.shape))


def blur(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return the images through a Gaussian of 3 or 6 % of the side, at the least half a pixel."""
    sigma = max(0.03 * images.shape[1], 0.5) * severity
    reach = math.ceil(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    blurred = images.astype(np.float64)
    for axis in (1, 2):
        edges = [(0, 0)] * 4
        edges[axis] = (reach, reach)
        padded = np.pad(blurred, edges, "edge")
        size = images.shape[axis]
        blurred = sum(
            weight * padded.take(range(at, at + size), axis) for at, weight in enumerate(weights)
        )
    return _pixels(blurred)


def brightness(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return the images brighter by 15 or 30 % of the range."""
    return _pixels(images + 255 * 0.15 * severity)


def contrast(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return the images with a half or a quarter of their contrast, about the mean of each."""
    mean = images.mean((1, 2, 3), keepdims=True)
    return _pixels(mean + (images - mean) * 0.5**severity)


def pixelate(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return the images as means of blocks, a side's three quarters, or half, of its pixels."""
    side = images.shape[1]
    blocks = max(1, round(side * (1 - 0.25 * severity)))
    block = np.arange(side) * blocks // side
    starts = np.searchsorted(block, np.arange(blocks))
    counts = np.bincount(block)
    sums = np.add.reduceat(images.astype(np.float64), starts, axis=1)
    sums = np.add.reduceat(sums, starts, axis=2)
    means = sums / (counts[:, None, None] * counts[:, None])
    return _pixels(means[:, block][:, :, block])


Corruption = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
CORRUPTIONS: tuple[Corruption, ...] = (noise, blur, brightness, contrast, pixelate)


def corrupted(split: Split) -> Iterator[Split]:
    """Yield the images, uint8 [n, side, side, channels], under every corruption and severity.

    Always the same for the same images: every network sees the same. Of more than `MOST_IMAGES`
    so many are taken, evenly.
    """
    if len(split) > MOST_IMAGES:
        split = split.take(np.linspace(0, len(split) - 1, MOST_IMAGES).round().astype(np.int64))
    images = np.asarray(split.images)
    for kind, corrupt in enumerate(CORRUPTIONS):
        for severity in SEVERITIES:
            rng = np.random.default_rng([_SEED, kind, severity])
            yield replace(split, images=corrupt(images, severity, rng))


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)
