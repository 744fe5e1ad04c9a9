"""Measure on what lies so near the latency limit that the interval of its median holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgenas.core.counted import are, counted
from edgenas.core.progress import Progress
from edgenas.core.records import Outcome
from edgenas.runs.run import RunContext
from edgenas.targets.base import MeasureSettings, ModelFile

# Most passes of each further job, one after the other, until nothing is undecided.
FURTHER_PASSES = (100, 400)
# Half the interval over the median: the narrowest that is asked for, and how much of the distance
# to the limit it may take.
NARROWEST, SHARE_OF_DISTANCE = 0.002, 0.8


def decided(
    context: RunContext,
    outcomes: Mapping[str, Outcome],
    files: Sequence[ModelFile],
    limit_ms: float | None,
    *,
    anchor: ModelFile,
    beside: Mapping[str, ModelFile],
) -> dict[str, Outcome]:
    """Return `outcomes` with those of a further job for each file that the limit lies within.

    Which side a file comes out at decides nothing: its newer outcome replaces the older one. What
    is still undecided after the last job keeps an interval that reaches over the limit.

    beside : file's key -> what is timed with it, to be compared.
    """

    def measure(near: Sequence[ModelFile], most_passes: int, width: float) -> Mapping[str, Outcome]:
        settings = MeasureSettings(
            anchor=anchor.key,
            seed=context.config.seed,
            max_passes=most_passes,
            relative_ci=width,
        )
        jobs = [anchor, *near, *(beside[file.key] for file in near if file.key in beside)]
        again = context.target.measure(
            jobs, settings, context.job_dir("verify", jobs), context.progress
        )
        return {key: one for key, one in again.items() if key != anchor.key}

    return further(measure, outcomes, files, limit_ms, context.progress)


def further(
    measure: Callable[[Sequence[ModelFile], int, float], Mapping[str, Outcome]],
    outcomes: Mapping[str, Outcome],
    files: Sequence[ModelFile],
    limit_ms: float | None,
    progress: Progress,
) -> dict[str, Outcome]:
    """Return `outcomes` with those of further jobs; see `decided`.

    measure : returns the outcomes of files in so many passes at most, until half an interval over
        its median is so narrow.
    """
    found = dict(outcomes)
    if limit_ms is None:
        return found
    for most in FURTHER_PASSES:
        near = [file for file in files if _holds(found[file.key], limit_ms)]
        if not near:
            break
        width = min(_width(found[file.key], limit_ms) for file in near)
        progress.message(
            f"{len(near)} of {counted(len(files), 'network')} {are(len(near))} too near the limit "
            f"of {limit_ms:.4g} ms to tell: measured on, {most} passes at most"
        )
        found |= measure(near, most, width)
    return found


def _holds(outcome: Outcome, limit_ms: float) -> bool:
    """Whether the limit lies within the interval of the median."""
    if outcome.latency is None:
        return False
    low, high = outcome.latency.span_ms
    return low <= limit_ms < high


def _width(outcome: Outcome, limit_ms: float) -> float:
    """Return how narrow the interval must be, half of it over the median, to tell."""
    latency = outcome.latency
    assert latency is not None
    distance = abs(limit_ms / latency.median_ms - 1)
    return min(MeasureSettings.relative_ci, max(NARROWEST, SHARE_OF_DISTANCE * distance))
