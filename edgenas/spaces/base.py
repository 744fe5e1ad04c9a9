"""Search spaces: which networks can be chosen, and the layers of each.

A member is a file with `create(num_classes, in_channels, image_size) -> MobileSpace`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from edgenas.errors import InputError
from edgenas.records import Architecture, Layer, StageChoice
from edgenas.spaces.blocks import Position, after_stride, bottleneck, conv, strided
from edgenas.spaces.stages import (
    StageSpec,
    adjacent,
    sample_stage,
    stage_choices,
    stage_contains,
    stage_neighbors,
)

__all__ = ["MobileSpace", "StageSpec"]


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
        return stage_choices(self.stages[stage])

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
            self.name, resolution, tuple(sample_stage(spec, rng) for spec in self.stages)
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
        for resolution in adjacent(self.resolutions, architecture.resolution):
            yield replace(architecture, resolution=resolution)
        stages = architecture.stages
        for index, spec in enumerate(self.stages):
            for changed in stage_neighbors(spec, stages[index]):
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
            and all(map(stage_contains, self.stages, architecture.stages))
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
        stem = conv("stem", "input", self.in_channels, self.stem_width, resolution)
        return (strided(replace(stem, kernel_size=3, activation="relu6"), self.stem_stride),)

    def stage_layers(
        self, resolution: int, stage: int, choice: StageChoice, previous: str = "previous"
    ) -> tuple[Layer, ...]:
        """Return the layers of one stage; `previous` names the tensor that it reads."""
        spec = self.stages[stage]
        size = self._input_size(resolution, stage)
        channels = self.stages[stage - 1].width if stage else self.stem_width
        layers: list[Layer] = []
        for block in range(choice.depth):
            layers += bottleneck(
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
        head = conv("head", previous, self.stages[-1].width, width, size)
        return (
            replace(head, activation="relu6"),
            Layer("pool", "global_pool", ("head",), width, width, size, 1),
            Layer("classifier", "linear", ("pool",), width, self.num_classes, 1, 1),
        )

    def _input_size(self, resolution: int, stage: int) -> int:
        size = after_stride(resolution, self.stem_stride)
        for spec in self.stages[:stage]:
            size = after_stride(size, spec.stride)
        return size
