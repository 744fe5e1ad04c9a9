"""A network as a pipeline of units: the cheapest folding of each layer, and what all of them take.

A throughput limits the cycles of each unit by itself, so it only rules foldings out; of those that
are left the one with the fewest LUTs is taken, layer by layer, which gives the fewest LUTs of the
whole. Block RAMs and DSPs follow from it: a network that takes too many of them may have another
folding, of more LUTs, that fits. What is wanted as fast as it goes gets the greatest throughput at
which that fits: only those have to be tried at which a layer's folding changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from edgenas.core.errors import InputError
from edgenas.core.metrics import Count
from edgenas.core.records import Layer
from edgenas.core.records.hardware import Folding, FpgaDevice, HardwareEstimate, LayerEstimate
from edgenas.hardware.dataflow import (
    LUTS_PER_GATE,
    UNIT_LUTS,
    Style,
    Unit,
    layer_units,
    waiting_pixels,
)

# Said of a network with a unit that no folding makes fast enough: no limit on LUTs keeps it.
NEVER = 1e9
RESOURCES = ("luts", "dsps", "bram18")  # in the order of rows of resources
_ROUNDING = 1e-12  # of a throughput that is a whole number of cycles
_MATRICES = ("conv", "depthwise", "linear")


@dataclass(frozen=True)
class Factors:
    """LUTs of one of each term, and of memories a LUT of memory; see `dataflow.Terms`.

    luts_of, bram18_of : by kind of unit, what the formulas are multiplied by; 1 where it is not
        said. cycles : the same of the cycles of every unit.
    """

    units: float = UNIT_LUTS
    multipliers: float = LUTS_PER_GATE
    adders: float = LUTS_PER_GATE
    thresholds: float = LUTS_PER_GATE
    memory: float = 1.0
    luts_of: tuple[tuple[str, float], ...] = ()
    bram18_of: tuple[tuple[str, float], ...] = ()
    cycles: float = 1.0

    def luts(self, unit: Unit) -> float:
        """Return the LUTs of a unit."""
        luts = sum(getattr(self, name) * value for name, value in vars(unit.terms).items())
        return luts * dict(self.luts_of).get(unit.kind, 1.0)

    def bram18(self, unit: Unit) -> int:
        """Return the block RAMs of a unit, rounded up."""
        return math.ceil(unit.bram18 * dict(self.bram18_of).get(unit.kind, 1.0) - 1e-9)


@dataclass(frozen=True)
class Pipeline:
    """How networks become pipelines on one device.

    images_per_s : that every unit must keep up with. usable : share of the device's LUTs to plan.
    filled : resources by name and the most of each; every network is then folded as fast as they
        let it, and no slower than images_per_s. None: no faster than that.
    factors : those of the formulas, or upper bounds of what a calibration fitted, so that what fits
        by them does with its confidence.
    """

    device: FpgaDevice
    clock_mhz: float
    images_per_s: float
    usable: float = 0.7
    style: Style = field(default_factory=Style)
    factors: Factors = field(default_factory=Factors)
    filled: tuple[tuple[str, float], ...] | None = None

    @property
    def cycles(self) -> int:
        """The most cycles that a unit may take an image."""
        return int(self.cycles_per_s / self.images_per_s * (1 + _ROUNDING))

    @property
    def cycles_per_s(self) -> float:
        """Of the formulas: the clock, over how many cycles one of theirs takes."""
        return self.clock_mhz * 1e6 / self.factors.cycles

    def at(self, images_per_s: float) -> Pipeline:
        """Return the same device under another throughput."""
        return replace(self, images_per_s=images_per_s)

    def filling(self, limits: Mapping[str, float]) -> Pipeline:
        """Return the same device, on which each network is folded as fast as `limits` let it.

        limits : the most of "luts", "dsps" and "bram18"; all three are needed.
        """
        return replace(self, filled=tuple((name, limits[name]) for name in RESOURCES))

    def estimate(self, layers: Sequence[Layer]) -> HardwareEstimate:
        """Return the pipeline of a network, each layer folded for the fewest LUTs.

        A layer that no folding makes fast enough is unrolled as far as it goes.

        Raises
        ------
        InputError : a layer has no unit.
        """
        cycles = self.cycles if self.filled is None else self._fastest(layers, dict(self.filled))
        units = tuple(self._units(layers, cycles))
        slowest = max(units, key=lambda unit: unit.folding.cycles)
        return HardwareEstimate(
            units,
            sum(unit.folding.luts for unit in units),
            sum(unit.folding.dsps for unit in units),
            sum(unit.folding.bram18 for unit in units),
            self.cycles_per_s / slowest.folding.cycles,
            1e3 * sum(unit.folding.cycles for unit in units) / self.cycles_per_s,
            slowest.name,
        )

    def counts(self) -> Mapping[str, Count]:
        """Return how each response of hardware follows from the layers of a network.

        All but images/s are sums over them, unless the device is filled, so that a search can be
        exact; LUTs are `NEVER` where no folding makes a layer fast enough.
        """

        def luts(layers: Sequence[Layer]) -> float:
            estimate = self.estimate(layers)
            slow = any(unit.folding.cycles > self.cycles for unit in estimate.layers)
            return NEVER if slow else estimate.luts

        def dsps(layers: Sequence[Layer]) -> float:
            return self.estimate(layers).dsps

        def bram18(layers: Sequence[Layer]) -> float:
            return self.estimate(layers).bram18

        def images_per_s(layers: Sequence[Layer]) -> float:
            return self.estimate(layers).images_per_s

        def bops(layers: Sequence[Layer]) -> float:
            return sum(layer.bops for layer in layers)

        return {
            "luts": luts,
            "dsps": dsps,
            "bram18": bram18,
            "images_per_s": images_per_s,
            "bops": bops,
        }

    def limits(self) -> dict[str, float]:
        """Return the most of each resource that the device has to give."""
        device = self.device
        return {
            "luts": self.usable * device.luts,
            "dsps": float(device.dsps) or 0.5,
            "bram18": float(device.bram18) or 0.5,
        }

    def fastest(self, layers: Sequence[Layer]) -> tuple[float, Layer]:
        """Return the most images/s that any folding gives, and the layer that holds them up."""
        slowest = max(layers, key=lambda layer: _foldable(layer)[-1][2])
        return self.cycles_per_s / _foldable(slowest)[-1][2], slowest

    def speeds(self, layers: Sequence[Layer]) -> tuple[int, ...]:
        """Return the cycles that a unit may take where the cheapest folding of a layer changes.

        They rise, up to those at images_per_s, and begin where no layer is too slow.
        """
        foldings = [_foldings(layer, self.style, self.factors, 0) for layer in map(_alike, layers)]
        fastest = max(each[-1].cycles for each in foldings)
        steps = {one.cycles for each in foldings for one in each}
        return tuple(sorted(one for one in steps if fastest <= one <= self.cycles))

    def resources(self, layers: Sequence[Layer], cycles: Sequence[int]) -> np.ndarray:
        """Return what layers take of `RESOURCES` where units may take so many cycles an image.

        float64 [n_cycles, 3]. LUTs are `NEVER` where no folding makes a layer fast enough.
        """
        taken = np.zeros((len(cycles), len(RESOURCES)))
        for layer, waiting in zip(layers, queued_pixels(layers), strict=True):
            key = _alike(layer), self.style, self.factors, waiting
            taken += _resources(*key, tuple(cycles))
        taken[:, 0] = np.minimum(taken[:, 0], NEVER)
        return taken

    def _fastest(self, layers: Sequence[Layer], limits: Mapping[str, float]) -> int:
        """Return the fewest cycles within the limits; those at images_per_s where none are."""
        cycles = self.speeds(layers)
        most = np.array([limits[name] for name in RESOURCES])
        within = (self.resources(layers, cycles) <= most).all(axis=1)
        return cycles[int(within.argmax())] if within.any() else self.cycles

    def _units(self, layers: Sequence[Layer], cycles: int) -> Iterator[LayerEstimate]:
        for layer, waiting in zip(layers, queued_pixels(layers), strict=True):
            folding = _cheapest(_alike(layer), cycles, self.style, self.factors, waiting)
            yield LayerEstimate(layer.name, layer.kind, folding)


def queued_pixels(layers: Sequence[Layer]) -> tuple[int, ...]:
    """Return, of each layer, the pixels that one of its inputs queues for the others."""
    behind: dict[str, int] = {}  # pixels that go in before a tensor's first comes out
    queued = []
    for layer in layers:
        delays = [behind.get(name, 0) for name in layer.inputs] or [0]
        behind[layer.name] = max(delays) + waiting_pixels(layer)
        queued.append(max(delays) - min(delays))
    return tuple(queued)


def check_layers(layers: Sequence[Layer], where: str) -> None:
    """Raise `InputError` for a layer that has no unit in such a pipeline; where : in words."""
    for layer in layers:
        if layer.kind not in (*_MATRICES, "add", "global_pool"):
            what = f"{layer.kind.replace('_', '-')} layers"
        elif layer.groups > 1:
            what = "convolutions in groups of channels"
        else:
            continue
        raise InputError(
            f"{where} has {what}, such as {layer.name}, for which a dataflow pipeline has no unit.",
            "Choose a space without them, such as --space mbv3-tiny.",
        )


def divisors(number: int) -> tuple[int, ...]:
    """Return the divisors of a number, in rising order."""
    return tuple(one for one in range(1, number + 1) if number % one == 0)


def _alike(layer: Layer) -> Layer:
    """Return the layer without its name and place, which its folding does not depend on."""
    return replace(layer, name="", inputs=(), stage=-1, block=-1, activation="none", padding=None)


@lru_cache(maxsize=100_000)
def _cheapest(layer: Layer, cycles: int, style: Style, factors: Factors, waiting: int) -> Folding:
    """Return the folding of the fewest LUTs within `cycles`; the fastest where none is."""
    every = _foldings(layer, style, factors, waiting)
    within = [one for one in every if one.cycles <= cycles] or [every[-1]]
    return min(within, key=lambda one: (one.luts, one.bram18, one.dsps, one.cycles))


@lru_cache(maxsize=10_000)
def _resources(
    layer: Layer, style: Style, factors: Factors, waiting: int, cycles: tuple[int, ...]
) -> np.ndarray:
    """Return what the cheapest folding takes within each of `cycles`, float64 [n_cycles, 3]."""
    rows = []
    for most in cycles:
        one = _cheapest(layer, most, style, factors, waiting)
        rows.append((one.luts if one.cycles <= most else NEVER, one.dsps, one.bram18))
    return np.array(rows, np.float64).reshape(len(cycles), len(RESOURCES))


@lru_cache(maxsize=10_000)
def _foldings(layer: Layer, style: Style, factors: Factors, waiting: int) -> tuple[Folding, ...]:
    """Return every folding of a layer with what it takes, the fastest last."""
    foldings = []
    for pe, simd, _ in _foldable(layer):
        units = layer_units(layer, pe, simd, style, waiting)
        foldings.append(
            Folding(
                pe,
                simd,
                units[0].cycles,
                sum(map(factors.luts, units)),
                sum(unit.dsps for unit in units),
                sum(map(factors.bram18, units)),
            )
        )
    return tuple(foldings)


@lru_cache(maxsize=100_000)
def _foldable(layer: Layer) -> tuple[tuple[int, int, int], ...]:
    """Return every (pe, simd, cycles) of a layer, the fastest last.

    A depthwise unit takes more than one pixel of its kernel only where all channels are unrolled,
    as FINN has it.
    """
    if layer.kind not in _MATRICES:
        pixels = layer.in_size**2
        pairs = [(pe, 1, layer.in_channels // pe * pixels) for pe in divisors(layer.in_channels)]
    else:
        taps = layer.kernel_size**2
        depthwise = layer.kind == "depthwise"
        fan_in = taps if depthwise else taps * layer.in_channels
        pairs = [
            (pe, simd, layer.out_channels // pe * (fan_in // simd) * layer.out_size**2)
            for pe in divisors(layer.out_channels)
            for simd in divisors(taps if depthwise else layer.in_channels)
            if not depthwise or simd == 1 or pe == layer.out_channels
        ]
    return tuple(sorted(pairs, key=lambda one: (-one[2], one[0] * one[1])))
