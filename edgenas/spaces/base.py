"""Search spaces: which networks can be chosen, and the layers of each.

A member is a file with `create(num_classes, in_channels, image_size) -> MobileSpace`.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from edgenas.core.errors import InputError
from edgenas.core.records import Architecture, Layer, Option, StageChoice
from edgenas.core.records.networks import EXPAND_RATIO, HIDDEN_WIDTH, KERNEL_SIZE
from edgenas.spaces.bits import with_bits
from edgenas.spaces.blocks import Position, after_stride, bottleneck, conv, strided
from edgenas.spaces.stages import (
    StageSpec,
    adjacent,
    change_in_words,
    extreme_stage,
    sample_stage,
    stage_choices,
    stage_contains,
    stage_neighbors,
)

__all__ = ["SAMPLING", "MobileSpace", "StageSpec", "space_document"]

_LAYER_DEFAULTS = {
    one.name: json.loads(json.dumps(one.default))
    for one in fields(Layer)
    if one.default is not MISSING
}
SAMPLING = 1  # a run's random sequence of architectures, among the seed's


@dataclass(frozen=True)
class MobileSpace:
    """Stages of inverted bottlenecks (MobileNetV2/V3 blocks), elastic in four ways.

    Depth, kernel size and expand ratio, or the channels inside a block, are chosen by stage and
    block, the resolution for the whole network. A subclass with a `block_layers` of its own has
    blocks of another kind, and any choices of a block that its stages name. Activations are ReLU6
    and the squeeze-excite gate is a hard sigmoid, because these have int8 kernels in every engine.

    padding : of convolutions: "centred" by half a kernel on each side, or "same" as TensorFlow has
        it, which pads an even image before a stride of 2 by one pixel more behind than before.
    """

    name: str
    stem_width: int
    stem_stride: int
    stages: tuple[StageSpec, ...]
    head_width: int
    resolutions: tuple[int, ...]
    num_classes: int
    in_channels: int
    padding: Literal["centred", "same"] = "centred"

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

    def narrowest(self) -> Architecture:
        """Return the architecture with all blocks, and of everything else the least."""
        deepest = (replace(spec, depths=spec.depths[-1:]) for spec in self.stages)
        stages = tuple(extreme_stage(spec, 0) for spec in deepest)
        return Architecture.of(self.name, self.resolutions[0], stages)

    def _extreme(self, index: int) -> Architecture:
        stages = tuple(extreme_stage(spec, index) for spec in self.stages)
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
            yield architecture.resized(resolution)
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
        stem = replace(stem, kernel_size=3, activation="relu6")
        return (self._padded(strided(stem, self.stem_stride)),)

    def stage_layers(
        self, resolution: int, stage: int, choice: StageChoice, previous: str = "previous"
    ) -> tuple[Layer, ...]:
        """Return the layers of one stage; `previous` names the tensor that it reads."""
        spec = self.stages[stage]
        size = self._input_size(resolution, stage)
        channels = self.stages[stage - 1].width if stage else self.stem_width
        layers: list[Layer] = []
        for block, options in enumerate(choice.blocks):
            at = Position(stage, block, previous, channels, size)
            layers += with_bits(self.block_layers(spec, at, options), options)
            previous, channels, size = layers[-1].name, spec.width, layers[-1].out_size
        return tuple(map(self._padded, layers))

    def block_layers(
        self, spec: StageSpec, at: Position, options: Mapping[str, Option]
    ) -> Sequence[Layer]:
        """Return the layers of one block: an inverted bottleneck, unless a subclass has another.

        options : of each choice of the block, by the choice's name.
        """
        if HIDDEN_WIDTH in options:
            hidden = int(options[HIDDEN_WIDTH])
        else:
            hidden = spec.hidden_width or at.channels * int(options[EXPAND_RATIO])
        return bottleneck(spec, at, int(options[KERNEL_SIZE]), hidden)

    def changes(self, before: Architecture, after: Architecture) -> tuple[str, ...]:
        """Return in words what `after` has otherwise than `before`, stage by stage."""
        found = []
        if before.resolution != after.resolution:
            found.append(f"input of {after.resolution} px instead of {before.resolution} px")
        for stage, (old, new) in enumerate(zip(before.stages, after.stages, strict=True), 1):
            if old.depth != new.depth:
                found.append(f"{new.depth} instead of {old.depth} blocks in stage {stage}")
            pairs = zip(old.blocks, new.blocks, strict=False)
            found += [
                f"{change_in_words(name, was[name], option)} in block {block} of stage {stage}"
                for block, (was, now) in enumerate(pairs, 1)
                for name, option in now.items()
                if was[name] != option
            ]
        return tuple(found)

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

    def _padded(self, layer: Layer) -> Layer:
        if self.padding == "centred":
            return layer
        spread = (layer.out_size - 1) * layer.stride + layer.kernel_size - layer.in_size
        return replace(layer, padding=max(spread, 0) // 2)

    def _input_size(self, resolution: int, stage: int) -> int:
        size = after_stride(resolution, self.stem_stride)
        for spec in self.stages[:stage]:
            size = after_stride(size, spec.stride)
        return size


def space_document(space: Any) -> dict[str, Any]:
    """Return a space's parameters as JSON values, as files have them.

    What was added since is among them only where it is not as it always was.
    """
    document: dict[str, Any] = json.loads(json.dumps(asdict(space)))
    if document.get("padding") == "centred":
        del document["padding"]
    for stage in document["stages"]:
        for name in ("others", "stage_wide"):
            if not stage.get(name, True):
                del stage[name]
    _drop_defaults(document)
    return document


def _drop_defaults(value: Any) -> None:
    """Leave out of each layer in a document what is as it is by default."""
    if isinstance(value, list):
        for one in value:
            _drop_defaults(one)
    elif isinstance(value, dict):
        if {"kind", "inputs", "in_channels"} <= value.keys():
            for name, default in _LAYER_DEFAULTS.items():
                if value[name] == default:
                    del value[name]
        for one in value.values():
            _drop_defaults(one)
