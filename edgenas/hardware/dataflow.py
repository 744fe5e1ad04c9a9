"""What one unit of a dataflow pipeline takes: cycles, LUTs, block RAM and DSPs, by formula.

Every layer has a unit of its own that computes `pe` outputs from `simd` inputs a cycle. The
formulas are FINN-R's (Blott et al. 2018, arXiv 1809.04570) with the constants of FINN's source
(BSD-3), the accumulator's width is that of arXiv 2301.13376, and queues are those that FINN+ 1.6
fitted to Vivado. Cycles agree with boards to 1 %; LUTs are right to a factor of 2 until they are
calibrated (docs/how-to/fpga.md has the comparison).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from edgenas.core.records import Layer

UNIT_LUTS = 300.0  # control of a unit, and of a window buffer
LUTS_PER_GATE = 1.1
LUT_MEMORY_DEPTH = 128  # words; deeper memories are block RAM
LUT_BITS = 64  # that one LUT stores as memory

Multipliers = Literal["lut", "dsp"]
Thresholds = Literal["search", "parallel"]
# As FINN calls them; the queue of what an addition waits for is one of its FIFOs.
UnitKind = Literal["MVAU", "VVAU", "ConvolutionInputGenerator", "AddStreams", "GlobalAccPool",
                   "StreamingFIFO"]  # fmt: skip
_MATRICES = ("conv", "depthwise", "linear")


@dataclass(frozen=True)
class Style:
    """How units are built.

    multipliers : in LUTs, or a DSP each. thresholds : found by binary search, one comparator a bit
    of the output (FINN's RTL), or by one comparator a threshold (FINN's HLS).
    """

    multipliers: Multipliers = "lut"
    thresholds: Thresholds = "search"


@dataclass(frozen=True)
class Terms:
    """What the LUTs of a unit are made of; a calibration fits a factor to each.

    units : 1 a unit, 0 a queue. The others are gates or LUTs of memory, as formulas count them,
    before any factor.
    """

    units: float = 0.0
    multipliers: float = 0.0
    adders: float = 0.0
    thresholds: float = 0.0
    memory: float = 0.0


@dataclass(frozen=True)
class Unit:
    """What a unit takes. cycles : an image. bram18 : block RAMs of 18 kbit."""

    kind: UnitKind
    cycles: int
    terms: Terms
    dsps: int
    bram18: int


def accumulator_bits(fan_in: int, weight_bits: int, input_bits: int, *, signed: bool) -> int:
    """Return the bits that no sum of `fan_in` products overflows (arXiv 2301.13376, eq. 4).

    signed : whether the inputs are.
    """
    alpha = math.log2(fan_in) + weight_bits + input_bits - 1 - signed
    return math.ceil(alpha + math.log2(1 + 2**-alpha) + 1)


def bram18(depth: int, width: int) -> int:
    """Return the block RAMs of a memory of `depth` words of `width` bits (FINN-R, section 4)."""
    if width == 1:
        return math.ceil(depth / 16384)
    if width == 2:
        return math.ceil(depth / 8192)
    for widest, words in ((4, 4096), (9, 2048)):
        if width <= widest:
            return math.ceil(depth / words) * math.ceil(width / widest)
    if width <= 18 or depth > 512:
        return math.ceil(depth / 1024) * math.ceil(width / 18)
    return math.ceil(depth / 512) * math.ceil(width / 36)


def memory(depth: int, width: int) -> tuple[float, int]:
    """Return the LUTs and the block RAMs of a memory: LUTs where it is shallow."""
    if depth <= LUT_MEMORY_DEPTH:
        return float(width * math.ceil(depth / LUT_BITS)), 0
    return 0.0, bram18(depth, width)


def layer_units(
    layer: Layer, pe: int, simd: int, style: Style, waiting: int = 0
) -> tuple[Unit, ...]:
    """Return the units of a layer, the one that computes first; then its window buffer or queue.

    waiting : pixels that an addition's other input queues while its branch fills windows.
    """
    if layer.kind not in _MATRICES:
        unit = stream_unit(layer, pe)
        queue = queue_size(waiting * (layer.in_channels // pe), pe * layer.input_bits)
        held = Unit("StreamingFIFO", 0, Terms(memory=queue[0]), 0, queue[1])
        return (unit, held) if layer.kind == "add" else (unit,)
    unit = matrix_unit(layer, pe, simd, style)
    if layer.kernel_size == 1:
        return (unit,)
    return unit, window_unit(layer, pe if layer.kind == "depthwise" else simd)


def matrix_unit(layer: Layer, pe: int, simd: int, style: Style, *, signed: bool = False) -> Unit:
    """Return the unit of a convolution or a matrix product (FINN's MVAU; depthwise its VVAU).

    pe divides the output channels; simd the input channels, of a depthwise one its kernel's pixels.
    signed : whether the inputs are, which saves the accumulator a bit.
    """
    depthwise = layer.kind == "depthwise"
    taps = layer.kernel_size**2
    fan_in = taps if depthwise else taps * layer.in_channels
    outputs, pixels = layer.out_channels, layer.out_size**2
    bits = layer.weight_bits + layer.input_bits
    in_dsps = style.multipliers == "dsp"
    gates = 0 if in_dsps else simd * (2 * math.ceil(bits / 6) - 1) * bits
    acc = accumulator_bits(fan_in, layer.weight_bits, layer.input_bits, signed=signed)
    thresholds, in_luts, in_bram = 0.0, 0.0, 0
    if layer.kind != "linear":  # the last layer's sums are the logits
        thresholds, in_luts, in_bram = _thresholds(layer.output_bits, acc, outputs, pe, style)
    weights = memory(outputs * fan_in // (pe * simd), pe * simd * layer.weight_bits)
    return Unit(
        "VVAU" if depthwise else "MVAU",
        cycles=(outputs // pe) * (fan_in // simd) * pixels,
        terms=Terms(
            units=1.0,
            multipliers=float(pe * gates),
            adders=float(pe * (bits * (2 * simd - 1) + acc)),
            thresholds=pe * thresholds,
            memory=weights[0] + in_luts,
        ),
        dsps=pe * simd if in_dsps else 0,
        bram18=weights[1] + in_bram,
    )


def window_unit(layer: Layer, at_once: int) -> Unit:
    """Return the buffer of the rows that a kernel wider than 1 pixel keeps, which keeps up."""
    luts, blocks = memory(
        waiting_pixels(layer) * (layer.in_channels // at_once), at_once * layer.input_bits
    )
    return Unit("ConvolutionInputGenerator", 0, Terms(1.0, memory=luts), 0, blocks)


def stream_unit(layer: Layer, pe: int) -> Unit:
    """Return the unit of an addition, without its queue, or of a global pool, of `pe` channels."""
    words = layer.in_channels // pe
    if layer.kind == "add":
        adders = float(pe * (layer.input_bits + 1))
        return Unit("AddStreams", words * layer.in_size**2, Terms(1.0, adders=adders), 0, 0)
    acc = layer.input_bits + math.ceil(math.log2(max(2, layer.in_size**2)))
    sums = memory(words, pe * acc)
    terms = Terms(1.0, adders=float(pe * acc), memory=sums[0])
    return Unit("GlobalAccPool", words * layer.in_size**2, terms, 0, sums[1])


def queue_size(depth: int, width: int) -> tuple[float, int]:
    """Return the LUTs and the block RAMs of a queue (FINN+ 1.6, fitted to Vivado's reports)."""
    if depth <= 2:
        return float(width), 0
    counter = math.ceil(math.log2(depth + 1)) + 1
    if depth <= 33:
        return math.ceil((depth - 1) / 32) * width + max(0.0, 5.0 * counter - 7), 0
    if depth <= 4 * LUT_MEMORY_DEPTH:
        rows = math.ceil(depth / 32) * math.ceil(width / 2) * 5 / 4
        return rows + depth / 128 * width / 2 + 8 * counter - 15, 0
    return 8.0 * counter, bram18(depth, width)


def _thresholds(
    bits: int, acc: int, outputs: int, pe: int, style: Style
) -> tuple[float, float, int]:
    """Return the comparators' gates a processing element, and LUTs and block RAMs of the memory.

    Batch norm, activation and rounding are 2^bits - 1 thresholds a channel.
    """
    levels, channels = 2**bits - 1, outputs // pe
    if style.thresholds == "parallel":
        return float(levels * acc * (1 + math.ceil(channels / LUT_BITS))), 0.0, 0
    if channels * levels <= LUT_MEMORY_DEPTH * 4:
        return float(bits * acc), float(pe * math.ceil(levels * acc * channels / LUT_BITS)), 0
    return float(bits * acc), 0.0, bram18(channels * levels, pe * acc)


def waiting_pixels(layer: Layer) -> int:
    """Return the pixels that go in before the first window of a layer is whole."""
    if layer.kernel_size == 1:
        return 0
    return (layer.kernel_size - 1) * layer.in_size + layer.kernel_size
