"""Networks: what was chosen, and the layers that it means."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from edgenas.core.records.codec import canonical

Activation = Literal["none", "relu", "relu6"]
# What has no weights, besides sums and means; see `edgenas.int8.operators`.
OperatorKind = Literal[
    "mul",
    "max_pool",
    "average_pool",
    "concat",
    "channels",
    "resize",
    "depth_to_space",
    "sigmoid",
    "gelu",
]
LayerKind = Literal[
    "conv",
    "depthwise",
    "squeeze_excite",
    "add",
    "global_pool",
    "linear",
    OperatorKind,  # of imported networks alone
]


Option = int | str  # one of the options of a choice, such as kernel size 5
Others = tuple[tuple[str, tuple[Option, ...]], ...]
KERNEL_SIZE, EXPAND_RATIO = "kernel_size", "expand_ratio"
WEIGHT_BITS, ACTIVATION_BITS = "weight_bits", "activation_bits"  # one of each for a whole stage
HIDDEN_WIDTH = "hidden_width"  # channels inside a block, in place of an expand ratio
_SHORT = {KERNEL_SIZE: "k", EXPAND_RATIO: "e"}
_LETTERS = {**_SHORT, HIDDEN_WIDTH: "w"}
_BITS = {WEIGHT_BITS: "W", ACTIVATION_BITS: "A"}


@dataclass(frozen=True)
class StageChoice:
    """What was chosen for one stage: by choice, one option a block.

    kernel_sizes, expand_ratios : the two choices that most spaces have; () where a space has not.
    others : further choices by name, sorted.
    """

    kernel_sizes: tuple[int, ...] = ()
    expand_ratios: tuple[int, ...] = ()
    others: Others = ()

    @classmethod
    def of(cls, choices: Mapping[str, Sequence[Option]]) -> StageChoice:
        """Return the choice that has these options, by name of the choice."""
        others = (
            (name, tuple(options))
            for name, options in sorted(choices.items())
            if name not in _SHORT
        )
        kernels, expands = choices.get(KERNEL_SIZE, ()), choices.get(EXPAND_RATIO, ())
        return cls(tuple(map(int, kernels)), tuple(map(int, expands)), tuple(others))

    @classmethod
    def of_blocks(cls, blocks: Sequence[Mapping[str, Option]]) -> StageChoice:
        """Return the choice of these blocks, each with its option by name of the choice."""
        return cls.of({name: [block[name] for block in blocks] for name in blocks[0]})

    @property
    def choices(self) -> dict[str, tuple[Option, ...]]:
        """Every choice by name, those alike for all spaces first."""
        usual = ((KERNEL_SIZE, self.kernel_sizes), (EXPAND_RATIO, self.expand_ratios))
        return {name: options for name, options in (*usual, *self.others) if options}

    @property
    def blocks(self) -> tuple[dict[str, Option], ...]:
        """The option of every choice, by name, block by block."""
        choices = self.choices
        return tuple(
            dict(zip(choices, options, strict=True))
            for options in zip(*choices.values(), strict=True)
        )

    @property
    def depth(self) -> int:
        if self.kernel_sizes:
            return len(self.kernel_sizes)
        return max((len(options) for options in self.choices.values()), default=0)

    def __str__(self) -> str:
        return " ".join(_shown(block) for block in self.blocks)


class Network:
    """What names a network: an `Architecture` of a space, or a `TableRow`."""

    @staticmethod
    def kind_of(document: dict[str, Any]) -> type[Network]:
        """Return what a document's keys tell that it is."""
        return TableRow if "row" in document else Architecture


