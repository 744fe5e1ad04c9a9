"""A machine with a known roof: what a model takes follows from its layers, worked out by hand.

The layers are `Layer` records, from which files are made; nothing here reads a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgenas.core.errors import MeasurementError
from edgenas.core.records import Latency, Layer, Operator, OperatorProfile, Outcome
from edgenas.int8.work.micro_models import MICRO_MODELS
from edgenas.targets.jobs.job_target import JobTarget

LAUNCH_US, CALL_US = 3.0, 40.0
GMACS = {"pointwise": 10.0, "dense": 8.0, "depthwise": 2.0}
UNIT_NS = {
    "started convolution": 1500.0,
    "output": 4.0,
    "dense tap": 30.0,
    "depthwise tap": 20.0,
    "rest of 8": 6.0,
    "rest of 16": 1.0,
}
CACHED_GB, MEMORY_GB = 5.0, 0.8
ADDED_US = 5.0  # by the profiler, to each kernel
_MEMORY_FROM = 1_400_000  # bytes: between the two additions among the micro-models
_CLASSES = 10


def layer_us(layer: Layer) -> float:
    """Return what a layer takes: launch, MACs, units, then the bytes of an int8 ONNX file."""
    kind = {"depthwise": "depthwise", "linear": "pointwise"}.get(layer.kind, "pointwise")
    if layer.kind == "conv" and layer.kernel_size > 1:
        kind = "dense"
    biases = 3 * layer.out_channels if layer.params else 0  # int32, counted as one byte there
    moved = layer.moved_bytes + biases
    bandwidth = MEMORY_GB if moved > _MEMORY_FROM else CACHED_GB
    computing_us = (layer.macs / GMACS[kind] if layer.params else 0.0) / 1e3 + units_us(layer)
    return LAUNCH_US + computing_us + moved / bandwidth / 1e3


def units_us(layer: Layer) -> float:
    """Return what a layer takes for its outputs, taps and rests of vectors."""
    pixels, channels, ns = layer.out_size**2, layer.out_channels, UNIT_NS
    taps = pixels * layer.kernel_size**2
    started = ns["started convolution"]
    if layer.kind == "depthwise":
        rests = ns["rest of 8"] * (channels % 8) + ns["rest of 16"] * (channels % 16)
        return (started + taps * (ns["depthwise tap"] + rests)) / 1e3
    if not layer.params:
        return 0.0
    looked_up = taps * ns["dense tap"] if layer.kernel_size > 1 else 0.0
    return (started + pixels * channels * ns["output"] + looked_up) / 1e3


def network_us(layers: Sequence[Layer]) -> float:
    """Return what a network takes; at its ends floats of 4 bytes become integers, and back."""
    first = layers[0]
    image = first.in_channels * first.in_size**2 * 5 / CACHED_GB / 1e3
    logits = _CLASSES * 5 / CACHED_GB / 1e3
    return CALL_US + sum(map(layer_us, layers)) + 2 * LAUNCH_US + image + logits


@contextmanager
def measuring(layers: Sequence[Layer], *, profiles: bool = True) -> Iterator[None]:
    """Let every target take for a model of `layers`, and the micro-models, what they must take."""
    chains = {
        f"{one.name.replace(' ', '-')}-{n}": one.layers(n)
        for one in MICRO_MODELS
        for n in (one.short, one.long)
    }

    def measure(self: JobTarget, models: Any, settings: Any, job_dir: Path, progress: Any) -> Any:
        assert settings.energy_s == 0  # not a minute of power for each micro-model
        return {one.key: _outcome(network_us(chains.get(one.key, layers))) for one in models}

    def profile(self: JobTarget, model: Any, runs: int, job_dir: Path, progress: Any) -> Any:
        if not profiles:
            raise MeasurementError("It has no profiler.", "Take another engine.")
        return _profile(model.key, layers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobTarget, "measure", measure)
        patch.setattr(JobTarget, "profile", profile)
        yield


def _outcome(taken_us: float) -> Outcome:
    taken = taken_us / 1e3
    latency = Latency(taken, taken, (taken, taken), ((1,),), (1.0,), True)
    return Outcome("ok", "", "onnxruntime", "1", "CPUExecutionProvider", {}, latency)


def _profile(key: str, layers: Sequence[Layer]) -> OperatorProfile:
    """Return a profile with the names that ONNX Runtime gives, and what measuring adds to each."""
    times = {"input_stored": LAUNCH_US + layers[0].in_channels * layers[0].in_size ** 2 * 5 / 5e3}
    for number, layer in enumerate(layers):
        name = "logits_real" if layer.kind == "linear" else f"{layer.name}_token_{number}"
        times[name] = layer_us(layer)
    times["logits"] = LAUNCH_US + _CLASSES * 5 / 5e3
    operators = tuple(
        Operator(name, "", (us + ADDED_US) / 1e3, 0.0, "", "", "") for name, us in times.items()
    )
    total_ms = sum(one.ms for one in operators)
    return OperatorProfile(key, "local", "onnxruntime", "1", 30, total_ms, operators)
