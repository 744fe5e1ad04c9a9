"""Layers of published spaces: what each choice computes, where columns are known to be its layers.

A table of FBNet's networks says which of nine blocks each of 22 layers is. Channels and sizes are
the space's, so that work, values moved, weights and kernels of each block in each layer are known,
and totals of a network are sums over its categories: they take no new terms, only levels of those
that are there. A space is one function of `READINGS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenas.predictors.linear import names
from edgenas.predictors.linear.shrinkage import Level
from edgenas.predictors.tables.main_terms import CATEGORIES, Vocabulary

LEVEL, BY_STAGE = "work of layers", "work of layers, by stage"


@dataclass(frozen=True)
class Layers:
    """What categories compute in each layer.

    work : float64 [layers, categories, 4], multiplications, values read and written, weights and
    kernels started. stages : int64 [layers], from 0 on.
    """

    work: np.ndarray
    stages: np.ndarray


# Of columns in the order of layers, and of categories, what they compute; None for other spaces.
Reading = Callable[[Sequence[str], Sequence[str]], Layers | None]


def add(vocabulary: Vocabulary) -> Vocabulary | None:
    """Return it with levels of what layers compute, None if they are of no space that is known."""
    marks = [index for index, atom in enumerate(vocabulary.atoms) if atom.kind == "is"]
    texts = list(dict.fromkeys(vocabulary.atoms[index].category for index in marks))
    columns = list(dict.fromkeys(vocabulary.atoms[index].columns[0] for index in marks))
    layers = of(columns, texts)
    if layers is None:
        return None
    # totals vary alike, as if each layer were each of the categories as often
    varied = layers.work.var(axis=1)
    by_stage = np.eye(int(layers.stages.max()) + 1)[layers.stages]  # [layers, stages]
    totals = layers.work * _inverse_root(varied.sum(axis=0))
    in_stages = np.einsum("lck,ls->lcsk", layers.work, by_stage)
    in_stages = in_stages * _inverse_root(by_stage.T @ varied)
    atoms = [vocabulary.atoms[index] for index in marks]
    at = [(columns.index(x.columns[0]), texts.index(x.category)) for x in atoms]
    levels = []
    for name, values in ((LEVEL, totals), (BY_STAGE, in_stages)):
        rows = np.array([values[place].ravel() for place in at])
        root = np.zeros((len(vocabulary.atoms), rows.shape[1]))
        root[marks] = rows
        levels.append(Level(name, root))
    return vocabulary.and_also_levels(levels)


def alone(vocabulary: Vocabulary) -> Vocabulary:
    """Return it without levels of categories: only what layers compute counts."""
    left = tuple(x for x in vocabulary.levels if not x.name.startswith(CATEGORIES))
    return replace(vocabulary, levels=left)


def _inverse_root(variance: np.ndarray) -> np.ndarray:
    """Return 1 / sqrt(variance), 0 where nothing varies."""
    return np.asarray(np.where(variance > 0, 1 / np.sqrt(np.maximum(variance, 1e-300)), 0.0))


def of(columns: Sequence[str], categories: Sequence[str]) -> Layers | None:
    """Return what `categories` compute in `columns`, None if they are of no space that is known.

    Columns are called alike but for a number, the layer's, and stand in any order.
    """
    parsed = [names.parse(column) for column in columns]
    places = [name.place for name in parsed if name.place is not None]
    if not places or len(places) < len(columns) or len({name.kind for name in parsed}) != 1:
        return None
    order = np.argsort(places)
    if np.any(np.diff(np.array(places)[order]) != 1):
        return None
    for reading in READINGS.values():
        layers = reading([columns[at] for at in order], categories)
        if layers is not None:
            back = np.argsort(order)
            return Layers(layers.work[back], layers.stages[back])
    return None


# FBNet (Wu et al. 2019), table 1: channels, layers and the first stride of each stage, at 224 px.
_FBNET = ((16, 1, 1), (24, 4, 2), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))
_FBNET_SIDE, _FBNET_STEM = 112, 16
_FBNET_BLOCK = re.compile(r"(?:ir_)?k(\d+)_?e(\d+)(?:_?g(\d+))?")


def fbnet(columns: Sequence[str], categories: Sequence[str]) -> Layers | None:
    """Return the layers of FBNet's space: kernel size, expand ratio and groups of inverted blocks.

    A skip where channels or sizes change is a convolution of 1 x 1.
    """
    blocks = [_FBNET_BLOCK.fullmatch(category) for category in categories]
    skipped = [category == "skip" for category in categories]
    if len(columns) != sum(layers for _, layers, _ in _FBNET):
        return None
    if not all(block or skip for block, skip in zip(blocks, skipped, strict=True)):
        return None
    side, before = _FBNET_SIDE, _FBNET_STEM
    work, stages = [], []
    for stage, (channels, count, first_stride) in enumerate(_FBNET):
        for layer in range(count):
            stride = first_stride if layer == 0 else 1
            shape = before, channels, side, stride
            work.append([_block(*shape, _sizes(x)) if x else _skip(*shape) for x in blocks])
            stages.append(stage)
            side, before = side // stride, channels
    return Layers(np.array(work), np.array(stages))


def _sizes(block: re.Match[str]) -> tuple[int, int, int]:
    """Return kernel size, expand ratio and groups."""
    return int(block[1]), int(block[2]), int(block[3] or 1)


def _block(
    before: int, after: int, side: int, stride: int, sizes: tuple[int, int, int]
) -> tuple[float, float, float, float]:
    """Return what an inverted block computes: 1 x 1, depthwise, 1 x 1."""
    kernel, expand, groups = sizes
    hidden, pixels, fewer = expand * before, side**2, (side // stride) ** 2
    first, depthwise, last = before * hidden / groups, kernel**2 * hidden, hidden * after / groups
    macs = first * pixels + (depthwise + last) * fewer
    moved = (before + 2 * hidden) * pixels + (2 * hidden + after) * fewer
    return macs, moved, first + depthwise + last, 3.0


def _skip(before: int, after: int, side: int, stride: int) -> tuple[float, float, float, float]:
    if stride == 1 and before == after:
        return 0.0, 0.0, 0.0, 0.0
    fewer = (side // stride) ** 2
    return before * after * fewer, before * side**2 + after * fewer, before * after, 1.0


READINGS: Mapping[str, Reading] = {"fbnet": fbnet}
