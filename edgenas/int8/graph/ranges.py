"""Calibration: the least and greatest value of every tensor on given images."""

from __future__ import annotations

import numpy as np

from edgenas.core.errors import ExportError
from edgenas.int8.graph.float_reference import run
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.least_error import best_greatest

MOST_SEEN = 4096  # values of a batch, by which a tensor of few bits is cut off
Ranges = dict[str, tuple[float, float]]


def calibrate(graph: Graph, images: np.ndarray, batch_size: int = 32) -> Ranges:
    """Return (min, max) of every tensor by name, over images, float32 [n, *graph.takes].

    Of a tensor of fewer than 8 bits, none of whose values is negative, the greatest is where it is
    cut off with the least squared error.

    Raises
    ------
    ExportError : the images do not fit the graph, or a tensor has values that are not finite.
    """
    ranges: Ranges = {}
    few = {name: bits for name, bits in graph.bits.items() if bits < 8}
    seen: dict[str, list[np.ndarray]] = {name: [] for name in few}

    def observe(name: str, values: np.ndarray) -> None:
        least, greatest = float(values.min()), float(values.max())
        if not np.isfinite([least, greatest]).all():
            raise ExportError(f"The tensor '{name}' has values that are not finite.")
        if name in ranges:
            least, greatest = min(least, ranges[name][0]), max(greatest, ranges[name][1])
        ranges[name] = (least, greatest)
        if name in few:
            flat = values.reshape(-1)
            seen[name].append(flat[:: max(1, len(flat) // MOST_SEEN)].copy())

    run(graph, images, observe=observe, batch_size=batch_size)
    for name, bits in few.items():
        least, greatest = ranges[name]
        if least >= 0:
            values = np.concatenate(seen[name])
            ranges[name] = (least, best_greatest(values, greatest, 2**bits - 1))
    return ranges


def random_ranges(graph: Graph, seed: int, n_images: int = 4) -> Ranges:
    """Return the ranges on seeded standard-normal images, for models with random weights."""
    shape = (n_images, *graph.takes)
    return calibrate(graph, np.random.default_rng(seed).standard_normal(shape, np.float32))
