"""What a network would need on an FPGA: an estimate of a dataflow pipeline, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

FORMULAS = "estimated by formulas"  # what an estimate rests on without reports of a synthesis


@dataclass(frozen=True)
class FpgaDevice:
    """Resources of an FPGA.

    part : as Vivado names it, board : as FINN names it; "" where neither is known.
    bram18 : block RAMs of 18 kbit; one of 36 kbit counts as two.
    """

    name: str
    luts: int
    dsps: int
    bram18: int
    part: str = ""
    board: str = ""


@dataclass(frozen=True)
class Folding:
    """How far the unit of one layer is unrolled, and what it then takes.

    pe : output channels computed at once. simd : inputs of each at once.
    cycles : clock cycles an image. luts, dsps, bram18 : of the unit with its weights, thresholds,
        window buffer and, of an addition, the queue of what waits for it.
    """

    pe: int
    simd: int
    cycles: int
    luts: float
    dsps: int
    bram18: int


@dataclass(frozen=True)
class LayerEstimate:
    """One layer as a unit of the pipeline."""

    name: str
    kind: str
    folding: Folding


@dataclass(frozen=True)
class HardwareEstimate:
    """A whole network as a pipeline in which each layer has a unit of its own.

    images_per_s : clock over the cycles of the slowest unit. latency_ms : of one image through all
        units, one after the other: never less than it takes. bottleneck : name of the slowest unit.
    """

    layers: tuple[LayerEstimate, ...]
    luts: float
    dsps: int
    bram18: int
    images_per_s: float
    latency_ms: float
    bottleneck: str
