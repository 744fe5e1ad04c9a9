"""Calibration: the least and greatest value of every tensor on given images."""

from __future__ import annotations

import numpy as np

from edgenas.core.errors import ExportError
from edgenas.int8.graph.float_reference import run
from edgenas.int8.graph.ir import Graph

Ranges = dict[str, tuple[float, float]]


def calibrate(graph: Graph, images: np.ndarray, batch_size: int = 32) -> Ranges:
    """Return (min, max) of every tensor by name, over images, float32 [n, channels, height, width].

    Raises
    ------
    ExportError : the images do not fit the graph, or a tensor has values that are not finite.
    """
    ranges: Ranges = {}

    def observe(name: str, values: np.ndarray) -> None:
        least, greatest = float(values.min()), float(values.max())
        if not np.isfinite([least, greatest]).all():
            raise ExportError(f"The tensor '{name}' has values that are not finite.")
        if name in ranges:
            least, greatest = min(least, ranges[name][0]), max(greatest, ranges[name][1])
        ranges[name] = (least, greatest)

    run(graph, images, observe=observe, batch_size=batch_size)
    return ranges


def random_ranges(graph: Graph, seed: int, n_images: int = 4) -> Ranges:
    """Return the ranges on seeded standard-normal images, for models with random weights."""
    shape = (n_images, *graph.input_shape[1:])
    return calibrate(graph, np.random.default_rng(seed).standard_normal(shape, np.float32))
