"""What is asked of a network: a limit on a metric, or a metric to optimize."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Goal = Literal["max", "min"]
# What the task of a run scores is kept under this name, whatever the task calls it.
SCORE = "accuracy"
# The same of images as bad cameras and links make them, on the mean of all corruptions.
ROBUST = "robust_accuracy"


@dataclass(frozen=True)
class Limit:
    """The limits on one metric, in its own unit; None for no limit."""

    response: str
    at_most: float | None = None
    at_least: float | None = None

    def holds(self, lower: float, upper: float) -> bool:
        """Return whether a value between `lower` and `upper` surely keeps the limits."""
        return (self.at_most is None or upper <= self.at_most) and (
            self.at_least is None or lower >= self.at_least
        )


@dataclass(frozen=True)
class Objective:
    """A metric to optimize, and which way."""

    response: str
    goal: Goal
