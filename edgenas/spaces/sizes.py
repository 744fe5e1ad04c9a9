"""How a space of MobileNet stages fits the images: small ones must not be shrunk to a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SMALL_IMAGE_SIZE = 64
SMALLEST_IMAGE_SIZE = 40
LARGEST_IMAGE_SIZE = 320


@dataclass(frozen=True)
class Scaling:
    """Strides of stem and stages, and the resolutions in pixels, in rising order."""

    stem_stride: int
    strides: tuple[int, ...]
    resolutions: tuple[int, ...]


def scaling(image_size: int, strides: Sequence[int]) -> Scaling:
    """Return the scaling for images of `image_size` pixels, made for stages of `strides`.

    Above 64 px the network is as published, at 5/7, 6/7 and all of the size in multiples of 16
    (128 to 320 px; larger images are seen at 320 px). Up to 64 px the first stage that halves the
    image keeps its size, up to 40 px the stem does too: 32 px end as 4 x 4, as 128 px do.
    """
    if image_size > SMALL_IMAGE_SIZE:
        size = min(image_size, LARGEST_IMAGE_SIZE)
        parts = (size * 5 / 7, size * 6 / 7, size)
        return Scaling(2, tuple(strides), _multiples(parts, 16))
    parts = (image_size * 0.75, image_size * 0.875, image_size)
    kept = list(strides)
    kept[kept.index(2)] = 1
    stem_stride = 1 if image_size <= SMALLEST_IMAGE_SIZE else 2
    return Scaling(stem_stride, tuple(kept), _multiples(parts, 4))


def _multiples(sizes: tuple[float, ...], of: int) -> tuple[int, ...]:
    return tuple(sorted({max(of, int(size / of + 0.5) * of) for size in sizes}))


def multiple_of_8(channels: float) -> int:
    """Round as MobileNet's authors do: to the nearest multiple of 8, never down by over 10 %."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def spread_of_eights(least: int, most: int, n: int) -> tuple[int, ...]:
    """Return up to n multiples of 8 from `least` to `most`, in about equal ratios."""
    steps = (least * (most / least) ** (at / (n - 1)) for at in range(n))
    return tuple(sorted({max(8, int(step / 8 + 0.5) * 8) for step in steps}))
