"""The roof of a machine from timed micro-models, and each layer of a network held against it.

The time limit of a layer is launch + MACs / rate of its kind + units that are no MACs + bytes /
bandwidth of its size: a roofline (Williams et al. 2009) with a ceiling a kind and a floor a kernel,
in which computing and moving do not overlap. As many chains as unknowns give as many equations.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edgenas.core.errors import MeasurementError
from edgenas.core.records import Operator
from edgenas.core.records.roofline import (
    BoundBy,
    LayerLimit,
    LayerWork,
    MicroTiming,
    Part,
    Roof,
)
from edgenas.int8.work.micro_models import (
    DENSE,
    DENSE_TAP,
    DEPTHWISE,
    DEPTHWISE_TAP,
    IN_CACHE,
    IN_MEMORY,
    LAUNCH,
    OUTPUT,
    POINTWISE,
    REST_OF_8,
    REST_OF_16,
    STARTED,
    UNITS,
)

RATES = (POINTWISE, DENSE, DEPTHWISE)
STARTING, CALLING, REST = "starting kernels", "the call itself", "not explained"
_PER_GIGA = 1e-3  # units of 1e9 a second in units a microsecond
# What ONNX Runtime and its converters add to the name of a node.
_ADDED = re.compile(r"(_token_\d+|_nchwc|_quant|_stored|_plain)+$")
_OUTPUT = re.compile(r"_output_\d+$")
_COMPUTING = ("Conv", "Gemm", "MatMul", "Fully Connected")  # types of operators, as engines say


@dataclass(frozen=True)
class Rates:
    """What the timings come to; fields as of `Roof`."""

    gmacs_per_s: Mapping[str, float]
    cached_gb_per_s: float
    memory_gb_per_s: float
    memory_from_bytes: int
    launch_us: float
    unit_ns: Mapping[str, float] = field(default_factory=dict)


def units(work: LayerWork) -> dict[str, int]:
    """Return the work of a layer that is no MAC, by the name of its unit.

    A convolution takes more to start than another kernel. Engines compute one of few channels
    slower than its MACs say: each output of a matrix product is rounded and stored; each tap of
    each pixel is looked up, however many channels there are; depthwise kernels take 8 or 16
    channels at once, and what fills no such vector one by one.
    """
    if not work.channels:
        return {}
    if work.kind != DEPTHWISE:
        looked_up = work.positions * work.taps if work.kind == DENSE else 0
        return {STARTED: 1, OUTPUT: work.positions * work.channels, DENSE_TAP: looked_up}
    looked_up = work.positions * work.taps
    return {
        STARTED: 1,
        DEPTHWISE_TAP: looked_up,
        REST_OF_8: looked_up * (work.channels % 8),
        REST_OF_16: looked_up * (work.channels % 16),
    }


def solve(
    timings: Mapping[str, MicroTiming],
    repeated: Mapping[str, LayerWork],
    counted: Sequence[str] = UNITS,
) -> Rates:
    """Return the rates with which each micro-model takes the time that it took.

    timings, repeated : by the name of the micro-model; `repeated` is the layer of its chain.
    counted : units that may cost something. One whose micro-model takes no longer than the others
        say costs nothing, and is left out.

    Raises
    ------
    MeasurementError : a rate is not above zero, which only noise can make.
    """
    unknowns = (LAUNCH, *RATES, IN_CACHE, IN_MEMORY, *counted)
    while True:
        solved = _solved(unknowns, timings, repeated)
        free = [name for name in unknowns if name in UNITS and not solved[name] > 0]
        if not free:
            break
        least = min(free, key=lambda name: solved[name] * units(repeated[name])[name])
        unknowns = tuple(name for name in unknowns if name != least)
    for name, value in solved.items():
        if not value > 0:
            about = timings[name].about
            raise MeasurementError(
                f"The timings of the micro-models contradict each other: {about} took "
                f"{timings[name].layer_us:.3g} us, less than the others leave for it.",
                "Close other programs on the target and run the same command again.",
            )
    return Rates(
        {kind: _PER_GIGA / solved[kind] for kind in RATES},
        _PER_GIGA / solved[IN_CACHE],
        _PER_GIGA / solved[IN_MEMORY],
        round(_border(repeated)),
        solved[LAUNCH],
        {name: solved.get(name, 0.0) * 1e3 for name in UNITS},
    )


def _border(repeated: Mapping[str, LayerWork]) -> float:
    """Return the bytes from which on a layer goes by the memory's bandwidth."""
    return math.sqrt(repeated[IN_CACHE].moved_bytes * repeated[IN_MEMORY].moved_bytes)


