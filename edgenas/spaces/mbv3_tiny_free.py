"""`mbv3-tiny-free`: as `mbv3-tiny`, but channels inside blocks are chosen freely, by eights.

An expand ratio leaves large steps between the networks of a stage, and channels that do not fill
the vectors of depthwise kernels. Widths in multiples of 8 do neither.
"""

from __future__ import annotations

from dataclasses import replace

from edgenas.core.records.networks import HIDDEN_WIDTH
from edgenas.spaces import mbv3_tiny
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.sizes import spread_of_eights

MOST_WIDTHS = 8  # a block: the choices of a stage are all listed by the exact search


def create(num_classes: int, in_channels: int, image_size: int) -> MobileSpace:
    """Return the space for images of `image_size` pixels; larger images are seen at 64 px."""
    space = mbv3_tiny.create(num_classes, in_channels, image_size)
    before = (space.stem_width, *(spec.width for spec in space.stages))
    stages = tuple(map(_freed, space.stages, before))
    return replace(space, name="mbv3-tiny-free", stages=stages)


def _freed(spec: StageSpec, in_channels: int) -> StageSpec:
    """Return a stage with widths from the least ratio of its first block to the most of others."""
    ends = spec.expand_ratios[0] * in_channels, spec.expand_ratios[-1] * spec.width
    widths = spread_of_eights(*ends, MOST_WIDTHS)
    return replace(spec, expand_ratios=(), others=((HIDDEN_WIDTH, widths),))
