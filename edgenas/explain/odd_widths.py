"""Channels that do not fill the vectors of depthwise kernels: what the next multiple of 8 costs.

An engine computes the rest of 8 channels one by one, so that a wider block can be the faster one
(docs/decisions). The predictor has that rest as a term; here it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenas.core.records import Architecture, Layer
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import Additive
from edgenas.predictors.networks.terms import VECTORS

VECTOR = VECTORS[0]


@dataclass(frozen=True)
class OddWidth:
    """A block whose channels are no multiple of 8, and the next multiple; numbers count from 1.

    difference : of the terms, of the wider block less this one, float64 [p].
    """

    stage: int
    block: int
    width: int
    wider: int
    difference: np.ndarray


def sentences(
    rows: TermRows, predictor: Additive, network: Architecture, confidence: float
) -> tuple[str, ...]:
    """Return, for each block that a multiple of 8 is predicted to make no slower, that it would.

    rows : of the terms of `predictor`, which is of latency in ms.
    """
    odd = list(odd_widths(rows, network))
    if not odd:
        return ()
    found = predictor.contrast(np.array([one.difference for one in odd]), confidence)
    bounds = zip(*(x.tolist() for x in (found.mean, found.lower, found.upper)), strict=True)
    return tuple(
        f"Block {one.block} of stage {one.stage} has {one.width} channels inside, which leave a "
        f"rest of vectors: make it a multiple of 8. With {one.wider} it is predicted to take "
        f"{-mean:.2g} ms less ({-upper:.2g} to {-lower:.2g})."
        for one, (mean, lower, upper) in zip(odd, bounds, strict=True)
        if mean <= 0
    )


def odd_widths(rows: TermRows, network: Architecture) -> Iterator[OddWidth]:
    """Yield the blocks of a network whose depthwise convolution leaves a rest of 8 channels."""
    for stage, choice in enumerate(network.stages):
        layers = rows.space.stage_layers(network.resolution, stage, choice)
        before = rows.terms.stage_row(layers, choice)
        for one in layers:
            if one.kind != "depthwise" or one.out_channels % VECTOR == 0:
                continue
            wider = one.out_channels + VECTOR - one.out_channels % VECTOR
            changed = _widened(layers, one, wider)
            if changed is not None:
                after = rows.terms.stage_row(changed, choice)
                yield OddWidth(stage + 1, one.block + 1, one.out_channels, wider, after - before)


def _widened(layers: Sequence[Layer], depthwise: Layer, wider: int) -> list[Layer] | None:
    """Return the stage with `wider` channels inside one block; None where these come from outside.

    They run from what the depthwise convolution reads to what the projection reads.
    """
    block = [one for one in layers if one.block == depthwise.block]
    inside = {depthwise.name, *depthwise.inputs}
    inside |= {one.name for one in block if one.kind == "squeeze_excite"}
    if not {one.name for one in block}.issuperset(depthwise.inputs):
        return None
    return [
        replace(
            one,
            in_channels=wider if inside.intersection(one.inputs) else one.in_channels,
            out_channels=wider if one.name in inside else one.out_channels,
        )
        if one in block
        else one
        for one in layers
    ]
