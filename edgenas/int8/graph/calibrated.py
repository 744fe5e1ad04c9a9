"""The best int8 form of a float graph that a few images can tell: equalised, corrected, or plain.

Each form is tried as the int8 reference computes it, and the one whose logits are nearest to the
float network's is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.int8.checks.sensitivity import snr_db
from edgenas.int8.graph import integer_reference
from edgenas.int8.graph.equalize import (
    Statistics,
    equalize,
    observe_channels,
    ranges_of,
    with_corrected_biases,
)
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.quantize import Scheme, quantize
from edgenas.int8.graph.ranges import Ranges

MOST_TRIED_IMAGES = 16


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A graph and its ranges. form : what was done to it, in words. snr_db : of its logits in
    int8 on the images tried; None where nothing is lost. others : the same of the other forms.
    """

    graph: Graph
    ranges: Ranges
    form: str
    snr_db: float | None
    others: dict[str, float | None]


def calibrated(graph: Graph, images: np.ndarray, scheme: Scheme) -> Calibrated:
    """Return the best int8 form of `graph`, with ranges from images, float32 [n, *graph.takes].

    Raises
    ------
    ExportError : the images do not fit the graph, or a tensor has values that are not finite.
    """
    statistics, scores = observe_channels(graph, images)
    alike, of_alike = equalize(graph, statistics)
    forms: dict[str, tuple[Graph, Statistics]] = {
        "as it is": (graph, statistics),
        "equalised": (alike, of_alike),
    }
    tried = slice(None, None, max(1, len(images) // MOST_TRIED_IMAGES))
    few, exact = (values[tried][:MOST_TRIED_IMAGES] for values in (images, scores))
    found: dict[str, tuple[float | None, Graph, Ranges]] = {}
    for name, (one, seen) in forms.items():
        ranges = ranges_of(seen)
        found[name] = (_snr_db(one, ranges, scheme, few, exact), one, ranges)
    best = max(found, key=lambda name: _order(found[name][0]))
    one, seen = forms[best]
    ranges = ranges_of(seen)
    corrected = with_corrected_biases(one, quantize(one, ranges, scheme), seen)
    name = "biases corrected" if best == "as it is" else f"{best}, biases corrected"
    found[name] = (_snr_db(corrected, ranges, scheme, few, exact), corrected, ranges)
    best = max(found, key=lambda name: _order(found[name][0]))
    snr, graph, ranges = found[best]
    others = {name: one[0] for name, one in found.items() if name != best}
    return Calibrated(graph, ranges, best, snr, others)


def _order(snr: float | None) -> float:
    return np.inf if snr is None else snr


def _snr_db(
    graph: Graph, ranges: Ranges, scheme: Scheme, images: np.ndarray, exact: np.ndarray
) -> float | None:
    seen = integer_reference.run(graph, quantize(graph, ranges, scheme), images)
    signal = exact.astype(np.float64)
    return snr_db(float((signal**2).sum()), float(((seen - signal) ** 2).sum()))
