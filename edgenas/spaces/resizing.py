"""Networks that differ from one in size: blocks wider or narrower inside, stages deeper."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgenas.core.records import Architecture, Option, StageChoice
from edgenas.core.records.networks import EXPAND_RATIO, HIDDEN_WIDTH
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.hidden_blocks import BlockPlace, hidden_blocks
from edgenas.spaces.imported import HIDDEN_EIGHTHS

MOST_CHOICES = 4096  # of a stage
Choices = tuple[tuple[StageChoice, ...], ...]


def hidden_widths(space: MobileSpace, network: Architecture) -> dict[BlockPlace, int]:
    """Return the hidden channels of each block of a network that has channels of its own."""
    blocks = hidden_blocks(space.layers(network))
    return {place: block.hidden for place, block in blocks.items()}


def wider(space: MobileSpace, network: Architecture) -> Choices:
    """Return what each stage can grow into at once; the first is the stage as it is.

    Each hidden channel is split once at most, so that a block at most doubles. A stage gets one
    block more at most, as narrow as the space has them, behind the others.
    """

    def choices(stage: int) -> Iterator[StageChoice]:
        for choice in _resized(space, network, stage, lambda factor: 1 <= factor <= 2):
            yield choice
            yield from deeper(space.stages[stage], choice)

    return tuple(tuple(dict.fromkeys(choices(stage))) for stage in range(len(space.stages)))


def narrower(space: MobileSpace, network: Architecture, least: float) -> Choices:
    """Return what each stage can be cut to, of each block this share of its channels or more."""
    return tuple(
        tuple(dict.fromkeys(_resized(space, network, stage, lambda share: least <= share <= 1)))
        for stage in range(len(space.stages))
    )


def deeper(spec: StageSpec, choice: StageChoice) -> Iterator[StageChoice]:
    """Yield the stage with one block more, if it may have one."""
    if choice.depth + 1 not in spec.depths:
        return
    new = dict(choice.blocks[-1])
    if not (spec.uniform_inner and choice.depth > 1):
        new[width_choice(spec)] = spec.choices[width_choice(spec)][0]
    yield StageChoice.of_blocks((*choice.blocks, new))


def scaled(space: MobileSpace, network: Architecture) -> Iterator[tuple[float, Architecture]]:
    """Yield the network with all blocks resized by one factor, rounded down to what there is.

    The factor rises, by the least that changes the network; no block gets narrower than the space
    has it.
    """
    widths = [_Widths(space, network, stage) for stage in range(len(space.stages))]
    factors = {factor for of in widths for factor in of.factors}
    for factor in sorted(factors):
        stages = (of.with_options(of.below(factor)) for of in widths)
        yield factor, Architecture.of(space.name, network.resolution, tuple(stages))


def width_choice(spec: StageSpec) -> str:
    """Return the name of the choice that gives a block its hidden channels."""
    own = (name for name in (HIDDEN_WIDTH, HIDDEN_EIGHTHS) if name in spec.choices)
    return next(own, EXPAND_RATIO)


def _resized(
    space: MobileSpace, network: Architecture, stage: int, allowed: Callable[[float], bool]
) -> Iterator[StageChoice]:
    """Yield a stage with its blocks resized by allowed factors; first as it is."""
    widths = _Widths(space, network, stage)
    yield widths.choice
    options = [
        [option for option, width in of.items() if allowed(width / own)]
        for of, own in zip(widths.options, widths.own, strict=True)
    ]
    if not options or not all(options):
        return
    groups = widths.groups
    most = max(1, int(MOST_CHOICES ** (1 / len(groups))))
    # of too many the widest, and the block's own, which is the first or the last of them
    each = [options[group[0]] for group in groups]
    each = [[of[0], *of[1 - most :]] if len(of) > most > 1 else of for of in each]
    for chosen in itertools.product(*each):
        of_block = dict(pair for group, one in zip(groups, chosen, strict=True) for pair in
                        ((block, one) for block in group))  # fmt: skip
        yield widths.with_options([of_block[block] for block in range(widths.choice.depth)])


@dataclass(frozen=True)
class _Widths:
    """The hidden channels that the blocks of one stage have, and could have."""

    space: MobileSpace
    network: Architecture
    stage: int

    @property
    def choice(self) -> StageChoice:
        return self.network.stages[self.stage]

    @property
    def groups(self) -> list[list[int]]:
        """The blocks that have to be alike."""
        depth = self.choice.depth
        if self.space.stages[self.stage].uniform_inner and depth > 1:
            return [[0], list(range(1, depth))]
        return [[block] for block in range(depth)]

    @property
    def own(self) -> list[int]:
        """The channels of each block; [] where one has none of its own, or no choice of them."""
        spec = self.space.stages[self.stage]
        return self._of(self.choice) if spec.choices.get(width_choice(spec)) else []

    @property
    def options(self) -> list[dict[Option, int]]:
        """Of each block the channels that its options give, rising."""
        spec = self.space.stages[self.stage]
        found: list[dict[Option, int]] = [{} for _ in self.own]
        for option in spec.choices.get(width_choice(spec), ()):
            for of, width in zip(found, self._of(self.with_options([option])), strict=False):
                of[option] = width
        return found

    @property
    def factors(self) -> set[float]:
        pairs = zip(self.options, self.own, strict=True)
        return {width / own for of, own in pairs for width in of.values()}

    def below(self, factor: float) -> list[Option]:
        """Return of each block the option of the most channels within `factor` times its own."""
        return [
            max((one for one in of if of[one] <= factor * own + 1e-9), default=next(iter(of)))
            for of, own in zip(self.options, self.own, strict=True)
        ]

    def with_options(self, options: list[Option]) -> StageChoice:
        """Return the stage with these widths, one a block, or one for all."""
        if not options:
            return self.choice
        name = width_choice(self.space.stages[self.stage])
        each = tuple(options) * (self.choice.depth // len(options))
        return StageChoice.of({**self.choice.choices, name: each})

    def _of(self, choice: StageChoice) -> list[int]:
        layers = self.space.stage_layers(self.network.resolution, self.stage, choice)
        found = hidden_blocks(layers)
        return [one.hidden for one in found.values()] if len(found) == choice.depth else []
