"""The scale of the input with which normalising in integers gives what normalising in floats does.

A file that is fed normalised images stores round(x / scale); one that is fed pixels computes the
same numbers in a layer of int8 weights and an int32 bias. The bias comes in steps of 1 / 127 of a
pixel, so that pixels near half-way between two stored integers would round otherwise there. With
three channels of 256 pixel values there are nearly always some; a scale that is up to 2 % larger
has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from edgenas.int8.graph.quantize import SMALLEST_RANGE, WEIGHT_LIMIT

MOST_LARGER = 0.02
_CANDIDATES = 2000
_STEPS = 255  # of an integer of 8 bits
_PIXELS = np.arange(256.0)
_BIAS_ERROR = 0.01  # of a step of the bias, which is kept in float32 before it is rounded


@lru_cache  # all networks of a resolution have the same images
def pixel_exact(
    bounds: tuple[float, float], mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[float, float]:
    """Return the range to store normalised images in, a little wider than their `bounds`.

    Of all scales up to 2 % larger it is the one with which all pixel values stay farthest from
    half-way, in floats and in the layer's integers alike: no engine's way to round them shows.

    bounds : least and greatest value of the images. mean, std : per channel, fractions of 255.
    """
    least, greatest = min(bounds[0], 0.0), max(bounds[1], 0.0)
    if greatest - least < SMALLEST_RANGE:
        return bounds
    larger = 1 + MOST_LARGER * np.arange(_CANDIDATES) / _CANDIDATES
    scales = ((greatest - least) / _STEPS * larger).astype(np.float32).astype(np.float64)
    scale = float(scales[np.argmax(margins(scales, mean, std))])
    zero_point = float(np.rint(-least / scale))
    return -zero_point * scale, (_STEPS - zero_point) * scale


def margins(scales: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Return how far a pixel is at least from being rounded otherwise, in steps; [n] for n scales.

    Below 0 a pixel is stored as one integer by a file that is fed normalised images, and as another
    by one that is fed pixels.
    """
    means, deviations = (np.asarray(part, np.float64)[:, None] for part in (mean, std))
    normalised = (_PIXELS / 255 - means) / deviations
    result = np.full(len(scales), np.inf)
    for error in (-_BIAS_ERROR, _BIAS_ERROR):
        bias = -np.rint(255 * WEIGHT_LIMIT * means + error)
        layer = (WEIGHT_LIMIT * _PIXELS + bias) / (255 * WEIGHT_LIMIT * deviations)
        for index, scale in enumerate(scales):
            steps = normalised / scale
            integers = np.rint(steps)
            off = max(np.abs(steps - integers).max(), np.abs(layer / scale - integers).max())
            result[index] = min(result[index], 0.5 - off)
    return result
