"""Layers that an int8 file keeps in float, so that its accuracy drops no more than is allowed.

The noisiest go first: those whose rounding alone moves the scores most. How many is decided on
images that neither calibrate nor are judged.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.core.progress import Progress
from edgenas.core.records import Interval
from edgenas.core.records.quantized import FloatCost, FloatLayer
from edgenas.int8.checks.sensitivity import macs, node_macs, sensitivity
from edgenas.int8.graph.calibrated import Calibrated
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.mixed import mixed
from edgenas.int8.graph.quantize import Scheme, quantize
from edgenas.int8.graph.ranges import Ranges
from edgenas.runs.own_models.bench import bench
from edgenas.targets.config import Access

_ORDER_IMAGES = 16  # on which the noise of layers is compared


@dataclass(frozen=True, eq=False)
class Mixture:
    """A graph of which the noisiest layers stay in float. lost, lost_int8 : fractions of the images
    that decided, with these layers in float and with none.
    """

    graph: Graph
    ranges: Ranges
    layers: tuple[FloatLayer, ...]
    lost: float
    lost_int8: float


def keep_noisiest(
    best: Calibrated,
    scheme: Scheme,
    images: np.ndarray,
    lost: Callable[[Graph, Ranges], float],
    most: float,
) -> Mixture:
    """Return `best` with as few of its noisiest layers in float as lose at most `most`.

    images : that order the layers by their noise, float32 [n, channels, height, width].
    lost : returns what the int8 file of a graph loses, a fraction of the deciding images.

    Raises
    ------
    ExportError : the images do not fit the graph.
    """
    known: dict[int, tuple[Graph, Ranges, float]] = {}

    def with_floats(count: int) -> tuple[Graph, Ranges, float]:
        if count not in known:
            names = [layer.name for layer in order[:count]]
            one, seen = mixed(best.graph, best.ranges, names)
            known[count] = one, seen, lost(one, seen)
        return known[count]

    order: tuple[FloatLayer, ...] = ()
    if with_floats(0)[2] > most:
        order = noisiest(best, scheme, images[:_ORDER_IMAGES])
    count = _fewest(lambda number: with_floats(number)[2] <= most, len(order))
    graph, ranges, dropped = with_floats(count)
    return Mixture(graph, ranges, order[:count], dropped, with_floats(0)[2])


def noisiest(best: Calibrated, scheme: Scheme, images: np.ndarray) -> tuple[FloatLayer, ...]:
    """Return the layers by the noise that each brings to the scores, most first."""
    quantization = quantize(best.graph, best.ranges, scheme)
    layers = sensitivity(best.graph, quantization, images, None).layers
    total = max(macs(best.graph), 1)
    shares = {node.output: node_macs(node) / total for node in best.graph.nodes}
    ordered = sorted(
        layers, key=lambda one: np.inf if one.logits_snr_db is None else one.logits_snr_db
    )
    return tuple(
        FloatLayer(one.name, one.kind, shares.get(one.name, 0.0), one.logits_snr_db)
        for one in ordered
    )


def _fewest(holds: Callable[[int], bool], most: int) -> int:
    """Return the least count that holds, up to `most`, as far as doubling and halving find it."""
    if most == 0 or holds(0):
        return 0
    below, count = 0, 1
    while count < most and not holds(count):
        below, count = count, min(2 * count, most)
    while count - below > 1:
        middle = (below + count) // 2
        below, count = (below, middle) if holds(middle) else (middle, count)
    return count


def measured_cost(
    contents: Mapping[str, bytes], suffix: str, target: str, access: Access, progress: Progress
) -> FloatCost:
    """Return the latencies of the files "mixed", "int8" and "float", timed in one job.

    contents : by these names. suffix : of such files.

    Raises
    ------
    InputError : the target is unknown. TargetError : it cannot be reached, or stopped early.
    """
    progress.message(f"measuring on {target} what layers in float cost")
    with tempfile.TemporaryDirectory() as scratch:
        paths = {name: Path(scratch) / f"{name}{suffix}" for name in contents}
        for name, content in contents.items():
            paths[name].write_bytes(content)
        rows = bench(list(paths.values()), (target,), (), access, progress, shapes={}).rows
    times: dict[str, Interval | None] = dict.fromkeys(contents)
    for name, row in zip(paths, rows, strict=True):
        if row.median_ms is not None:
            bounds = row.ci95_ms or (row.median_ms, row.median_ms)
            times[name] = Interval(row.median_ms, *bounds)
    reason = next((f"{row.model}: {row.reason}" for row in rows if row.status != "ok"), "")
    return FloatCost(
        rows[0].target, rows[0].engine, times["mixed"], times["int8"], times["float"], reason
    )
