"""What is read beside a timing, as it stands in a journal. None: the machine does not tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from device_runtime.validation import require


@dataclass(frozen=True)
class Sensed:
    """The machine just before or after timed runs.

    mhz : clock of the core that the worker was on. celsius : of the hottest zone.
    throttle_flags : what a Raspberry Pi says; see `machine.decode_throttled`.
    """

    mhz: Optional[float] = None
    celsius: Optional[float] = None
    throttle_flags: Optional[Tuple[str, ...]] = None

    def __post_init__(self) -> None:
        require(self.mhz is None or 0 < self.mhz < 1e5, "mhz is out of range")
        require(self.celsius is None or -100 < self.celsius < 250, "celsius is out of range")


@dataclass(frozen=True)
class Operator:
    """One operator of a profile, as the engine names it.

    provider : what ran it. mean_us : microseconds an inference, over the middle
    half of them. takes, gives : element type of its
    first input and output, such as "uint8"; empty where the engine does not tell.
    """

    name: str
    type: str
    provider: str
    mean_us: float
    takes: str
    gives: str

    def __post_init__(self) -> None:
        require(0 <= self.mean_us < 3.6e9, "mean_us is out of range")
        texts = (self.name, self.type, self.provider, self.takes, self.gives)
        require(all(len(text) <= 500 for text in texts), "a name is too long")
