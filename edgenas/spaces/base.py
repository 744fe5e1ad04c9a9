"""Search spaces: which networks can be chosen, and the layers of each.

A member is a file with `create(num_classes, in_channels, image_size) -> MobileSpace`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from edgenas.errors import InputError
from edgenas.records import Architecture, Layer, StageChoice


@dataclass(frozen=True)
class StageSpec:
    """What can be chosen in one stage; every tuple is in rising order.

    uniform_inner : all blocks after the first share one kernel size and one expand ratio (FOX-NAS).
    fused : one dense convolution does the work of the expanding and the depthwise one.
    hidden_width : channels inside the blocks where no expand ratio gives them (published networks);
        equal to the channels that go in, there is no expanding convolution.
    """

    width: int
    stride: int
    depths: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    expand_ratios: tuple[int, ...]
    squeeze_excite: bool = False
    uniform_inner: bool = False
    fused: bool = False
    hidden_width: int | None = None

    def size(self) -> int:
        """Return how many distinct choices the stage has."""
        block = len(self.kernel_sizes) * len(self.expand_ratios)
        if self.uniform_inner:
            return sum(block if depth == 1 else block**2 for depth in self.depths)
        return sum(block**depth for depth in self.depths)


@dataclass(frozen=True)
class MobileSpace:
    """Stages of inverted bottlenecks (MobileNetV2/V3 blocks), elastic in four ways.

    Depth, kernel size and expand ratio are chosen by stage and block, the resolution for the whole
    network. Activations are ReLU6 and the squeeze-excite gate is a hard sigmoid, because these have
    int8 kernels in every engine.
    """

    name: str
    stem_width: int
    stem_stride: int
    stages: tuple[StageSpec, ...]
    head_width: int
    resolutions: tuple[int, ...]
    num_classes: int
    in_channels: int

    @cached_property
    def size(self) -> int:
        """How many architectures the space has."""
        return len(self.resolutions) * math.prod(stage.size() for stage in self.stages)

    def stage_choices(self, stage: int) -> tuple[StageChoice, ...]:
        """Return every choice of one stage, in a fixed order."""
        return _stage_choices(self.stages[stage])

    def largest(self) -> Architecture:
        """Return the architecture with the most of everything."""
        return self._extreme(-1)

    def smallest(self) -> Architecture:
        """Return the architecture with the least of everything."""
        return self._extreme(0)

    def _extreme(self, index: int) -> Architecture:
        stages = tuple(
            StageChoice(
                (spec.kernel_sizes[index],) * spec.depths[index],
                (spec.expand_ratios[index],) * spec.depths[index],
            )
            for spec in self.stages
        )
        return Architecture.of(self.name, self.resolutions[index], stages)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return a random architecture: resolution and depths uniform, then each block uniform."""
        resolution = int(rng.choice(self.resolutions))
        return Architecture.of(
            self.name, resolution, tuple(_sample_stage(spec, rng) for spec in self.stages)
        )

    def distinct(self, rng: np.random.Generator) -> Iterator[Architecture]:
        """Yield the smallest, the largest, then random architectures; each once, all in the end."""
        seen: set[Architecture] = set()
        drawn = (self.sample(rng) for _ in itertools.count())
        for architecture in itertools.chain([self.smallest(), self.largest()], drawn):
            if architecture not in seen:
                seen.add(architecture)
                yield architecture
            if len(seen) == self.size:
                return

    def neighbors(self, architecture: Architecture) -> Iterator[Architecture]:
        """Yield every architecture one step away: one size, depth, kernel size or expand ratio."""
        for resolution in _steps(self.resolutions, architecture.resolution):
            yield replace(architecture, resolution=resolution)
        stages = architecture.stages
        for index, spec in enumerate(self.stages):
            for changed in _stage_neighbors(spec, stages[index]):
                yield Architecture.of(
                    self.name,
                    architecture.resolution,
                    (*stages[:index], changed, *stages[index + 1 :]),
                )

    def contains(self, architecture: Architecture) -> bool:
        """Return whether `architecture` can be chosen in this space."""
        return (
            architecture.space == self.name
            and architecture.resolution in self.resolutions
            and len(architecture.stages) == len(self.stages)
            and all(map(_stage_contains, self.stages, architecture.stages))
        )

    def check(self, architecture: Architecture) -> None:
        """Raise `InputError` unless `architecture` can be chosen in this space."""
        if not self.contains(architecture):
            raise InputError(
                f"{architecture} (space '{architecture.space}') is not in the space '{self.name}'.",
                "Use the space that it was made with: --space.",
            )

    def layers(self, architecture: Architecture) -> tuple[Layer, ...]:
        """Return every layer from the image to the logits, in the order of computation."""
        self.check(architecture)
        resolution = architecture.resolution
        layers = list(self.stem_layers(resolution))
        for index, choice in enumerate(architecture.stages):
            layers += self.stage_layers(resolution, index, choice, layers[-1].name)
        return (*layers, *self.head_layers(resolution, layers[-1].name))

    def stem_layers(self, resolution: int) -> tuple[Layer, ...]:
        """Return the layers before the first stage."""
        stem = _conv("stem", "input", self.in_channels, self.stem_width, resolution)
        return (_strided(replace(stem, kernel_size=3, activation="relu6"), self.stem_stride),)

    def stage_layers(
        self, resolution: int, stage: int, choice: StageChoice, previous: str = "previous"
    ) -> tuple[Layer, ...]:
        """Return the layers of one stage; `previous` names the tensor that it reads."""
        spec = self.stages[stage]
        size = self._input_size(resolution, stage)
        channels = self.stages[stage - 1].width if stage else self.stem_width
        layers: list[Layer] = []
        for block in range(choice.depth):
            layers += _bottleneck(
                spec,
                Position(stage, block, previous, channels, size),
                choice.kernel_sizes[block],
                choice.expand_ratios[block],
            )
            previous, channels, size = layers[-1].name, spec.width, layers[-1].out_size
        return tuple(layers)

    def head_layers(self, resolution: int, previous: str = "previous") -> tuple[Layer, ...]:
        """Return the layers after the last stage: 1x1 convolution, pooling, classifier."""
        size = self._input_size(resolution, len(self.stages))
        width = self.head_width
        head = _conv("head", previous, self.stages[-1].width, width, size)
        return (
            replace(head, activation="relu6"),
            Layer("pool", "global_pool", ("head",), width, width, size, 1),
            Layer("classifier", "linear", ("pool",), width, self.num_classes, 1, 1),
        )

    def _input_size(self, resolution: int, stage: int) -> int:
        size = _after_stride(resolution, self.stem_stride)
        for spec in self.stages[:stage]:
            size = _after_stride(size, spec.stride)
        return size


