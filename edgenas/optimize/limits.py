"""The one place that holds values against limits: predictions, and what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from edgenas.core.metrics import REGISTRY, Count, ResponseKind
from edgenas.core.records import Interval, Layer, Measurement, VerifiedModel
from edgenas.core.records.goals import ROBUST, SCORE, Limit


def keeps(predicted: Mapping[str, Interval], limits: Iterable[Limit]) -> bool:
    """Return whether the bounds of a network's predictions, by metric, are within all limits."""
    return all(
        (bounds := predicted.get(limit.response)) is not None
        and limit.holds(bounds.lower, bounds.upper)
        for limit in limits
    )


def broken(limit: Limit, value: float | None, kind: ResponseKind) -> list[str]:
    """Return why a measured value breaks a limit, in a sentence; nothing if it does not."""
    if value is None:
        return [f"Its {kind.label} was not measured, so that the limit on it is not verified."]
    if limit.at_most is not None and value > limit.at_most:
        over = f"over the limit of {kind.shown(limit.at_most)}"
    elif limit.at_least is not None and value < limit.at_least:
        over = f"under the limit of {kind.shown(limit.at_least)}"
    else:
        return []
    return [f"Its {kind.label} is {kind.shown(value)}, {over}."]


def measured_responses(
    verified: VerifiedModel,
    measurement: Measurement,
    layers: Sequence[Layer],
    of_hardware: Mapping[str, Count],
) -> dict[str, float]:
    """Return every response that is known of a network on its target, in its unit.

    The accuracy is that of its file on the target, on the held-out test images; that under
    corruptions of its file on the host, on validation images.
    """
    found = {name: float(count(layers)) for name, count in of_hardware.items()}
    for name, kind in REGISTRY.items():
        if kind.counted is not None:
            found[name] = float(kind.count(layers))
        elif kind.measured is not None and (seen := kind.measured(measurement)) is not None:
            found[name] = float(seen[0])
    if verified.device_accuracy is not None:
        found[SCORE] = verified.device_accuracy
    if verified.model.robust_accuracy is not None:
        found[ROBUST] = verified.model.robust_accuracy
    return found


def judged(
    verified: VerifiedModel,
    measurement: Measurement,
    layers: Sequence[Layer],
    limits: Mapping[str, Limit],
    of_hardware: Mapping[str, Count] = MappingProxyType({}),
    *,
    known: Mapping[str, ResponseKind] = REGISTRY,
) -> VerifiedModel:
    """Return the verified network with its measured responses, failed where one breaks a limit.

    of_hardware : how responses that the target's model of hardware knows follow from layers.
    known : the responses as the run's task calls them.
    """
    found = measured_responses(verified, measurement, layers, of_hardware)
    reasons = list(verified.reasons)
    for name, limit in limits.items():
        if name != "latency_ms" or name in found:  # else the reason is there already
            reasons += broken(limit, found.get(name), known[name])
    return replace(verified, measured=found, reasons=tuple(reasons), passed=not reasons)
