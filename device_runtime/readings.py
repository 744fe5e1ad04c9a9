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