@dataclass(frozen=True)
class Position:
    """Where a block stands: its stage, its number, and the tensor that it reads."""

    stage: int
    block: int
    previous: str
    channels: int
    size: int  # height = width of that tensor, pixels


def _bottleneck(spec: StageSpec, at: Position, kernel_size: int, expand_ratio: int) -> list[Layer]:
    """Inverted bottleneck (MobileNetV2, Sandler 2018; SE as in MobileNetV3, Howard 2019).

    Fused as in EfficientNet-EdgeTPU (Gupta and Akin 2020, arXiv 2003.02838).
    """
    prefix = f"stage{at.stage}_block{at.block}"
    hidden = spec.hidden_width or at.channels * expand_ratio
    stride = spec.stride if at.block == 0 else 1
    layers = _widening(spec, at, hidden, kernel_size, stride)
    size = layers[-1].out_size
    if spec.squeeze_excite:
        gate = _conv(f"{prefix}_gate", layers[-1].name, hidden, hidden, size)
        squeezed = max(8, hidden // 4 // 8 * 8)
        layers.append(replace(gate, kind="squeeze_excite", squeeze_channels=squeezed))
    layers.append(_conv(f"{prefix}_project", layers[-1].name, hidden, spec.width, size))
    if stride == 1 and at.channels == spec.width:
        add = _conv(f"{prefix}_add", layers[-1].name, spec.width, spec.width, size)
        layers.append(replace(add, kind="add", inputs=(layers[-1].name, at.previous)))
    return [replace(layer, stage=at.stage, block=at.block) for layer in layers]


def _widening(
    spec: StageSpec, at: Position, hidden: int, kernel_size: int, stride: int
) -> list[Layer]:
    """Return what comes before a block's gate and projection."""
    prefix = f"stage{at.stage}_block{at.block}"
    if spec.fused:
        fused = _conv(f"{prefix}_fused", at.previous, at.channels, hidden, at.size)
        fused = replace(fused, kernel_size=kernel_size, activation="relu6")
        return [_strided(fused, stride)]
    layers = []
    if hidden != spec.hidden_width or hidden != at.channels:
        expand = _conv(f"{prefix}_expand", at.previous, at.channels, hidden, at.size)
        layers.append(replace(expand, activation="relu6"))
    before = layers[-1].name if layers else at.previous
    depthwise = replace(
        _conv(f"{prefix}_depthwise", before, hidden, hidden, at.size),
        kind="depthwise",
        kernel_size=kernel_size,
        activation="relu6",
    )
    return [*layers, _strided(depthwise, stride)]


def _conv(name: str, previous: str, in_channels: int, out_channels: int, size: int) -> Layer:
    return Layer(name, "conv", (previous,), in_channels, out_channels, size, size)


def _strided(layer: Layer, stride: int) -> Layer:
    return replace(layer, stride=stride, out_size=_after_stride(layer.in_size, stride))


def _after_stride(size: int, stride: int) -> int:
    return (size - 1) // stride + 1


@lru_cache(maxsize=64)
def _stage_choices(spec: StageSpec) -> tuple[StageChoice, ...]:
    blocks = list(itertools.product(spec.kernel_sizes, spec.expand_ratios))
    choices = []
    for depth in spec.depths:
        if spec.uniform_inner and depth > 1:
            pairs = itertools.product(blocks, repeat=2)
            combos = [(first, *(inner,) * (depth - 1)) for first, inner in pairs]
        else:
            combos = list(itertools.product(blocks, repeat=depth))
        choices += [StageChoice(*map(tuple, zip(*combo, strict=True))) for combo in combos]
    return tuple(choices)


def _sample_stage(spec: StageSpec, rng: np.random.Generator) -> StageChoice:
    depth = int(rng.choice(spec.depths))
    drawn = min(depth, 2) if spec.uniform_inner else depth
    kernel_sizes = [int(k) for k in rng.choice(spec.kernel_sizes, drawn)]
    expand_ratios = [int(e) for e in rng.choice(spec.expand_ratios, drawn)]
    missing = depth - drawn
    return StageChoice(
        (*kernel_sizes, *kernel_sizes[-1:] * missing),
        (*expand_ratios, *expand_ratios[-1:] * missing),
    )


def _stage_contains(spec: StageSpec, choice: StageChoice) -> bool:
    if choice.depth not in spec.depths or len(choice.expand_ratios) != choice.depth:
        return False
    if spec.uniform_inner and len(set(choice.kernel_sizes[1:])) > 1:
        return False
    if spec.uniform_inner and len(set(choice.expand_ratios[1:])) > 1:
        return False
    known_kernels = set(choice.kernel_sizes) <= set(spec.kernel_sizes)
    return known_kernels and set(choice.expand_ratios) <= set(spec.expand_ratios)


def _stage_neighbors(spec: StageSpec, choice: StageChoice) -> Iterator[StageChoice]:
    """Yield one-step changes; a new block repeats the last one, the last block is what goes."""
    kernels, expands = choice.kernel_sizes, choice.expand_ratios
    for depth in _steps(spec.depths, choice.depth):
        missing = max(0, depth - choice.depth)
        yield StageChoice(
            (*kernels[:depth], *kernels[-1:] * missing), (*expands[:depth], *expands[-1:] * missing)
        )
    if spec.uniform_inner and choice.depth > 1:
        groups = [slice(0, 1), slice(1, choice.depth)]
    else:
        groups = [slice(block, block + 1) for block in range(choice.depth)]
    for group in groups:
        for kernel_size in _steps(spec.kernel_sizes, kernels[group][0]):
            yield StageChoice(_with(kernels, group, kernel_size), expands)
        for expand_ratio in _steps(spec.expand_ratios, expands[group][0]):
            yield StageChoice(kernels, _with(expands, group, expand_ratio))


def _with(values: tuple[int, ...], group: slice, value: int) -> tuple[int, ...]:
    width = group.stop - group.start
    return (*values[: group.start], *(value,) * width, *values[group.stop :])


def _steps(options: tuple[int, ...], value: int) -> Iterator[int]:
    index = options.index(value)
    if index > 0:
        yield options[index - 1]
    if index + 1 < len(options):
        yield options[index + 1]
