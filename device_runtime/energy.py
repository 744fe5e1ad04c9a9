"""Energy of an inference from power samples with and without the model running."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from device_runtime.readings import Powered
from device_runtime.student import t975


@dataclass(frozen=True)
class EnergySummary:
    """See `edgenas.core.records.Energy` for each field."""

    energy_mj: float
    ci95_mj: Tuple[float, float]
    active_mw: float
    idle_mw: float


def summarise(powered: Powered) -> Optional[EnergySummary]:
    """Return (active - idle) power times seconds an inference; None with too few samples.

    The interval is that of a difference of two means with unequal variances, with the smaller
    sample's degrees of freedom, which never makes it too narrow (Welch). Samples of one sensor a
    tenth of a second apart are taken to be independent.
    """
    active, idle = np.asarray(powered.active_mw), np.asarray(powered.idle_mw)
    least = min(len(active), len(idle))
    if least < 2:
        return None
    seconds = powered.seconds / powered.runs
    error = math.sqrt(active.var(ddof=1) / len(active) + idle.var(ddof=1) / len(idle))
    energy_mj = float(active.mean() - idle.mean()) * seconds
    half = t975(least - 1) * error * seconds
    return EnergySummary(
        energy_mj,
        (energy_mj - half, energy_mj + half),
        float(active.mean()),
        float(idle.mean()),
    )
