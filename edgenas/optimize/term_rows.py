"""Rows of terms for the architectures of a space: where spaces and predictors meet."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from edgenas.core.records import Architecture, Layer, Option, StageChoice
from edgenas.predictors.networks.terms import TermSet, term_set
from edgenas.spaces.base import MobileSpace

StageRows = dict[tuple[int, int, StageChoice], np.ndarray]  # by resolution, stage and choice


@lru_cache(maxsize=16)
def _kept_rows(space: MobileSpace, name: str) -> StageRows:
    """Return where the rows of a term set are kept: every predictor and round asks for the same."""
    return {}


class TermRows:
    """The rows of one term set ("physical", "choices") over one space; each stage's are kept."""

    def __init__(self, space: MobileSpace, name: str) -> None:
        self.space = space
        self.terms: TermSet = term_set(
            name, len(space.stages), len(space.resolutions), options_of(space)
        )
        self._stage_rows = _kept_rows(space, name)

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
    return [
        layer
        for index, block in enumerate(choice.blocks)
        for layer in _block_layers(space, resolution, stage, tuple(block.items()), index > 0)
    ]


def distinct_choices(space: MobileSpace, stage: int) -> tuple[StageChoice, ...]:
    """Return the choices of a stage that differ in more than the order of the inner blocks."""
    return tuple(dict.fromkeys(canonical(choice) for choice in space.stage_choices(stage)))


def options_of(space: MobileSpace) -> dict[str, tuple[Option, ...]]:
    """Return the options of each choice of a block, by its name, over all stages of a space."""
    options: dict[str, dict[Option, None]] = {}
    for stage in space.stages:
        for name, of in stage.choices.items():
            options.setdefault(name, {}).update(dict.fromkeys(of))
    return {name: tuple(of) for name, of in options.items()}


@lru_cache(maxsize=100_000)
def _block_layers(
    space: MobileSpace,
    resolution: int,
    stage: int,
    block: tuple[tuple[str, Option], ...],
    inner: bool,
) -> tuple[Layer, ...]:
    """Return the layers of a block of these options; inner ones of a kind are alike."""
    count = 2 if inner else 1
    choice = StageChoice.of_blocks((dict(block),) * count)
    layers = space.stage_layers(resolution, stage, choice)
    return tuple(layer for layer in layers if layer.block == count - 1)


def canonical(choice: StageChoice) -> StageChoice:
    """Return the choice with its inner blocks in rising order."""
    names = list(choice.choices)
    first, *inner = zip(*choice.choices.values(), strict=True)
    ordered = zip(first, *sorted(inner), strict=True)
    return StageChoice.of(dict(zip(names, ordered, strict=True)))
