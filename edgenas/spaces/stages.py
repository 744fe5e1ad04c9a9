"""What can be chosen in one stage, and the choices that are a step apart."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edgenas.records import StageChoice


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


@lru_cache(maxsize=64)
def stage_choices(spec: StageSpec) -> tuple[StageChoice, ...]:
    """Return every choice of a stage, in a fixed order."""
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


def sample_stage(spec: StageSpec, rng: np.random.Generator) -> StageChoice:
    """Return a random choice: the depth uniform, then each block uniform."""
    depth = int(rng.choice(spec.depths))
    drawn = min(depth, 2) if spec.uniform_inner else depth
    kernel_sizes = [int(k) for k in rng.choice(spec.kernel_sizes, drawn)]
    expand_ratios = [int(e) for e in rng.choice(spec.expand_ratios, drawn)]
    missing = depth - drawn
    return StageChoice(
        (*kernel_sizes, *kernel_sizes[-1:] * missing),
        (*expand_ratios, *expand_ratios[-1:] * missing),
    )


def stage_contains(spec: StageSpec, choice: StageChoice) -> bool:
    """Return whether `choice` can be made in a stage."""
    if choice.depth not in spec.depths or len(choice.expand_ratios) != choice.depth:
        return False
    if spec.uniform_inner and len(set(choice.kernel_sizes[1:])) > 1:
        return False
    if spec.uniform_inner and len(set(choice.expand_ratios[1:])) > 1:
        return False
    known_kernels = set(choice.kernel_sizes) <= set(spec.kernel_sizes)
    return known_kernels and set(choice.expand_ratios) <= set(spec.expand_ratios)


def stage_neighbors(spec: StageSpec, choice: StageChoice) -> Iterator[StageChoice]:
    """Yield one-step changes; a new block repeats the last one, the last block is what goes."""
    kernels, expands = choice.kernel_sizes, choice.expand_ratios
    for depth in adjacent(spec.depths, choice.depth):
        missing = max(0, depth - choice.depth)
        yield StageChoice(
            (*kernels[:depth], *kernels[-1:] * missing), (*expands[:depth], *expands[-1:] * missing)
        )
    if spec.uniform_inner and choice.depth > 1:
        groups = [slice(0, 1), slice(1, choice.depth)]
    else:
        groups = [slice(block, block + 1) for block in range(choice.depth)]
    for group in groups:
        for kernel_size in adjacent(spec.kernel_sizes, kernels[group][0]):
            yield StageChoice(_with(kernels, group, kernel_size), expands)
        for expand_ratio in adjacent(spec.expand_ratios, expands[group][0]):
            yield StageChoice(kernels, _with(expands, group, expand_ratio))


def _with(values: tuple[int, ...], group: slice, value: int) -> tuple[int, ...]:
    width = group.stop - group.start
    return (*values[: group.start], *(value,) * width, *values[group.stop :])


def adjacent(options: tuple[int, ...], value: int) -> Iterator[int]:
    """Yield the options next to `value`, the smaller one first."""
    index = options.index(value)
    if index > 0:
        yield options[index - 1]
    if index + 1 < len(options):
        yield options[index + 1]
