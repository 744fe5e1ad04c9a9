"""The plot of a roofline: one roof a kind of layer, and a disc a layer whose area is its time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgenas.core.records.roofline import LayerLimit, Roof, Roofline
from edgenas.reporting.plots.marks import Axes, Record, line_look, span
from edgenas.reporting.plots.plot import BLUE, GREEN, INK, MUTED, ORANGE, Plot

_COLOURS = {"pointwise": BLUE, "dense": GREEN, "depthwise": ORANGE}
_BANDWIDTHS: tuple[tuple[str, str, tuple[float, ...]], ...] = (
    ("bandwidth in a cache (dotted)", "cached_gb_per_s", (2, 3)),
    ("bandwidth of memory (dashed)", "memory_gb_per_s", (8, 4)),
)
_LARGEST_DISC = 4000.0  # square pixels: the area of a layer that took all of the time
_LEAST_DISC = 14.0
_AROUND = 2.0  # times, by which the roofs reach beyond the layers


def rooflines(measured: Roofline) -> Plot:
    """Draw MACs a second over MACs a byte, both logarithmic, of the layers that have MACs.

    A roof is what a layer of its kind could do if starting it took nothing. Discs are filled where
    computing or moving bounds the layer, hollow where starting it does.
    """
    drawn = [layer for layer in measured.layers if layer.work.macs]
    total_us = sum(map(time_us, drawn))
    discs = [_disc(layer, total_us) for layer in sorted(drawn, key=time_us, reverse=True)]
    places = [disc["x"] for disc in discs]
    xs = _spread(min(places) / _AROUND, max(places) * _AROUND)
    kinds = [kind for kind in _COLOURS if any(layer.work.kind == kind for layer in drawn)]
    top = _AROUND * max(measured.roof.gmacs_per_s[kind] for kind in kinds)
    low = min(disc["y"] for disc in discs) / _AROUND
    axes = Axes(
        span("arithmetic intensity (MAC/byte)", xs, logarithmic=True, margin=0),
        span("GMAC/s; area: time, hollow: bound by starting it", [low, top], True, 0),
        560,
        340,
    )
    looks = {}
    for name, rate, dash in _BANDWIDTHS:
        slope = [(x, x * getattr(measured.roof, rate)) for x in xs]
        axes.line([(x, y) for x, y in slope if low <= y <= top], MUTED, dash=dash, width=1.2)
        looks[name] = line_look(MUTED)
    for kind in kinds:
        roof = [(x, attainable(measured.roof, kind, x)) for x in xs]
        axes.line([(x, y) for x, y in roof if y >= low], _COLOURS[kind])
        looks[f"{kind}, at most {measured.roof.gmacs_per_s[kind]:.3g} GMAC/s"] = line_look(
            _COLOURS[kind]
        )
    axes.discs(discs)
    axes.points([], looks)
    return Plot("roofline", axes.chart())


def attainable(roof: Roof, kind: str, intensity: float) -> float:
    """Return the GMAC/s that the rates leave a large layer of this many MACs a byte, in cache."""
    return 1 / (1 / roof.gmacs_per_s[kind] + 1 / (intensity * roof.cached_gb_per_s))


def time_us(layer: LayerLimit) -> float:
    """Return what a layer takes: as measured, or its limit where it was not."""
    return layer.measured_us or layer.limit_us


def _disc(layer: LayerLimit, total_us: float) -> Record:
    colour, taken_us = _COLOURS[layer.work.kind], time_us(layer)
    hollow = layer.bound_by == "launch"
    how = "measured" if layer.measured_us else "its limit"
    return {
        "x": layer.work.intensity,
        "y": layer.work.macs / taken_us * 1e-3,
        "area": max(_LEAST_DISC, _LARGEST_DISC * taken_us / total_us),
        "fill": "transparent" if hollow else colour,
        "stroke": colour if hollow else INK,
        "tip": f"{layer.work.name}: {taken_us:.3g} us ({how}), bound by {layer.bound_by}",
    }


def _spread(first: float, last: float, n: int = 60) -> Sequence[float]:
    """Return n numbers, evenly spaced in their logarithms."""
    steps = (math.log(first) + i / (n - 1) * math.log(last / first) for i in range(n))
    return [math.exp(step) for step in steps]
