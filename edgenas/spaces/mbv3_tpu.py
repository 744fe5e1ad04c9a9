"""`mbv3-tpu`: for accelerators that like dense convolutions: fused blocks early, no squeeze-excite.

The stages are those of `mbv3-cpu`. In the first two, where channels are few and images large, one
dense convolution replaces the expanding and the depthwise one: more work, but of the kind that
matrix units do at full speed (Gupta and Akin 2020, arXiv 2003.02838).
"""

from __future__ import annotations

from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.sizes import scaling

WIDTHS = (24, 40, 80, 112, 160)
FUSED_STAGES = 2


def create(num_classes: int, in_channels: int, image_size: int) -> MobileSpace:
    """Return the space for images of `image_size` pixels: up to 64 px, or 65 to 320."""
    fitted = scaling(image_size, (2, 2, 2, 1, 2))
    return MobileSpace(
        name="mbv3-tpu",
        stem_width=16,
        stem_stride=fitted.stem_stride,
        stages=tuple(
            _stage(index, width, stride)
            for index, (width, stride) in enumerate(zip(WIDTHS, fitted.strides, strict=True))
        ),
        head_width=960,
        resolutions=fitted.resolutions,
        num_classes=num_classes,
        in_channels=in_channels,
    )


def _stage(index: int, width: int, stride: int) -> StageSpec:
    fused = index < FUSED_STAGES
    kernel_sizes = (3, 5) if fused else (3, 5, 7)
    expand_ratios = (2, 3, 4, 6)
    return StageSpec(
        width, stride, (2, 3, 4), kernel_sizes, expand_ratios, uniform_inner=True, fused=fused
    )