def _solved(
    unknowns: Sequence[str],
    timings: Mapping[str, MicroTiming],
    repeated: Mapping[str, LayerWork],
) -> dict[str, float]:
    """Return microseconds by unknown: a launch, a MAC of each kind, a byte, a unit."""
    border = _border(repeated)
    rows = np.zeros((len(unknowns), len(unknowns)))
    for row, name in zip(rows, unknowns, strict=True):
        work = repeated[name]
        amounts: dict[str, int] = {LAUNCH: 1, work.kind: work.macs, **units(work)}
        amounts[IN_MEMORY if work.moved_bytes >= border else IN_CACHE] = work.moved_bytes
        row[:] = [amounts.get(unknown, 0) for unknown in unknowns]
    taken_us = np.array([timings[name].layer_us for name in unknowns])
    return dict(zip(unknowns, np.linalg.solve(rows, taken_us).tolist(), strict=True))


def limits(layers: Sequence[LayerWork], rates: Rates | Roof) -> tuple[LayerLimit, ...]:
    """Return the least time that the rates leave each layer."""
    return tuple(_limit(layer, rates) for layer in layers)


def _limit(work: LayerWork, rates: Rates | Roof) -> LayerLimit:
    large = work.moved_bytes >= rates.memory_from_bytes
    bandwidth = rates.memory_gb_per_s if large else rates.cached_gb_per_s
    compute_us = work.macs / rates.gmacs_per_s[work.kind] * _PER_GIGA if work.macs else 0.0
    units_us = {name: n * rates.unit_ns.get(name, 0.0) / 1e3 for name, n in units(work).items()}
    started_us = units_us.pop(STARTED, 0.0)
    compute_us += sum(units_us.values())
    parts: dict[BoundBy, float] = {
        "launch": rates.launch_us + started_us,
        "compute": compute_us,
        "memory": work.moved_bytes / bandwidth * _PER_GIGA,
    }
    bound_by = max(parts, key=lambda name: parts[name])
    return LayerLimit(work, parts["launch"], parts["compute"], parts["memory"], bound_by)


def call_us(short_ms: float, layers: Sequence[LayerWork], rates: Rates) -> float:
    """Return what an inference takes besides its layers: of the shortest chain, what is left."""
    return max(0.0, short_ms * 1e3 - sum(one.limit_us for one in limits(layers, rates)))


def with_times(
    found: Sequence[LayerLimit], operators: Sequence[Operator], layers_ms: float
) -> tuple[LayerLimit, ...]:
    """Return the layers with the time that the engine's profiler gives them.

    A profiler adds to each kernel about the same, or leaves out what starting it takes and parts of
    its clock's ticks. So the difference of all operators together to `layers_ms`, the measured
    latency less a call, is taken off or shared out in equal parts.

    operators : whose names are the layers', but for what the engine adds. A layer without one
    keeps no time.
    """
    total_us = sum(one.ms for one in operators) * 1e3
    added_us = (total_us - layers_ms * 1e3) / max(1, len(operators))
    places = {_plain(one.work.name): at for at, one in enumerate(found)}
    times: dict[int, float] = defaultdict(float)
    for one in operators:
        at = _place(one, places, found)
        if at is not None:
            times[at] += max(0.0, one.ms * 1e3 - added_us)
    return tuple(replace(one, measured_us=times.get(at)) for at, one in enumerate(found))


def _place(
    operator: Operator, places: Mapping[str, int], found: Sequence[LayerLimit]
) -> int | None:
    """Return which layer an operator is; a convolution may be called as what is fused into it."""
    name = _plain(operator.name)
    at = places.get(name, places.get(_OUTPUT.sub("", name)))
    if at is None or not any(word in operator.type for word in _COMPUTING):
        return at
    return next((before for before in range(at, -1, -1) if found[before].work.macs), None)


def _plain(name: str) -> str:
    return _ADDED.sub("", name)


def parts(found: Sequence[LayerLimit], roof: Roof, latency_ms: float) -> tuple[Part, ...]:
    """Return what the latency is made of, largest first, what is not explained last.

    Of a kind whose layers all have a measured time it is that, less the launches; else the limits.
    """
    latency_us = latency_ms * 1e3
    made = [
        Part(STARTING, sum(one.launch_us for one in found) / latency_us, len(found)),
        Part(CALLING, roof.call_us / latency_us, 0),
    ]
    for kind in dict.fromkeys(one.work.kind for one in found):
        of_kind = [one for one in found if one.work.kind == kind]
        least_us = sum(one.compute_us + one.memory_us for one in of_kind)
        taken = [
            max(0.0, one.measured_us - one.launch_us)
            for one in of_kind
            if one.measured_us is not None
        ]
        if len(taken) < len(of_kind):
            made.append(Part(kind, least_us / latency_us, len(of_kind)))
            continue
        taken_us = sum(taken)
        of_limit = least_us / taken_us if taken_us else None
        made.append(Part(kind, taken_us / latency_us, len(of_kind), of_limit))
    ordered = sorted(made, key=lambda part: -part.share)
    return (*ordered, Part(REST, 1 - sum(part.share for part in made), 0))
