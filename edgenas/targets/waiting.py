"""How long something was waited for, on a host that may itself be stopped meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Waited:
    """The seconds that were waited, of which no stretch counts for longer than was meant.

    A laptop that was asleep has not waited: it tries again before it gives a board up.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def stretch(self, at_most_s: float) -> Iterator[None]:
        """Count the time of the block, `at_most_s` at most."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.count(min(time.monotonic() - began, at_most_s))

    def count(self, seconds: float) -> None:
        """Count a wait that took `seconds`, or was meant to."""
        self.seconds += seconds

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, which is what it counts."""
        time.sleep(seconds)
        self.count(seconds)
