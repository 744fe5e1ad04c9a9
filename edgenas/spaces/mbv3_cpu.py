"""`mbv3-cpu`: the CPU space of FOX-NAS (Chu et al. 2021, arXiv 2108.08189) for images of any size.

Squeeze-excite in three stages, its gate a hard sigmoid; depthwise kernels up to 7. As published,
the first block of a stage is chosen by itself and the others alike: 432 choices a stage. Unlike
`foxnas-cpu`, which is the published space as it is, it has three resolutions.
"""

from __future__ import annotations

from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.sizes import scaling

STAGES = ((24, False), (40, True), (80, False), (112, True), (160, True))


def create(num_classes: int, in_channels: int, image_size: int) -> MobileSpace:
    """Return the space for images of `image_size` pixels: up to 64 px, or 65 to 320."""
    fitted = scaling(image_size, (2, 2, 2, 1, 2))
    return MobileSpace(
        name="mbv3-cpu",
        stem_width=16,
        stem_stride=fitted.stem_stride,
        stages=tuple(
            StageSpec(width, stride, (2, 3, 4), (3, 5, 7), (2, 3, 4, 6), squeeze_excite, True)
            for (width, squeeze_excite), stride in zip(STAGES, fitted.strides, strict=True)
        ),
        head_width=960,
        resolutions=fitted.resolutions,
        num_classes=num_classes,
        in_channels=in_channels,
    )
