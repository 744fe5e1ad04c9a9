"""`foxnas-cpu`: the CPU space of FOX-NAS (Chu et al. 2021, arXiv 2108.08189, section 3).

Five stages; the first block of a stage is chosen by itself, the inner blocks share one kernel size
and one expand ratio: 432 choices a stage, 432^5 architectures at 192 px.
"""

from __future__ import annotations

from edgenas.spaces.base import MobileSpace, StageSpec

RESOLUTION = 192


def create(
    num_classes: int = 1000, in_channels: int = 3, image_size: int = RESOLUTION
) -> MobileSpace:
    """Return the published space; `image_size` is its only resolution (published: 192, 256)."""
    stages = ((24, 2, False), (40, 2, True), (80, 2, False), (112, 1, True), (160, 2, True))
    return MobileSpace(
        name="foxnas-cpu",
        stem_width=16,
        stem_stride=2,
        stages=tuple(
            StageSpec(width, stride, (2, 3, 4), (3, 5, 7), (2, 3, 4, 6), squeeze_excite, True)
            for width, stride, squeeze_excite in stages
        ),
        head_width=960,
        resolutions=(image_size,),
        num_classes=num_classes,
        in_channels=in_channels,
    )
