"""What to change to save milliseconds at the least predicted accuracy, and what not to rely on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgenas.records import Architecture, Candidate
from edgenas.search_problem import Predictors

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
    goal = current.latency_ms.mean - save_ms
    while current.latency_ms.mean > goal and len(path) < MOST_CHANGES:
        neighbors = list(predictors.space.neighbors(current.architecture))
        faster = [
            candidate
            for candidate in predictors.candidates(neighbors)
            if candidate.latency_ms.mean < current.latency_ms.mean
        ]
        if not faster:
            break
        best = min(faster, key=lambda candidate: _price(current, candidate))
        path.append(Saving(_difference(current.architecture, best.architecture), best))
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
                f"Of {len(candidates)} candidates, number {', '.join(far)} lies farther from the "
                f"networks whose {name} is known than any of these does from the others: its "
                "prediction interval is no promise; more samples narrow it."
            )
    return tuple(found)


def _price(before: Candidate, after: Candidate) -> float:
    """Return the accuracy lost for each millisecond saved; negative if accuracy is gained."""
    lost = before.accuracy.mean - after.accuracy.mean
    return lost / (before.latency_ms.mean - after.latency_ms.mean)


def _difference(before: Architecture, after: Architecture) -> str:
    if replace(before, resolution=after.resolution) == after:
        return f"input of {after.resolution} px instead of {before.resolution} px"
    for stage, (old, new) in enumerate(zip(before.stages, after.stages, strict=True), 1):
        if old.depth != new.depth:
            return f"{new.depth} instead of {old.depth} blocks in stage {stage}"
        for block in range(old.depth):
            for what, values in (
                ("kernel", (old.kernel_sizes[block], new.kernel_sizes[block])),
                ("expand ratio", (old.expand_ratios[block], new.expand_ratios[block])),
            ):
                if values[0] != values[1]:
                    where = f"block {block + 1} of stage {stage}"
                    return f"{what} {values[1]} instead of {values[0]} in {where}"
    return "nothing"