class Architecture(msgspec.Struct, Network, frozen=True, omit_defaults=True):
    """One network of a space; immutable and hashable.

    kernel_sizes, expand_ratios : one tuple a stage, one number a block.
    resolution : height and width of the input image in pixels.
    others : further choices by name, sorted; one tuple a stage, one option a block. In JSON it is
        there only where a space has others, so that the keys of all other networks are as of old.
    """

    space: str
    resolution: int
    kernel_sizes: tuple[tuple[int, ...], ...]
    expand_ratios: tuple[tuple[int, ...], ...]
    others: tuple[tuple[str, tuple[tuple[Option, ...], ...]], ...] = ()

    def __post_init__(self) -> None:
        if not self.others:  # the default itself: before Python 3.11 there are other empty tuples
            msgspec.structs.force_setattr(self, "others", ())
        stages = len(self.kernel_sizes)
        by_stage = (self.kernel_sizes, self.expand_ratios, *(of for _, of in self.others))
        if any(len(of) != stages for of in by_stage):
            raise ValueError("each stage needs its part of every choice")
        for options in zip(*by_stage, strict=True):
            if len({len(of_blocks) for of_blocks in options if of_blocks}) > 1:
                raise ValueError("each block needs one option of every choice")

    @classmethod
    def of(cls, space: str, resolution: int, stages: tuple[StageChoice, ...]) -> Architecture:
        names = sorted({name for stage in stages for name, _ in stage.others})
        return cls(
            space,
            resolution,
            tuple(stage.kernel_sizes for stage in stages),
            tuple(stage.expand_ratios for stage in stages),
            tuple(
                (name, tuple(dict(one.others).get(name, ()) for one in stages)) for name in names
            ),
        )

    def resized(self, resolution: int) -> Architecture:
        """Return the same choices for images of `resolution` pixels."""
        return msgspec.structs.replace(self, resolution=resolution)

    @property
    def depths(self) -> tuple[int, ...]:
        return tuple(stage.depth for stage in self.stages)

    @property
    def stages(self) -> tuple[StageChoice, ...]:
        if not self.others:
            return tuple(map(StageChoice, self.kernel_sizes, self.expand_ratios))
        return tuple(
            StageChoice(
                kernel_sizes,
                expand_ratios,
                tuple((name, of[stage]) for name, of in self.others if of[stage]),
            )
            for stage, (kernel_sizes, expand_ratios) in enumerate(
                zip(self.kernel_sizes, self.expand_ratios, strict=True)
            )
        )

    @property
    def key(self) -> str:
        """The canonical JSON text: the identity of this architecture in the store."""
        return canonical(self)

    @property
    def short_name(self) -> str:
        """A file-name-safe name: the first 12 hexadecimal digits of the key's SHA-256."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.resolution}px: {' | '.join(map(str, self.stages))}"


def _shown(block: Mapping[str, Option]) -> str:
    """Return a block as text, such as "k3e4", "k3w48" or "k3,gate=1"."""
    usual, bits = (
        "".join(f"{letters[name]}{block[name]}" for name in block if name in letters)
        for letters in (_LETTERS, {name: _BITS[name] for name in _BITS if name in block})
    )
    known = {*_LETTERS, *_BITS}
    others = (f"{name}={option}" for name, option in block.items() if name not in known)
    return ",".join(text for text in (usual, bits, *others) if text)


@dataclass(frozen=True)
class TableRow(Network):
    """One network of a measured table: its index, its first row (from 1), and what it chooses."""

    index: int
    row: int
    choices: dict[str, str] = field(hash=False)

    def __str__(self) -> str:
        chosen = ", ".join(f"{name}={value}" for name, value in self.choices.items())
        return f"row {self.row}: {chosen}"


if TYPE_CHECKING:
    from typing_extensions import TypeVar

    AnyNetwork = TypeVar("AnyNetwork", bound=Network, default=Architecture)
else:
    from typing import TypeVar

    AnyNetwork = TypeVar("AnyNetwork", bound=Network)


@dataclass(frozen=True)
class Layer:
    """One layer of a network: enough to build it, to lower it and to compute its work.

    Tensors are named by the layer that makes them; the image is called "input".
    `stage` is -1 for stem, head and classifier, else 0, 1, …; `block` counts within the stage.
    `conv` and `depthwise` have a batch norm and `activation`; a 1x1 `conv` is a pointwise one.
    `squeeze_excite` is x * relu6(excite(relu(squeeze(pool(x)))) + 3) / 6 with `squeeze_channels`.
    `padding` is the zeros above and on the left, None for half the kernel; how many are below and
    on the right follows from the sizes.
    `weight_bits`, `input_bits` and `output_bits` are those of a stored number: 8 in int8 networks.
    `groups` of channels a `conv` convolves each by itself. `numbers` are what else a layer without
    weights needs to know, in the order that its operator says.
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
    padding: int | None = None
    weight_bits: int = 8
    input_bits: int = 8
    output_bits: int = 8
    groups: int = 1
    numbers: tuple[int, ...] = ()

    @property
    def padded_before(self) -> int:
        """Zeros above and on the left of the image, pixels."""
        return self.kernel_size // 2 if self.padding is None else self.padding

    @property
    def padded_after(self) -> int:
        """Zeros below and on the right of the image, pixels."""
        return zeros_after(
            self.in_size, self.out_size, self.kernel_size, self.stride, self.padded_before
        )

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        if self.kind == "conv":
            per_pixel = self.in_channels // self.groups * self.out_channels * self.kernel_size**2
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
            return self.out_channels * (self.in_channels // self.groups * self.kernel_size**2 + 1)
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
    def bops(self) -> int:
        """Bit operations: multiply-accumulates x bits of weights x bits of inputs.

        The short form of the measure (QONNX's inference cost): at 8 bits 64 times the MACs.
        """
        return self.macs * self.weight_bits * self.input_bits

    @property
    def launches(self) -> int:
        """Kernels that an engine starts (squeeze-excite: pool, two convolutions, multiply)."""
        return 4 if self.kind == "squeeze_excite" else 1


def zeros_after(size: int, out_size: int, kernel_size: int, stride: int, before: int) -> int:
    """Return the zeros below and on the right of an image that a convolution needs.

    As many as before it where those give `out_size`, as engines know it best; else as many as it
    takes: TensorFlow's SAME has one more after an even image than before it.

    size, out_size : pixels a side.
    """
    if (size + 2 * before - kernel_size) // stride + 1 == out_size:
        return before
    return max((out_size - 1) * stride + kernel_size - size - before, 0)
