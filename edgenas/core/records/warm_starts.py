"""What an earlier run gave to a later one, and how much it helped."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PriorGain:
    """What the earlier run's predictor of one response did for this run's.

    n : rows fitted here. with_prior, without : error on rows left out one at a time (root mean
    square), in `unit`. used : whether the prior helped and was kept.
    """

    unit: str
    n: int
    with_prior: float
    without: float
    used: bool


@dataclass(frozen=True)
class WarmStart:
    """What was taken over from a run. run : its folder.

    supernet : whether it is the same one. evaluations : accuracies that were not evaluated again.
    priors : by response. starts : networks of its frontier that the search was started from, of
    which `kept` are on the frontier found here; None before the search, or if it takes no start.
    refused : why something could not be taken over.
    """

    run: str
    supernet: bool = False
    evaluations: int = 0
    priors: dict[str, PriorGain] = field(default_factory=dict, hash=False)
    starts: int | None = None
    kept: int | None = None
    refused: tuple[str, ...] = ()
