"""Networks and measurements, as hypothesis draws them for stores."""

from __future__ import annotations

import numpy as np

from edgenas.core import plugins
from edgenas.core.records import Architecture, Latency, Measurement, Outcome


def architectures(count: int) -> list[Architecture]:
    space = plugins.load("spaces", "mbv3-tiny").create(10, 1, 16)
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(count)]


def measurement(architecture: Architecture, median_ms: float | None) -> Measurement:
    latency = None
    if median_ms is not None:
        latency = Latency(median_ms, median_ms, (median_ms, median_ms), ((1, 2),), (1.0,), True)
    status, reason = ("failed", "killed by SIGSEGV") if latency is None else ("ok", "")
    outcome = Outcome(status, reason, "onnxruntime", "1", "CPU", {"cores": 2}, latency, 10)
    return Measurement(architecture, "board", "ab" * 32, 100, "random", outcome)
