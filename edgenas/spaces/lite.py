"""`lite`: EfficientNet-Lite0 and what can be made of it, for photographs and ImageNet's weights.

The table is that of the TensorFlow TPU repository's EfficientNet-Lite (Apache-2.0): ReLU6, no
squeeze-excite, padding as TensorFlow's SAME. Elastic are the depth of each stage, the expand ratio
of each block and the resolution. Kernels are not: 3 instead of 5 costs 5 points and saves 3 % of
the multiplications (measured).
"""

from __future__ import annotations

import math

from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.sizes import multiple_of_8

SMALLEST_IMAGE_SIZE, LARGEST_IMAGE_SIZE = 64, 320
RESOLUTION_STEP = 16
EXPAND_RATIOS = (2, 3, 4, 6)
STEM_WIDTH, HEAD_WIDTH = 32, 1280
# width, stride, blocks, kernel size
TABLE = (
    (16, 1, 1, 3),
    (24, 2, 2, 3),
    (40, 2, 2, 5),
    (80, 2, 3, 3),
    (112, 1, 3, 5),
    (192, 2, 4, 5),
    (320, 1, 1, 3),
)


def create(num_classes: int, in_channels: int, image_size: int) -> MobileSpace:
    """Return the space for images of `image_size` pixels, seen at 64 to 320 px."""
    return scaled("lite", 1.0, 1.0, num_classes, in_channels, image_size)


def scaled(  # noqa: PLR0917 - what it is called, its two factors, and as in create
    name: str,
    width_factor: float,
    depth_factor: float,
    num_classes: int,
    in_channels: int,
    image_size: int,
) -> MobileSpace:
    """Return the space of a larger EfficientNet-Lite.

    Stem, head and the depth of the first and the last stage are the same in all of them.
    """
    stages = []
    for index, (table_width, stride, blocks, kernel_size) in enumerate(TABLE):
        width, ends = multiple_of_8(table_width * width_factor), index in (0, len(TABLE) - 1)
        depth = blocks if ends else math.ceil(blocks * depth_factor)
        if index == 0:  # the one stage that does not expand
            stage = StageSpec(width, stride, (1,), (3,), (1,), hidden_width=STEM_WIDTH)
        else:
            depths = tuple(range(1, depth + 1))
            stage = StageSpec(width, stride, depths, (kernel_size,), EXPAND_RATIOS)
        stages.append(stage)
    return MobileSpace(
        name=name,
        stem_width=STEM_WIDTH,
        stem_stride=2,
        stages=tuple(stages),
        head_width=HEAD_WIDTH,
        resolutions=resolutions(image_size),
        num_classes=num_classes,
        in_channels=in_channels,
        padding="same",
    )


def resolutions(image_size: int) -> tuple[int, ...]:
    """Return three quarters of the size and the size, in multiples of 16 from 64 to 320 px."""
    rounded = (int(image_size * part / RESOLUTION_STEP + 0.5) for part in (0.75, 1.0))
    sizes = (RESOLUTION_STEP * number for number in rounded)
    return tuple(sorted({min(max(SMALLEST_IMAGE_SIZE, s), LARGEST_IMAGE_SIZE) for s in sizes}))
