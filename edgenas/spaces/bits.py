"""Bits as a choice: of weights and of activations inside blocks, one of each for a whole stage.

What stages hand on stays at 8 bits, so that each stage costs, and loses, the same whatever the
others choose: sums over stages stay exact. Stem, head and classifier have 8 bits, as is usual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgenas.core.records import Architecture, Layer, Option, StageChoice
from edgenas.core.records.networks import ACTIVATION_BITS, WEIGHT_BITS

if TYPE_CHECKING:
    from edgenas.spaces.base import MobileSpace


def elastic_bits(
    space: MobileSpace, weights: Sequence[int], activations: Sequence[int]
) -> MobileSpace:
    """Return the space with bits as choices of every stage; each is given once, in any order."""
    bits = ((ACTIVATION_BITS, activations), (WEIGHT_BITS, weights))
    offered = tuple((name, tuple(sorted(set(of)))) for name, of in bits)
    stages = tuple(
        replace(
            stage,
            others=tuple(sorted((*stage.others, *offered))),
            stage_wide=(*stage.stage_wide, ACTIVATION_BITS, WEIGHT_BITS),
        )
        for stage in space.stages
    )
    return replace(space, stages=stages)


def uniform_bits(space: MobileSpace) -> tuple[int, ...]:
    """Return the bits that all weights and activations may have alike, most first.

    () of a space whose bits are no choice.
    """
    offered = [
        set(map(int, stage.choices.get(name, ())))
        for stage in space.stages
        for name in (WEIGHT_BITS, ACTIVATION_BITS)
    ]
    if all(len(of) <= 1 for of in offered):
        return ()
    return tuple(sorted(set.intersection(*offered), reverse=True))


def of_bits(stage: StageChoice, weights: int, activations: int) -> StageChoice:
    """Return the choice of a stage with these bits."""
    bits = {WEIGHT_BITS: (weights,) * stage.depth, ACTIVATION_BITS: (activations,) * stage.depth}
    return StageChoice.of({**stage.choices, **bits})


def of_uniform_bits(network: Architecture, bits: int) -> Architecture:
    """Return the network with these bits for the weights and the activations of all stages."""
    stages = tuple(of_bits(stage, bits, bits) for stage in network.stages)
    return Architecture.of(network.space, network.resolution, stages)


def with_bits(layers: Sequence[Layer], options: Mapping[str, Option]) -> Sequence[Layer]:
    """Return the layers of a block with the bits of its options; as they are without any.

    Activations have the bits from the block's first layer to its projection, which hands on 8.
    """
    if WEIGHT_BITS not in options:
        return layers
    weights, activations = int(options[WEIGHT_BITS]), int(options[ACTIVATION_BITS])
    inside = {layer.name for layer in layers if layer.activation != "none"}
    return [
        replace(
            layer,
            weight_bits=weights if layer.kind != "add" else 8,
            input_bits=activations if inside.intersection(layer.inputs) else 8,
            output_bits=activations if layer.name in inside else 8,
        )
        for layer in layers
    ]
