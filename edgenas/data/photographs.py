"""Whether images are colour photographs, as ImageNet's are: judged on a sample of their pixels.

A photograph has hundreds of colours, because of light and noise, where a drawing has dozens, and
few of its pixels are grey. What is doubtful counts as no photograph: a search then compares.
"""

from __future__ import annotations

import numpy as np

SIDE = 64  # pixels, of the images that are judged
SMALLEST = 48  # pixels a side: what is smaller was made for networks of its own
SAMPLE = 200
_LEVELS = 16  # of each channel, when colours are counted
LEAST_COLOURS = 100  # of 16 x 16 x 16, in a 64 x 64 image
LEAST_CHROMA = 8.0  # mean of greatest less least channel, of 255
MOST_OTHERS = 0.25  # share of images that are not so


def are_photographs(images: np.ndarray) -> bool:
    """Return whether images, uint8 [n, 64, 64, 3], are colour photographs, all but a quarter."""
    if not len(images):
        return False
    return float(np.mean([_is_photograph(image) for image in images])) >= 1 - MOST_OTHERS


def _is_photograph(image: np.ndarray) -> bool:
    chroma = image.max(-1).astype(np.float32) - image.min(-1)
    levels = (image // (256 // _LEVELS)).astype(np.int64)
    colours = len(np.unique(levels @ np.array([_LEVELS**2, _LEVELS, 1])))
    return bool(chroma.mean() >= LEAST_CHROMA and colours >= LEAST_COLOURS)
