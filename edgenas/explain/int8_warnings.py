"""What a user of int8 is warned of: it is not faster than float, or it loses too much accuracy."""

from __future__ import annotations

from edgenas.core.records import VerifiedModel

MOST_LOST = 0.01  # fraction of the test images


def slower_than_float(verified: VerifiedModel) -> bool:
    """Whether the int8 file takes as long as the float one, or longer; not if unknown."""
    latency, fp32_ms = verified.outcome.latency, verified.fp32_latency_ms
    return latency is not None and fp32_ms is not None and latency.median_ms >= fp32_ms


def int8_warnings(target: str, verified: VerifiedModel) -> tuple[str, ...]:
    """Return a sentence for each; what was not measured is not warned of."""
    latency, fp32_ms = verified.outcome.latency, verified.fp32_latency_ms
    name, found = verified.model.int8_file, []
    if latency is not None and fp32_ms is not None and slower_than_float(verified):
        found.append(
            f"{name}: int8 is not faster than float on {target}: {latency.median_ms:.3g} against "
            f"{fp32_ms:.3g} ms."
        )
    where, accuracy = "on the target", verified.device_accuracy
    if accuracy is None:
        where, accuracy = "on the host", verified.int8_accuracy
    lost = 0.0  # of images without labels nothing is known
    if verified.fp32_accuracy is not None and accuracy is not None:
        lost = verified.fp32_accuracy - accuracy
    if lost > MOST_LOST:
        found.append(
            f"{name}: int8 loses {100 * lost:.1f} points against float "
            f"({where}, {verified.n_images:,} test images)."
        )
    return tuple(found)
