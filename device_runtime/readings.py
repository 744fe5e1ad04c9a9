"""What is read beside a timing, as it stands in a journal. None: the machine does not tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from device_runtime.validation import require

MAX_OPERATORS = 20_000
MAX_SAMPLES = 100_000


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


@dataclass(frozen=True)
class Profiled:
    """The operators of the model, in the order of running, over `runs` inferences.

    The engine's own profiler slows them down: their sum is no latency.
    """

    key: str
    runs: int
    operators: Tuple[Operator, ...]

    def __post_init__(self) -> None:
        require(self.runs > 0 and len(self.operators) > 0, "there is nothing in the profile")
        require(len(self.operators) <= MAX_OPERATORS, "there are too many operators")


@dataclass(frozen=True)
class Powered:
    """Power while only this model ran, `runs` times in `seconds`, and while nothing did.

    Milliwatts, at most ten a second, after all latencies were timed. sensor : what it covers.
    """

    key: str
    sensor: str
    seconds: float
    runs: int
    active_mw: Tuple[float, ...]
    idle_mw: Tuple[float, ...]

    def __post_init__(self) -> None:
        require(self.seconds > 0 and self.runs > 0, "nothing ran")
        require(0 < len(self.sensor) <= 200, "the sensor's name is too long")
        samples = (*self.active_mw, *self.idle_mw)
        require(len(samples) <= MAX_SAMPLES, "there are too many samples")
        require(all(0 <= mw < 1e7 for mw in samples), "a power is out of range")
