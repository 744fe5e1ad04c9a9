"""An imported network as the smallest of a space, whose blocks have up to twice its channels.

A new hidden channel is a copy of an old one that nothing reads yet: its column of the projection is
zero. So every network of the space computes what the imported one does, until it is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgenas.core.errors import InputError
from edgenas.core.records import Layer
from edgenas.spaces.hidden_blocks import BlockPlace, HiddenBlock, hidden_blocks
from edgenas.spaces.imported import (
    HIDDEN_EIGHTHS,
    WIDER_EIGHTHS,
    ImportedStage,
    Template,
    block_prefix,
)
from edgenas.supernet.imported.space import MOST_FREE_BLOCKS, ImportedSupernet
from edgenas.supernet.splitting import NORM


def widened(own: ImportedSupernet) -> ImportedSupernet:
    """Return the space that a network is the smallest of, and the weights of its largest network.

    own : the network as the largest of a space.

    Raises
    ------
    InputError : none of its blocks has hidden channels that can be split.
    """
    largest = own.space.largest()
    stages = tuple(
        _spec(spec, own.space.stage_layers(largest.resolution, index, largest.stages[index]))
        for index, spec in enumerate(own.space.stages)
    )
    space = replace(own.space, stages=stages, resolutions=(largest.resolution,))
    if not space.widens:
        raise InputError(
            f"{own.space.source[0]} cannot be grown: none of its blocks is an inverted bottleneck "
            "without a gate, or two convolutions with an activation between.",
            "Find a smaller part of it: edgenas shrink MODEL.onnx",
        )
    wide = {
        place: block.hidden for place, block in hidden_blocks(space.layers(space.largest())).items()
    }
    tensors = dict(own.tensors)
    for place, block in hidden_blocks(space.layers(space.smallest())).items():
        tensors |= _widened_block(block, wide[place], tensors)
    return ImportedSupernet(space, tensors)


def _spec(spec: ImportedStage, layers: tuple[Layer, ...]) -> ImportedStage:
    """Return a stage whose blocks all stay, and may be wider if all of them can be split."""
    depth, blocks = spec.depths[-1], hidden_blocks(layers)
    templates = (spec.first, *(spec.inner,) * (depth - 1))
    splits = len(blocks) == depth and all(map(_splits, blocks.items(), templates))
    return replace(
        spec,
        depths=(depth,),
        kernel_sizes=spec.kernel_sizes[-1:],
        uniform_inner=len(WIDER_EIGHTHS) ** depth > MOST_FREE_BLOCKS,
        others=((HIDDEN_EIGHTHS, WIDER_EIGHTHS),) if splits else (),
    )


def _splits(placed: tuple[BlockPlace, HiddenBlock], template: Template) -> bool:
    """Whether the channels that a block has for itself are those that a split makes more of."""
    (stage, number), block = placed
    prefix = block_prefix(stage, number)
    return {layer.name for layer in block.widening} == {prefix + one for one in template.hidden}


def _widened_block(
    block: HiddenBlock, width: int, tensors: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the tensors of a block with `width` hidden channels; nothing reads the new ones."""
    copied = np.arange(width) % block.hidden
    found = {
        f"{layer.name}.{name}": tensors[f"{layer.name}.{name}"][copied]
        for layer in block.widening
        for name in ("conv.weight", *NORM)
    }
    name = f"{block.projection.name}.conv.weight"
    columns = np.ascontiguousarray(tensors[name][:, copied])
    columns[:, block.hidden :] = 0.0
    return {**found, name: columns}
