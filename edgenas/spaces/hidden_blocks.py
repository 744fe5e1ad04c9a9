"""Which blocks of a network have hidden channels of their own: where these are made and read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from edgenas.core.records import Layer

BlockPlace = tuple[int, int]  # stage and block, from 0


@dataclass(frozen=True)
class HiddenBlock:
    """The layers of a block whose hidden channels can be split.

    widening : that make them, one after the other. gate : of squeeze-excite. projection : reads
    them.
    """

    widening: tuple[Layer, ...]
    projection: Layer
    gate: Layer | None = None

    @property
    def hidden(self) -> int:
        return self.projection.in_channels


def hidden_blocks(layers: Sequence[Layer]) -> dict[BlockPlace, HiddenBlock]:
    """Return the blocks whose hidden channels can be split, by their place, in their order.

    A block is one of: expanding and depthwise convolution, or a fused one; a gate or none; a
    projection. A convolution in the shortcut is none of these. A depthwise convolution of what goes
    into the block has no channels of its own.
    """
    found: dict[BlockPlace, HiddenBlock] = {}
    for place in dict.fromkeys((one.stage, one.block) for one in layers if one.stage >= 0):
        block = _without_shortcut([one for one in layers if (one.stage, one.block) == place])
        gates = [one for one in block if one.kind == "squeeze_excite"]
        widening = [one for one in block[:-1] if one.kind != "squeeze_excite"]
        kinds = [one.kind for one in widening]
        chained = all(a.name in b.inputs for a, b in itertools.pairwise(block))
        projects = bool(block) and block[-1].kind == "conv" and block[-1].activation == "none"
        if chained and projects and kinds in (["conv"], ["conv", "depthwise"]) and len(gates) < 2:
            gate = gates[0] if gates else None
            found[place] = HiddenBlock(tuple(widening), block[-1], gate)
    return found


def _without_shortcut(block: Sequence[Layer]) -> list[Layer]:
    """Return the layers of a block without its sums and what leads straight into one."""
    inside = {one.name for one in block}
    summed = {name for one in block if one.kind == "add" for name in one.inputs}
    return [
        one
        for one in block
        if one.kind != "add" and (one.name not in summed or one.inputs[0] in inside)
    ]
