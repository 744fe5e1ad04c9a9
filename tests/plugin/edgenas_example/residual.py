"""`residual`: bottleneck blocks of dense convolutions, with or without a gate.

A block is that of ResNet (He et al. 2016, arXiv 1512.03385): 1x1, k x k, 1x1, and a shortcut.
Chosen are the kernel size, how many eighths of the stage's width are inside, and the gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgenas.core.records import Layer, Option
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.blocks import Position, conv, strided

CHOICES = (("gate", ("without", "with")), ("inner_eighths", (2, 4, 8)))


class ResidualSpace(MobileSpace):
    """Stages of bottleneck blocks of dense convolutions."""

    def block_layers(
        self, spec: StageSpec, at: Position, options: Mapping[str, Option]
    ) -> list[Layer]:
        """Return a bottleneck block, with a gate before its last convolution if that is chosen."""
        prefix = f"stage{at.stage}_block{at.block}"
        inner = spec.width * int(options["inner_eighths"]) // 8
        stride = spec.stride if at.block == 0 else 1
        reduce = conv(f"{prefix}_reduce", at.previous, at.channels, inner, at.size)
        dense = conv(f"{prefix}_dense", reduce.name, inner, inner, at.size)
        dense = replace(dense, kernel_size=int(options["kernel_size"]), activation="relu6")
        layers = [replace(reduce, activation="relu6"), strided(dense, stride)]
        size = layers[-1].out_size
        if options["gate"] == "with":
            gate = conv(f"{prefix}_gate", layers[-1].name, inner, inner, size)
            squeezed = max(4, inner // 4)
            layers.append(replace(gate, kind="squeeze_excite", squeeze_channels=squeezed))
        layers.append(conv(f"{prefix}_project", layers[-1].name, inner, spec.width, size))
        if stride == 1 and at.channels == spec.width:
            add = conv(f"{prefix}_add", layers[-1].name, spec.width, spec.width, size)
            layers.append(replace(add, kind="add", inputs=(layers[-1].name, at.previous)))
        return [replace(layer, stage=at.stage, block=at.block) for layer in layers]


def create(num_classes: int, in_channels: int, image_size: int) -> ResidualSpace:
    """Return the space for images of `image_size` pixels; larger ones are seen at 64 px."""
    size = min(image_size, 64) // 4 * 4
    return ResidualSpace(
        name="residual",
        stem_width=16,
        stem_stride=1 if size <= 16 else 2,
        stages=tuple(StageSpec(width, 2, (1, 2), (3, 5), (), others=CHOICES) for width in (16, 32)),
        head_width=64,
        resolutions=(size * 3 // 4, size),
        num_classes=num_classes,
        in_channels=in_channels,
    )
