"""What to change to save milliseconds at the least predicted accuracy, and what not to rely on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgenas.core.counted import counted
from edgenas.core.records import Architecture, Candidate
from edgenas.core.records.goals import SCORE
from edgenas.optimize.layout import Predictors

MOST_CHANGES = 25


@dataclass(frozen=True)
class Saving:
    """One change on the way to a faster network: the network after it, as predicted."""

    change: str
    candidate: Candidate


def savings(predictors: Predictors, start: Architecture, save_ms: float) -> tuple[Saving, ...]:
    """Return one-step changes that save `save_ms` of predicted mean latency, one after the other.

    Each step takes the neighbour that loses the least predicted accuracy for each millisecond
    saved. Ends early, with less saved, where no neighbour is faster, or after 25 changes.
    """
    path: list[Saving] = []
    current = predictors.candidates([start])[0]
    goal = current["latency_ms"].mean - save_ms
    while current["latency_ms"].mean > goal and len(path) < MOST_CHANGES:
        neighbors = list(predictors.space.neighbors(current.architecture))
        faster = [
            candidate
            for candidate in predictors.candidates(neighbors)
            if candidate["latency_ms"].mean < current["latency_ms"].mean
        ]
        if not faster:
            break
        best = min(faster, key=lambda candidate: _price(current, candidate))
        path.append(
            Saving(predictors.space.changes(current.architecture, best.architecture)[0], best)
        )
        current = best
    return tuple(path)


def extrapolations(predictors: Predictors, candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Return a warning for each response that a candidate is predicted of from too far away."""
    if not candidates:
        return ()
    found = []
    for name, outside in predictors.outside([c.architecture for c in candidates]).items():
        far = [str(number) for number, one in enumerate(outside.tolist(), 1) if one]
        if far:
            found.append(
                f"Of {counted(len(candidates), 'candidate')}, number {', '.join(far)} lies farther "
                f"from the networks whose {name} is known than any of these does from the others: "
                "its prediction interval is no promise; more samples narrow it."
            )
    return tuple(found)


def _price(before: Candidate, after: Candidate) -> float:
    """Return the accuracy lost for each millisecond saved; negative if accuracy is gained."""
    lost = before[SCORE].mean - after[SCORE].mean
    return lost / (before["latency_ms"].mean - after["latency_ms"].mean)
