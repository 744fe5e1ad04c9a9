"""Networks: what was chosen, and the layers that it means."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from edgenas.records.codec import canonical

Activation = Literal["none", "relu", "relu6"]
LayerKind = Literal["conv", "depthwise", "squeeze_excite", "add", "global_pool", "linear"]


@dataclass(frozen=True)
class StageChoice:
    """What was chosen for one stage: kernel size and expand ratio of each of its blocks."""

    kernel_sizes: tuple[int, ...]
    expand_ratios: tuple[int, ...]

    @property
    def depth(self) -> int:
        return len(self.kernel_sizes)


@dataclass(frozen=True)
class Architecture:
    """One network of a space; immutable and hashable.

    kernel_sizes, expand_ratios : one tuple a stage, one number a block.
    resolution : height and width of the input image in pixels.
    """

    space: str
    resolution: int
    kernel_sizes: tuple[tuple[int, ...], ...]
    expand_ratios: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if self.depths != tuple(len(stage) for stage in self.expand_ratios):
            raise ValueError("each block needs one kernel size and one expand ratio")

    @classmethod
    def of(cls, space: str, resolution: int, stages: tuple[StageChoice, ...]) -> Architecture:
        kernel_sizes = tuple(stage.kernel_sizes for stage in stages)
        return cls(space, resolution, kernel_sizes, tuple(s.expand_ratios for s in stages))

    @property
    def depths(self) -> tuple[int, ...]:
        return tuple(len(stage) for stage in self.kernel_sizes)

    @property
    def stages(self) -> tuple[StageChoice, ...]:
        return tuple(map(StageChoice, self.kernel_sizes, self.expand_ratios))

    @property
    def key(self) -> str:
        """The canonical JSON text: the identity of this architecture in the store."""
        return canonical(self)

    @property
    def short_name(self) -> str:
        """A file-name-safe name: the first 12 hexadecimal digits of the key's SHA-256."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        blocks = " | ".join(
            " ".join(f"k{k}e{e}" for k, e in zip(*stage, strict=True))
            for stage in zip(self.kernel_sizes, self.expand_ratios, strict=True)
        )
        return f"{self.resolution}px: {blocks}"


@dataclass(frozen=True)
class Layer:
    """One layer of a network: enough to build it, to lower it and to compute its work.

    Tensors are named by the layer that makes them; the image is called "input".
    `stage` is -1 for stem, head and classifier, else 0, 1, …; `block` counts within the stage.
    `conv` and `depthwise` have a batch norm and `activation`; a 1x1 `conv` is a pointwise one.
    `squeeze_excite` is x * relu6(excite(relu(squeeze(pool(x)))) + 3) / 6 with `squeeze_channels`.
    """

    name: str
    kind: LayerKind
    inputs: tuple[str, ...]
    in_channels: int
    out_channels: int
    in_size: int  # height = width of the input, pixels
    out_size: int  # height = width of the output, pixels
    kernel_size: int = 1
    stride: int = 1
    activation: Activation = "none"
    squeeze_channels: int = 0
    stage: int = -1
    block: int = -1

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        if self.kind == "conv":
            per_pixel = self.in_channels * self.out_channels * self.kernel_size**2
        elif self.kind == "depthwise":
            per_pixel = self.out_channels * self.kernel_size**2
        elif self.kind == "linear":
            return self.in_channels * self.out_channels
        elif self.kind == "squeeze_excite":
            return 2 * self.in_channels * self.squeeze_channels
        else:
            return 0
        return per_pixel * self.out_size**2

    @property
    def params(self) -> int:
        """Weights and biases once batch norm is folded."""
        if self.kind == "conv":
            return self.out_channels * (self.in_channels * self.kernel_size**2 + 1)
        if self.kind == "depthwise":
            return self.out_channels * (self.kernel_size**2 + 1)
        if self.kind == "linear":
            return self.out_channels * (self.in_channels + 1)
        if self.kind == "squeeze_excite":
            channels, squeezed = self.in_channels, self.squeeze_channels
            return 2 * channels * squeezed + channels + squeezed
        return 0

    @property
    def moved_bytes(self) -> int:
        """Bytes read and written at int8: inputs, output and weights, each once."""
        inputs = len(self.inputs) * self.in_channels * self.in_size**2
        return inputs + self.out_channels * self.out_size**2 + self.params

    @property
    def launches(self) -> int:
        """Kernels that an engine starts (squeeze-excite: pool, two convolutions, multiply)."""
        return 4 if self.kind == "squeeze_excite" else 1
