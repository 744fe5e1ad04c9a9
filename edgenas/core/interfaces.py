"""What a supernet needs of a search space and of a data set, whose families it does not import."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from edgenas.core.contracts import TaskMember
from edgenas.core.records import Architecture, Layer


class Space(Protocol):
    """A search space; each layer of a network is a part of the largest network's layer so named."""

    @property
    def name(self) -> str: ...

    @property
    def resolutions(self) -> tuple[int, ...]: ...

    @property
    def num_classes(self) -> int: ...

    @property
    def in_channels(self) -> int: ...

    def largest(self) -> Architecture: ...

    def smallest(self) -> Architecture: ...

    def narrowest(self) -> Architecture:
        """The network with all blocks, and of everything else the least."""
        ...

    def sample(self, rng: np.random.Generator) -> Architecture: ...

    def layers(self, architecture: Architecture) -> tuple[Layer, ...]: ...


class Split(Protocol):
    """Images, uint8 [n, height, width, channels], and their labels, int64 [n] or [n, …]."""

    @property
    def images(self) -> np.ndarray: ...

    @property
    def labels(self) -> np.ndarray: ...

    def resized(self, size: int) -> Split: ...


class Data(Protocol):
    """A data set: its splits, and the mean and spread of each channel as fractions of 255."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def mean(self) -> tuple[float, ...]: ...

    @property
    def std(self) -> tuple[float, ...]: ...

    @property
    def fit(self) -> str: ...

    @property
    def task(self) -> TaskMember: ...

    @property
    def train(self) -> Split: ...

    @property
    def val(self) -> Split: ...

    @property
    def test(self) -> Split: ...

    def calibration(self, count: int) -> Split: ...
