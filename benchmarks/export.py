"""Time what an exported model costs on this machine; print JSON.

Run: OMP_NUM_THREADS=1 python benchmarks/export.py

Times are CPU time of the one thread: what it would take on a core of its own.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edgenas.core import plugins
from edgenas.core.records import Architecture, Layer
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import Ranges, random_ranges
from edgenas.spaces import foxnas_cpu, mbv3_tiny
from edgenas.spaces.base import MobileSpace

REPEATS = 9


def milliseconds(action: Callable[[], Any]) -> float:
    """Return the median CPU time of `action`, milliseconds."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return round(1e3 * statistics.median(times), 2)


def networks() -> dict[str, tuple[MobileSpace, Architecture]]:
    """Return the measured networks: the default space, and one of about a million parameters."""
    tiny, large = mbv3_tiny.create(10, 1, 16), foxnas_cpu.create(10, 3, 96)
    million = ((3, 3), (3, 5), (3, 3), (3, 5), (3, 3)), ((4, 4), (4, 4), (4, 4), (4, 3), (3, 3))
    return {
        "mbv3-tiny, largest": (tiny, tiny.largest()),
        "foxnas-cpu, about 1 M params": (large, Architecture("foxnas-cpu", 96, *million)),
        "foxnas-cpu, largest": (large, large.largest()),
    }


def exporter_row(name: str, graph: Graph, ranges: Ranges) -> dict[str, Any]:
    """Return emission times and file sizes of one exporter."""
    emit = plugins.load("exporters", name).emit
    emit(graph, ranges)
    return {
        "exporter": name,
        "fp32_ms": milliseconds(lambda: emit(graph, None)),
        "int8_ms": milliseconds(lambda: emit(graph, ranges)),
        "fp32_bytes": len(emit(graph, None)),
        "int8_bytes": len(emit(graph, ranges)),
    }


def network_row(name: str, layers: tuple[Layer, ...]) -> dict[str, Any]:
    """Return the times of everything between a network's layers and its files."""
    state = random_state(layers, 0)
    graph = lower(layers, state)
    ranges = random_ranges(graph, 0)
    return {
        "network": name,
        "params": graph.params,
        "nodes": len(graph.nodes),
        "random_state_ms": milliseconds(lambda: random_state(layers, 0)),
        "lower_ms": milliseconds(lambda: lower(layers, state)),
        "random_ranges_ms": milliseconds(lambda: random_ranges(graph, 0)),
        "exporters": [exporter_row(name, graph, ranges) for name in plugins.names("exporters")],
    }


def main() -> None:
    rows = [
        network_row(name, space.layers(architecture))
        for name, (space, architecture) in networks().items()
    ]
    machine = {"machine": platform.machine(), "numpy": np.__version__, "clock": "CPU time"}
    print(json.dumps({"machine": machine, "repeats": REPEATS, "networks": rows}, indent=2))


if __name__ == "__main__":
    main()
