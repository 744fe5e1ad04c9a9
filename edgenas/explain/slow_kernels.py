"""Engine pathologies: kernel sizes that cost far more than their arithmetic, as measured.

Every run measures the smallest network with each kernel size throughout: they differ in nothing
else, so that no fit stands between what is said and what was timed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from msgspec import structs

from edgenas.core.counted import counted
from edgenas.core.readings import Observed
from edgenas.core.records import Architecture, Interval, Measurement
from edgenas.spaces.base import MobileSpace

# How many times what its arithmetic says a kernel size must cost before it is called pathological.
LEAST_EXCESS = 2.0
# The same of samples: of a single pass, something else that ran meanwhile could have taken half.
LEAST_EXCESS_OF_SAMPLES = 4.0
EXCESSES = (LEAST_EXCESS, LEAST_EXCESS_OF_SAMPLES)


@dataclass(frozen=True)
class Pathology:
    """A kernel size that is far dearer than the next smaller one, in networks that are else alike.

    slow_ms, usual_ms : measured latency with either kernel size throughout, with the intervals that
        tell them apart: of 95 %, or the middle 80 % of all samples.
    work_ratio : of the two networks' multiply-accumulates.
    """

    kernel_size: int
    usual: int
    slow_ms: Interval
    usual_ms: Interval
    work_ratio: float

    @property
    def ratio(self) -> float:
        return self.slow_ms.mean / self.usual_ms.mean

    def sentence(self, engine: str, candidates: Sequence[Architecture]) -> str:
        """Return it in words, with what the search made of it."""
        slow_ms, usual_ms = self.slow_ms.mean, self.usual_ms.mean
        said = (
            f"Kernel size {self.kernel_size} costs {_times(self.ratio)} kernel size {self.usual} "
            f"on {engine}: the smallest network takes {slow_ms:.3g} instead of {usual_ms:.3g} ms "
            f"with it, for {_times(self.work_ratio)} the arithmetic"
        )
        if not candidates:
            return f"{said}."
        using = sum(self.kernel_size in sum(one.kernel_sizes, ()) for one in candidates)
        if using == 0:
            return f"{said}; the search avoids it: no candidate uses it."
        uses = "uses" if using == 1 else "use"
        return f"{said}; {using} of {counted(len(candidates), 'candidate')} {uses} it all the same."


def _times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.2g}x"


def kernel_networks(space: MobileSpace) -> dict[int, Architecture]:
    """Return the smallest network with each kernel size that every stage offers, throughout."""
    smallest = space.smallest()
    sizes = set.intersection(*(set(stage.kernel_sizes) for stage in space.stages))
    return {
        size: structs.replace(
            smallest, kernel_sizes=tuple((size,) * len(stage) for stage in smallest.kernel_sizes)
        )
        for size in sorted(sizes)
    }


class Measured(Protocol):
    """What was measured of the networks of a space; a run is one."""

    @property
    def space(self) -> MobileSpace: ...

    def measurements(self) -> Sequence[Measurement]: ...

    def latencies(self) -> Mapping[Architecture, Observed]: ...


def find(run: Measured) -> tuple[Pathology, ...]:
    """Return the pathologies among what the run measured on its target.

    A kernel size counts if, between the near ends of the two 95 % intervals, it costs more than
    `LEAST_EXCESS` times what the arithmetic makes of the next smaller one; or, which takes no
    second pass, `LEAST_EXCESS_OF_SAMPLES` times between the near deciles of all samples.
    """
    found = []
    networks = kernel_networks(run.space)
    work = {
        size: sum(layer.macs for layer in run.space.layers(network))
        for size, network in networks.items()
    }
    known = _timings(run)
    timed = [(size, known[network]) for size, network in networks.items() if network in known]
    for (usual, usual_ms), (size, slow_ms) in pairwise(timed):
        work_ratio = work[size] / work[usual]
        for excess, slow, fast in zip(EXCESSES, slow_ms, usual_ms, strict=True):
            if slow and fast and slow.lower > excess * work_ratio * fast.upper:
                found.append(Pathology(size, usual, slow, fast, work_ratio))
                break
    return tuple(found)


Timing = tuple[Interval | None, Interval | None]


def _timings(run: Measured) -> dict[Architecture, Timing]:
    """Return each latency with its 95 % interval, if any, and with the deciles of its samples."""
    timings: dict[Architecture, Timing] = {}
    samples = {m.architecture: m.outcome.latency for m in run.measurements()}
    for network, (median, ci95) in run.latencies().items():
        interval = None if ci95 is None else Interval(median, *ci95)
        raw, ends = samples[network], None
        if raw is not None:
            every = np.concatenate([np.asarray(one, float) for one in raw.samples_ns])
            low, high = np.quantile(every, (0.1, 0.9)) / 1e6 * (median / raw.median_ms)
            ends = Interval(median, float(low), float(high))
        timings[network] = interval, ends
    return timings


def sentences(run: Measured, engine: str, candidates: Sequence[Architecture]) -> tuple[str, ...]:
    """Return each pathology in words, with what a search made of it that found `candidates`."""
    return tuple(pathology.sentence(engine, candidates) for pathology in find(run))


def slow_kernels(run: Measured) -> frozenset[int]:
    """Return the kernel sizes that the engine was found to be slow at."""
    return frozenset(pathology.kernel_size for pathology in find(run))
