"""A value with its bounds, and the bounds of a share that was counted."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z975 = 1.959963984540054  # of the normal distribution


@dataclass(frozen=True)
class Interval:
    """A predicted mean with the bounds of its prediction interval, in the response's unit."""

    mean: float
    lower: float
    upper: float


def wilson(right: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a fraction of `right` in `n` (Wilson 1927)."""
    z2 = Z975**2
    centre = (right + z2 / 2) / (n + z2)
    half = Z975 / (n + z2) * math.sqrt(right * (n - right) / n + z2 / 4)
    return max(0.0, centre - half), min(1.0, centre + half)
