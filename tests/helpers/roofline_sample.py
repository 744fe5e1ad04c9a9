"""A roofline of three layers, as a record."""

from __future__ import annotations

from edgenas.core.records import Interval
from edgenas.core.records.roofline import (
    LayerLimit,
    LayerWork,
    MicroTiming,
    Part,
    Roof,
    Roofline,
)

MICRO = ("pointwise", "dense", "depthwise", "cached add", "large add", "small depthwise")


def sample(name: str = "block", sha256: str = "0" * 64) -> Roofline:
    """Return it; name : of the slowest layer."""
    timings = tuple(MicroTiming(one, f"a {one} layer", 2, 8, 1.0, 2.0) for one in MICRO)
    rates = {"pointwise": 20.0, "dense": 16.0, "depthwise": 3.0}
    roof = Roof(
        *("pi", "onnxruntime", "1.31", "CPUExecutionProvider", "A72", 1, "int8"),
        *(rates, 6.0, 1.5, 1_376_256, 2.0, 10.0, timings),
    )
    layers = (
        LayerLimit(LayerWork("stem", "dense", 160_000, 6_000, 27, 8, 8), 2, 10, 1, "compute", 14),
        LayerLimit(LayerWork(name, "depthwise", 90_000, 6_000, 9, 8, 8), 2, 30, 1, "compute", 36),
        LayerLimit(LayerWork("head", "pointwise", 2_000, 60, 8, 8, 8), 2, 0.1, 0.01, "launch"),
    )
    parts = (
        Part("depthwise", 0.54, 1, 0.92),
        Part("starting kernels", 0.27, 3),
        Part("pointwise", 0.11, 1, 0.4),
        Part("the call itself", 0.03, 0),
        Part("not explained", 0.05, 0),
    )
    return Roofline(
        "edgenas-roofline", 1, "2026-01-01T00:00:00+00:00", "net.onnx", sha256, roof,
        Interval(0.06, 0.059, 0.061), layers, parts,
    )  # fmt: skip
