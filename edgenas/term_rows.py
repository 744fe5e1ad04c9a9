"""Rows of terms for the architectures of a space: where spaces and predictors meet."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from edgenas.predictors.terms import TermSet, term_set
from edgenas.records import Architecture, Layer, StageChoice
from edgenas.spaces.base import MobileSpace


class TermRows:
    """The rows of one term set ("physical", "choices") over one space; each stage's are kept."""

    def __init__(self, space: MobileSpace, name: str) -> None:
        self.space = space
        kernel_sizes = [size for stage in space.stages for size in stage.kernel_sizes]
        self.terms: TermSet = term_set(
            name, len(space.stages), len(space.resolutions), kernel_sizes
        )
        self._stage_rows: dict[tuple[int, int, StageChoice], np.ndarray] = {}

    def matrix(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """Return float64 [n, p], one row an architecture, in the order of `terms.names`."""
        return np.array([self.row(architecture) for architecture in architectures])

    def row(self, architecture: Architecture) -> np.ndarray:
        """Return the row of one architecture, float64 [p]."""
        self.space.check(architecture)
        row = self.size_rows[self.space.resolutions.index(architecture.resolution)].copy()
        for stage, choice in enumerate(architecture.stages):
            row += self.stage_row(architecture.resolution, stage, choice)
        return row

    @cached_property
    def size_rows(self) -> np.ndarray:
        """What stem, head and resolution add, float64 [n_resolutions, p]."""
        return np.array([self._size_row(resolution) for resolution in self.space.resolutions])

    def _size_row(self, resolution: int) -> np.ndarray:
        fixed = (*self.space.stem_layers(resolution), *self.space.head_layers(resolution))
        return self.terms.size_row(resolution, fixed)

    def stage_row(self, resolution: int, stage: int, choice: StageChoice) -> np.ndarray:
        """Return what one stage adds, float64 [p].

        The order of the inner blocks changes no term: choices that differ only in it share a row.
        """
        ordered = canonical(choice)
        key = (resolution, stage, ordered)
        if key not in self._stage_rows:
            layers = like_layers(self.space, resolution, stage, ordered)
            self._stage_rows[key] = self.terms.stage_row(layers, ordered)
        return self._stage_rows[key]


def like_layers(
    space: MobileSpace, resolution: int, stage: int, choice: StageChoice
) -> list[Layer]:
    """Return layers that do the work of one stage; inner blocks of a kind share their names."""
    blocks = zip(choice.kernel_sizes, choice.expand_ratios, strict=True)
    return [
        layer
        for index, block in enumerate(blocks)
        for layer in _block_layers(space, resolution, stage, block, index > 0)
    ]


def distinct_choices(space: MobileSpace, stage: int) -> tuple[StageChoice, ...]:
    """Return the choices of a stage that differ in more than the order of the inner blocks."""
    return tuple(dict.fromkeys(canonical(choice) for choice in space.stage_choices(stage)))


@lru_cache(maxsize=100_000)
def _block_layers(
    space: MobileSpace, resolution: int, stage: int, block: tuple[int, int], inner: bool
) -> tuple[Layer, ...]:
    """Return the layers of a block (kernel size, expand ratio); inner ones of a kind are alike."""
    count = 2 if inner else 1
    kernel_size, expand_ratio = block
    choice = StageChoice((kernel_size,) * count, (expand_ratio,) * count)
    layers = space.stage_layers(resolution, stage, choice)
    return tuple(layer for layer in layers if layer.block == count - 1)


def canonical(choice: StageChoice) -> StageChoice:
    """Return the choice with its inner blocks in rising order."""
    blocks = list(zip(choice.kernel_sizes, choice.expand_ratios, strict=True))
    ordered = (blocks[0], *sorted(blocks[1:]))
    return StageChoice(tuple(k for k, _ in ordered), tuple(e for _, e in ordered))
