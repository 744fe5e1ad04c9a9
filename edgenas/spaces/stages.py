"""What can be chosen in one stage, and the choices that are a step apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np

from edgenas.core.records import Option, StageChoice


@dataclass(frozen=True)
class StageSpec:
    """What can be chosen in one stage; every tuple is in rising order.

    uniform_inner : all blocks after the first share one kernel size and one expand ratio (FOX-NAS).
    fused : one dense convolution does the work of the expanding and the depthwise one.
    hidden_width : channels inside the blocks where no expand ratio gives them (published networks);
        equal to the channels that go in, there is no expanding convolution.
    others : further choices of a block, by name, sorted: their options from least to most, numbers
        that are not negative or words. "hidden_width" is the channels inside the block; then there
        are no expand ratios. A space that has any more says in `block_layers` what they mean.
    stage_wide : names of others of which all blocks of the stage have the same option.
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
    others: tuple[tuple[str, tuple[Option, ...]], ...] = ()
    stage_wide: tuple[str, ...] = ()

    @property
    def choices(self) -> dict[str, tuple[Option, ...]]:
        """The options of every choice of a block, by the choice's name."""
        return StageChoice(self.kernel_sizes, self.expand_ratios, self.others).choices

    def size(self) -> int:
        """Return how many distinct choices the stage has."""
        choices = self.choices
        wide = math.prod(len(choices[name]) for name in self.stage_wide)
        block = math.prod(len(options) for options in choices.values()) // wide
        if self.uniform_inner:
            return wide * sum(block if depth == 1 else block**2 for depth in self.depths)
        return wide * sum(block**depth for depth in self.depths)


@lru_cache(maxsize=64)
def stage_choices(spec: StageSpec) -> tuple[StageChoice, ...]:
    """Return every choice of a stage, in a fixed order."""
    if spec.stage_wide:
        return _with_stage_wide(spec)
    names = list(spec.choices)
    blocks = list(itertools.product(*spec.choices.values()))
    choices = []
    for depth in spec.depths:
        if spec.uniform_inner and depth > 1:
            pairs = itertools.product(blocks, repeat=2)
            combos = [(first, *(inner,) * (depth - 1)) for first, inner in pairs]
        else:
            combos = list(itertools.product(blocks, repeat=depth))
        choices += [
            StageChoice.of(dict(zip(names, zip(*combo, strict=True), strict=True)))
            for combo in combos
        ]
    return tuple(choices)


def _with_stage_wide(spec: StageSpec) -> tuple[StageChoice, ...]:
    """Return every choice of the blocks with every option of what all blocks share."""
    wide = {name: of for name, of in spec.others if name in spec.stage_wide}
    others = tuple((name, of) for name, of in spec.others if name not in wide)
    plain = stage_choices(replace(spec, others=others, stage_wide=()))
    return tuple(
        StageChoice.of(
            {
                **one.choices,
                **{name: (of,) * one.depth for name, of in zip(wide, chosen, strict=True)},
            }
        )
        for chosen in itertools.product(*wide.values())
        for one in plain
    )


def extreme_stage(spec: StageSpec, index: int) -> StageChoice:
    """Return the choice with the first (index 0) or the last (-1) option of everything."""
    depth = spec.depths[index]
    return StageChoice.of({name: (of[index],) * depth for name, of in spec.choices.items()})


def sample_stage(spec: StageSpec, rng: np.random.Generator) -> StageChoice:
    """Return a random choice: the depth uniform, then each block uniform."""
    depth = int(rng.choice(spec.depths))
    drawn = min(depth, 2) if spec.uniform_inner else depth
    chosen = {}
    for name, options in spec.choices.items():
        count = 1 if name in spec.stage_wide else drawn
        values = [options[int(index)] for index in rng.choice(len(options), count)]
        chosen[name] = (*values, *values[-1:] * (depth - count))
    return StageChoice.of(chosen)


def stage_contains(spec: StageSpec, choice: StageChoice) -> bool:
    """Return whether `choice` can be made in a stage."""
    chosen = choice.choices
    if choice.depth not in spec.depths or chosen.keys() != spec.choices.keys():
        return False
    return all(
        len(chosen[name]) == choice.depth
        and set(chosen[name]) <= set(options)
        and not (spec.uniform_inner and len(set(chosen[name][1:])) > 1)
        and not (name in spec.stage_wide and len(set(chosen[name])) > 1)
        for name, options in spec.choices.items()
    )


def stage_neighbors(spec: StageSpec, choice: StageChoice) -> Iterator[StageChoice]:
    """Yield one-step changes; a new block repeats the last one, the last block is what goes."""
    chosen = choice.choices
    for depth in adjacent(spec.depths, choice.depth):
        missing = max(0, depth - choice.depth)
        yield StageChoice.of(
            {name: (*of[:depth], *of[-1:] * missing) for name, of in chosen.items()}
        )
    if spec.uniform_inner and choice.depth > 1:
        groups = [slice(0, 1), slice(1, choice.depth)]
    else:
        groups = [slice(block, block + 1) for block in range(choice.depth)]
    for name in spec.stage_wide:
        for option in adjacent(spec.choices[name], chosen[name][0]):
            yield StageChoice.of({**chosen, name: (option,) * choice.depth})
    for group in groups:
        for name, options in spec.choices.items():
            if name in spec.stage_wide:
                continue
            for option in adjacent(options, chosen[name][group][0]):
                yield StageChoice.of({**chosen, name: _with(chosen[name], group, option)})


def _with(values: tuple[Option, ...], group: slice, value: Option) -> tuple[Option, ...]:
    width = group.stop - group.start
    return (*values[: group.start], *(value,) * width, *values[group.stop :])


AnyOption = TypeVar("AnyOption", int, Option)


def adjacent(options: tuple[AnyOption, ...], value: AnyOption) -> Iterator[AnyOption]:
    """Yield the options next to `value`, the smaller one first."""
    index = options.index(value)
    if index > 0:
        yield options[index - 1]
    if index + 1 < len(options):
        yield options[index + 1]


def change_in_words(name: str, before: Option, after: Option) -> str:
    """Return the change of one choice, such as "kernel 5 instead of 3"."""
    return f"{choice_in_words(name)} {after} instead of {before}"


def choice_in_words(name: str) -> str:
    """Return the name of a choice as sentences have it, such as "kernel"."""
    return {"kernel_size": "kernel"}.get(name, name.replace("_", " "))
