"""What growing a network came to: its rounds, and what was trained beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgenas.core.records.answers import Answers
from edgenas.core.records.goals import Limit
from edgenas.core.records.intervals import Interval
from edgenas.core.records.networks import Architecture

Start = Literal["winner", "smallest", "imported"]
Way = Literal["grown", "same shape from nothing", "uniform from nothing", "pruned", "unchanged"]


@dataclass(frozen=True)
class GrowthRound:
    """One round: channels were split, and the network trained on.

    network : after it. latency_ms : as predicted. predicted_drop, real_drop : of the loss by the
        split alone, on training images. step : share of the weights' norm that halves depart by.
    epochs, seconds : of finding gains, splitting and training.
    """

    network: Architecture
    latency_ms: Interval
    predicted_drop: float
    real_drop: float
    step: float
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Contender:
    """A network that growing is held against, or the grown one.

    answers : of its int8 model on the validation images. epochs : that it was trained for in this
        comparison. seconds : that this took.
    """

    way: Way
    network: Architecture
    latency_ms: Interval
    answers: Answers
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Growth:
    """A growth and its comparison; `kept` is the way of the best on the validation images."""

    start: Start
    seed: Architecture
    limits: tuple[Limit, ...]
    rounds: tuple[GrowthRound, ...]
    contenders: tuple[Contender, ...]
    kept: Way

    @property
    def best(self) -> Contender:
        """The contender that is kept."""
        return next(one for one in self.contenders if one.way == self.kept)
