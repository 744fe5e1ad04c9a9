"""How far a network is from what its machine can do: work, limits and measured times by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgenas.core.records.intervals import Interval

WorkKind = Literal["pointwise", "dense", "depthwise", "elementwise", "pool", "move"]
BoundBy = Literal["launch", "compute", "memory"]
Numbers = Literal["int8", "float32"]


@dataclass(frozen=True)
class LayerWork:
    """One layer of a model file: what it computes and moves for one image.

    kind : "pointwise" is every convolution of one pixel and every matrix, "dense" a convolution of
        more; "move" only changes where or how numbers are stored.
    macs : multiply-accumulates. fan_in : those of one output.
    moved_bytes : inputs, output and constants as they are stored, each once.
    weight_bits, activation_bits : as stored; of a layer without weights, 0 and its input's.
    channels : of the output, where there are MACs. taps : pixels of the kernel. Both are 0 in
        documents of before.
    """

    name: str
    kind: WorkKind
    macs: int
    moved_bytes: int
    fan_in: int = 0
    weight_bits: int = 0
    activation_bits: int = 0
    channels: int = 0
    taps: int = 0

    @property
    def positions(self) -> int:
        """Pixels of the output, or rows of a matrix; 0 where that is not known."""
        return self.macs // (self.fan_in * self.channels) if self.channels else 0

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: multiply-accumulates a byte (Williams et al. 2009)."""
        return self.macs / self.moved_bytes if self.moved_bytes else 0.0

    @property
    def bit_operations(self) -> float:
        """Bit operations with those of the sums, per Baskin et al. 2018 (arXiv 1804.10969).

        MACs * (b_w b_a + b_w + b_a + log2(fan-in)).
        """
        if not self.macs:
            return 0.0
        bits = self.weight_bits * self.activation_bits + self.weight_bits + self.activation_bits
        return self.macs * (bits + math.log2(self.fan_in))

    @property
    def bit_products(self) -> int:
        """Bit operations of the products alone: MACs * b_w b_a, as QONNX's inference cost has."""
        return self.macs * self.weight_bits * self.activation_bits


@dataclass(frozen=True)
class FileWork:
    """The layers of a model file in its order. not_covered : what is in no layer, in words."""

    layers: tuple[LayerWork, ...]
    not_covered: tuple[str, ...] = ()


@dataclass(frozen=True)
class MicroTiming:
    """A chain of equal layers in two lengths, timed: what one layer more takes.

    about : the layer, in words. layer_us : microseconds a layer, by the two lengths' difference.
    """

    name: str
    about: str
    short_layers: int
    long_layers: int
    short_ms: float
    long_ms: float

    @property
    def layer_us(self) -> float:
        return (self.long_ms - self.short_ms) / (self.long_layers - self.short_layers) * 1e3


@dataclass(frozen=True)
class Roof:
    """What a machine can do in one engine, solved from as many micro-models as there are unknowns.

    A layer is given launch_us, then MACs at the rate of its kind, then what does not grow with its
    MACs, then bytes at the bandwidth of its size; these add up, which explains measured networks
    better than the largest of them (docs/benchmarks). gmacs_per_s : by kind. cached_gb_per_s : of
    layers that move less than `memory_from_bytes`, memory_gb_per_s : of larger ones. call_us : of
    an inference, besides its layers. numbers : in which the micro-models compute. unit_ns :
    nanoseconds of each unit of work that is no MAC, by its name in `explain.roofline.units`; none
    in documents of before.
    """

    target: str
    engine: str
    engine_version: str
    provider: str
    machine: str
    threads: int | None
    numbers: Numbers
    gmacs_per_s: Mapping[str, float]
    cached_gb_per_s: float
    memory_gb_per_s: float
    memory_from_bytes: int
    launch_us: float
    call_us: float
    micro_models: tuple[MicroTiming, ...]
    unit_ns: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerLimit:
    """A layer against the roof: the least time that the machine's own rates leave it.

    launch_us, compute_us, memory_us : the parts of `limit_us`; compute_us is all but the other two.
    bound_by : the largest of them.
    measured_us : by the engine's profiler, less what that adds to a kernel; None where the engine
        has none, or names the layer otherwise.
    """

    work: LayerWork
    launch_us: float
    compute_us: float
    memory_us: float
    bound_by: BoundBy
    measured_us: float | None = None

    @property
    def limit_us(self) -> float:
        return self.launch_us + self.compute_us + self.memory_us

    @property
    def of_limit(self) -> float | None:
        """How much of what the machine does on such layers this one gets, as a fraction.

        None also of a time below that of starting a kernel, which no profiler resolves.
        """
        if self.measured_us is None or self.measured_us < self.launch_us:
            return None
        return self.limit_us / self.measured_us


@dataclass(frozen=True)
class Part:
    """A part of the latency: of a kind of layer, of starting kernels, or of what is left.

    share : of the measured latency, a fraction. of_limit : how much of the machine's own rate the
        part gets; None where that was not measured. layers : how many.
    """

    name: str
    share: float
    layers: int
    of_limit: float | None = None


@dataclass(frozen=True)
class Roofline:
    """What `edgenas roofline` found: `kind` and `version` say what the document is.

    model, sha256 : of the file. latency_ms : measured, median with its 95 % interval.
    parts : of the latency, largest first, what is not explained last.
    profile_missing : why no layer has a measured time; "" where some have.
    """

    kind: Literal["edgenas-roofline"]
    version: int
    measured_at: str
    model: str
    sha256: str
    roof: Roof
    latency_ms: Interval
    layers: tuple[LayerLimit, ...]
    parts: tuple[Part, ...]
    profile_missing: str = ""
    doubts: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()

    @property
    def limit_ms(self) -> float:
        """The sum of the limits of all layers, and of a call."""
        return (self.roof.call_us + sum(one.limit_us for one in self.layers)) / 1e3

    @property
    def explained(self) -> float:
        """The sum of the limits over the measured latency."""
        return self.limit_ms / self.latency_ms.mean

    @property
    def bits_differ(self) -> bool:
        """Whether its layers compute in numbers of several widths: bit operations then tell more
        than MACs."""
        widths = {
            (one.work.weight_bits, one.work.activation_bits) for one in self.layers if one.work.macs
        }
        return len(widths) > 1
