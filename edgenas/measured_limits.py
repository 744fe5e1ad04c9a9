"""What a verified network's responses were measured to be, held against the run's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgenas.goals import Limit
from edgenas.records import Layer, Measurement, VerifiedModel
from edgenas.responses import REGISTRY

# Judged by the verification itself, from its own passes.
JUDGED_BEFORE = "latency_ms"


def measured_responses(
    verified: VerifiedModel, measurement: Measurement, layers: Sequence[Layer]
) -> dict[str, float]:
    """Return every response that is known of a network on its target, in its unit.

    The accuracy is that of its file on the target, on the held-out test images.
    """
    found: dict[str, float] = {}
    for name, kind in REGISTRY.items():
        if kind.counted is not None:
            found[name] = float(kind.count(layers))
        elif kind.measured is not None and (seen := kind.measured(measurement)) is not None:
            found[name] = float(seen[0])
    if verified.device_accuracy is not None:
        found["accuracy"] = verified.device_accuracy
    return found


def judged(
    verified: VerifiedModel,
    measurement: Measurement,
    layers: Sequence[Layer],
    limits: Mapping[str, Limit],
) -> VerifiedModel:
    """Return the verified network with its measured responses, failed where one breaks a limit."""
    found = measured_responses(verified, measurement, layers)
    reasons = list(verified.reasons)
    for name, limit in limits.items():
        left = replace(limit, at_most=None) if name == JUDGED_BEFORE else limit
        reasons += _broken(left, found.get(name))
    return replace(verified, measured=found, reasons=tuple(reasons), passed=not reasons)


def _broken(limit: Limit, value: float | None) -> list[str]:
    kind = REGISTRY[limit.response]
    if limit.at_most is None and limit.at_least is None:
        return []
    if value is None:
        return [f"Its {kind.label} was not measured, so that the limit on it is not verified."]
    if limit.at_most is not None and value > limit.at_most:
        over = f"over the limit of {kind.shown(limit.at_most)}"
    elif limit.at_least is not None and value < limit.at_least:
        over = f"under the limit of {kind.shown(limit.at_least)}"
    else:
        return []
    return [f"Its {kind.label} is {kind.shown(value)}, {over}."]
