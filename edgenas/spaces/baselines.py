"""Hand-made networks to compare with: MobileNetV2 and V3 as spaces of one architecture.

So they are trained, quantized, exported and measured by the same code as what a search finds.
Tables from Sandler et al. 2018 (arXiv 1801.04381, table 2) and Howard et al. 2019 (arXiv
1905.02244, tables 1 and 2). Changed: h-swish is ReLU6 and the V3 classifier has no hidden layer,
because the int8 path has neither; strides for small images are as in `sizes.py`.
"""

from __future__ import annotations

from edgenas.core.errors import InputError, nearest
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.sizes import multiple_of_8, scaling

# expand ratio, width, blocks, stride of the first
_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
V2_WIDTHS = (0.35, 0.5, 0.75, 1.0)
# kernel size, hidden channels, width, squeeze-excite, stride
_V3_LARGE = (
    (3, 16, 16, False, 1),
    (3, 64, 24, False, 2),
    (3, 72, 24, False, 1),
    (5, 72, 40, True, 2),
    (5, 120, 40, True, 1),
    (5, 120, 40, True, 1),
    (3, 240, 80, False, 2),
    (3, 200, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 480, 112, True, 1),
    (3, 672, 112, True, 1),
    (5, 672, 160, True, 2),
    (5, 960, 160, True, 1),
    (5, 960, 160, True, 1),
)
_V3_SMALL = (
    (3, 16, 16, True, 2),
    (3, 72, 24, False, 2),
    (3, 88, 24, False, 1),
    (5, 96, 40, True, 2),
    (5, 240, 40, True, 1),
    (5, 240, 40, True, 1),
    (5, 120, 48, True, 1),
    (5, 144, 48, True, 1),
    (5, 288, 96, True, 2),
    (5, 576, 96, True, 1),
    (5, 576, 96, True, 1),
)
_V3 = {"mobilenetv3-large": (_V3_LARGE, 960), "mobilenetv3-small": (_V3_SMALL, 576)}


def names() -> list[str]:
    """Return the names of the baselines."""
    return [*(f"mobilenetv2-{width:g}" for width in V2_WIDTHS), *_V3]


def baseline(name: str, num_classes: int, in_channels: int, image_size: int) -> MobileSpace:
    """Return the baseline called `name` at one resolution, the greatest that `sizes.py` gives.

    Raises
    ------
    InputError : there is no such baseline.
    """
    if name not in names():
        raise InputError(f"There is no baseline '{name}'.", nearest(name, names()))
    family, _, width = name.rpartition("-")
    blocks = _v3_blocks(name) if family == "mobilenetv3" else _v2_blocks(float(width))
    fitted = scaling(image_size, [block.stride for block in blocks])
    head = _V3[name][1] if name in _V3 else 1280
    return MobileSpace(
        name=name,
        stem_width=16 if name in _V3 else multiple_of_8(32 * float(width)),
        stem_stride=fitted.stem_stride,
        stages=tuple(
            StageSpec(
                block.width,
                stride,
                (1,),
                block.kernel_sizes,
                (1,),
                block.squeeze_excite,
                hidden_width=block.hidden_width,
            )
            for block, stride in zip(blocks, fitted.strides, strict=True)
        ),
        head_width=head,
        resolutions=fitted.resolutions[-1:],
        num_classes=num_classes,
        in_channels=in_channels,
    )


def _v2_blocks(multiplier: float) -> list[StageSpec]:
    blocks = []
    channels = multiple_of_8(32 * multiplier)
    for expand_ratio, published, count, first_stride in _V2:
        width = multiple_of_8(published * multiplier)
        for index in range(count):
            stride = first_stride if index == 0 else 1
            hidden = channels * expand_ratio
            blocks.append(StageSpec(width, stride, (1,), (3,), (1,), hidden_width=hidden))
            channels = width
    return blocks


def _v3_blocks(name: str) -> list[StageSpec]:
    return [
        StageSpec(width, stride, (1,), (kernel_size,), (1,), squeeze_excite, hidden_width=hidden)
        for kernel_size, hidden, width, squeeze_excite, stride in _V3[name][0]
    ]
