"""`mbv3-tiny`: a small space for images up to 64 px; its supernet trains in a minute on digits.

Widths, strides and the pitfalls behind them were measured; see docs/decisions.
"""

from __future__ import annotations

from edgenas.spaces.base import MobileSpace, StageSpec

LARGEST_IMAGE_SIZE = 64


def create(num_classes: int, in_channels: int, image_size: int) -> MobileSpace:
    """Return the space for images of `image_size` pixels; larger images are seen at 64 px.

    From 17 px on the stem halves the image: at 32 px that trains 4 times as fast on a CPU
    (measured). Above 32 px the first stage halves it once more.
    """
    size = min(image_size, LARGEST_IMAGE_SIZE)
    small = size <= 16
    widths = (8, 12, 16) if small else (16, 24, 40)
    strides = (1, 2, 2) if size <= 32 else (2, 2, 2)
    return MobileSpace(
        name="mbv3-tiny",
        stem_width=8 if small else 16,
        stem_stride=1 if small else 2,
        stages=tuple(
            StageSpec(width, stride, (1, 2, 3), (3, 5), (1, 2, 3, 4, 6))
            for width, stride in zip(widths, strides, strict=True)
        ),
        head_width=32 if small else 128,
        resolutions=tuple(sorted({_even(size * part) for part in (0.75, 0.875, 1.0)})),
        num_classes=num_classes,
        in_channels=in_channels,
    )


def _even(pixels: float) -> int:
    return max(8, int(pixels / 2 + 0.5) * 2)
