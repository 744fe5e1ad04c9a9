"""The layers of one block: an inverted bottleneck, or a fused one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from edgenas.core.records import Layer
from edgenas.spaces.stages import StageSpec


@dataclass(frozen=True)
class Position:
    """Where a block stands: its stage, its number, and the tensor that it reads."""

    stage: int
    block: int
    previous: str
    channels: int
    size: int  # height = width of that tensor, pixels


@lru_cache(maxsize=4096)  # a search asks for the same blocks of thousands of networks
def bottleneck(spec: StageSpec, at: Position, kernel_size: int, hidden: int) -> tuple[Layer, ...]:
    """Return an inverted bottleneck (MobileNetV2, Sandler 2018; SE as in MobileNetV3, Howard 2019).

    hidden : channels inside it.
    Fused as in EfficientNet-EdgeTPU (Gupta and Akin 2020, arXiv 2003.02838).
    """
    prefix = f"stage{at.stage}_block{at.block}"
    stride = spec.stride if at.block == 0 else 1
    layers = _widening(spec, at, hidden, kernel_size, stride)
    size = layers[-1].out_size
    if spec.squeeze_excite:
        gate = conv(f"{prefix}_gate", layers[-1].name, hidden, hidden, size)
        squeezed = max(8, hidden // 4 // 8 * 8)
        layers.append(replace(gate, kind="squeeze_excite", squeeze_channels=squeezed))
    layers.append(conv(f"{prefix}_project", layers[-1].name, hidden, spec.width, size))
    if stride == 1 and at.channels == spec.width:
        add = conv(f"{prefix}_add", layers[-1].name, spec.width, spec.width, size)
        layers.append(replace(add, kind="add", inputs=(layers[-1].name, at.previous)))
    return tuple(replace(layer, stage=at.stage, block=at.block) for layer in layers)


def _widening(
    spec: StageSpec, at: Position, hidden: int, kernel_size: int, stride: int
) -> list[Layer]:
    """Return what comes before a block's gate and projection."""
    prefix = f"stage{at.stage}_block{at.block}"
    if spec.fused:
        fused = conv(f"{prefix}_fused", at.previous, at.channels, hidden, at.size)
        fused = replace(fused, kernel_size=kernel_size, activation="relu6")
        return [strided(fused, stride)]
    layers = []
    if hidden != spec.hidden_width or hidden != at.channels:
        expand = conv(f"{prefix}_expand", at.previous, at.channels, hidden, at.size)
        layers.append(replace(expand, activation="relu6"))
    before = layers[-1].name if layers else at.previous
    depthwise = replace(
        conv(f"{prefix}_depthwise", before, hidden, hidden, at.size),
        kind="depthwise",
        kernel_size=kernel_size,
        activation="relu6",
    )
    return [*layers, strided(depthwise, stride)]


def conv(name: str, previous: str, in_channels: int, out_channels: int, size: int) -> Layer:
    """Return a 1x1 convolution that keeps the size; size : height = width, pixels."""
    return Layer(name, "conv", (previous,), in_channels, out_channels, size, size)


def strided(layer: Layer, stride: int) -> Layer:
    """Return the layer with a stride, and the size that it then gives."""
    return replace(layer, stride=stride, out_size=after_stride(layer.in_size, stride))


def after_stride(size: int, stride: int) -> int:
    """Return the pixels a side after a padded convolution of that stride."""
    return (size - 1) // stride + 1
