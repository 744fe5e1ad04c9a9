"""What is said of timings that were rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from edgenas.core.counted import counted, were
from edgenas.core.records import Latency, Outcome

_REMEDIES = {
    "throttled": "use the official power supply and a cooler",
    "clock": "fix the clock: sudo cpupower frequency-set -g performance",
    "heat": "cool the board",
    "busy": "stop other programs on it",
}


def warning(target: str, outcomes: Iterable[Outcome]) -> str | None:
    """Return how many passes were rejected and for which reasons; None if none was."""
    known = [outcome.latency for outcome in outcomes if outcome.latency is not None]
    kinds = Counter(reason.partition(":")[0] for latency in known for _, reason in latency.rejected)
    if not kinds:
        return None
    rejected, total = sum(kinds.values()), sum(map(_passes, known))
    counts = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    remedies = "; ".join(_REMEDIES[kind] for kind, _ in kinds.most_common() if kind in _REMEDIES)
    said = (
        f"{rejected} of {counted(total, 'pass', 'passes')} of single models on '{target}' "
        f"{were(rejected)} rejected ({counts})"
    )
    standing = sum(latency.stands_on_rejected for latency in known)
    if standing:
        said += (
            f", and {standing} of {len(known)} latencies stand on rejected passes, as too few were "
            "good: they hold for the target as it was then"
        )
    return f"{said}. To measure better: {remedies}." if remedies else f"{said}."


def _passes(latency: Latency) -> int:
    """Count the passes that timed the model."""
    standing = latency.stands_on_rejected
    return len(latency.samples_ns) + (0 if standing else len(latency.rejected))
