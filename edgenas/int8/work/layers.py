"""What an operator of a model file computes and moves, whatever the format of the file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgenas.core.counted import are, counted
from edgenas.core.records.roofline import LayerWork, WorkKind


@dataclass(frozen=True)
class Tensor:
    """A tensor as it is stored: its shape, and the bits of a number."""

    shape: tuple[int, ...]
    bits: int

    @property
    def size(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        return -(-self.size * self.bits // 8)  # rounded up


def weighted(
    name: str,
    source: Tensor,
    weight: Tensor,
    output: Tensor,
    *,
    fan_in: int,
    channels: int,
    depthwise: bool = False,
    taps: int = 1,
    bias: Tensor | None = None,
) -> LayerWork:
    """Return the work of a convolution or a matrix product.

    fan_in : products summed for one output. channels : of the output. taps : pixels of the kernel.
    depthwise : each output channel is of one input channel.
    """
    kind: WorkKind = "depthwise" if depthwise else "dense" if taps > 1 else "pointwise"
    moved = sum(one.n_bytes for one in (source, weight, output))
    return LayerWork(
        name,
        kind,
        output.size * fan_in,
        moved + (bias.n_bytes if bias is not None else 0),
        fan_in,
        weight.bits,
        source.bits,
        channels,
        taps,
    )


def moving(name: str, kind: WorkKind, sources: Sequence[Tensor], output: Tensor) -> LayerWork:
    """Return the work of an operator that multiplies nothing: what it reads and writes."""
    moved = sum(one.n_bytes for one in (*sources, output))
    return LayerWork(name, kind, 0, moved, activation_bits=sources[0].bits if sources else 0)


def said(unknown: Counter[str], grouped: int) -> tuple[str, ...]:
    """Return in sentences what the layers of a file leave out, and what they only come near to.

    unknown : how many operators of each type are in no layer.
    """
    found = []
    if unknown:
        names = ", ".join(f"{number} {name}" for name, number in sorted(unknown.items()))
        found.append(f"Without a limit, because their work is not known: {names}.")
    if grouped:
        found.append(
            f"{counted(grouped, 'convolution')} in groups {are(grouped)} held against the rate of "
            "ordinary ones: there is no micro-model of such."
        )
    return tuple(found)
