"""What int8 costs each layer, in words and as the rows of a table."""

from __future__ import annotations

from edgenas.core.records import Int8Layer, Int8Layers
from edgenas.reporting.words import numbers

NAMED = 3
SHOWN = 8
NO_NOISE = "no noise"


def sentences(costs: Int8Layers) -> tuple[str, ...]:
    """Return what int8 costs the whole network, and which layers cost most."""
    n = costs.n_images
    known = costs.int8_accuracy is not None
    right = f", and {numbers.percent(costs.int8_accuracy, n)} are right instead of "
    right += numbers.percent(costs.fp32_accuracy, n)
    whole = (
        f"In int8 the logits of the network have a signal-to-noise ratio of "
        f"{decibels(costs.logits_snr_db)} against float: {numbers.percent(costs.changed, n)} of "
        f"{n:,} {kind_of_images(costs)} images get another class{right if known else ''}."
    )
    noisy = [layer for layer in costs.worst_first if layer.logits_snr_db is not None][:NAMED]
    if not noisy:
        return (whole,)
    shares = costs.noise_shares
    named = [f"{layer.name} ({layer.kind}, {100 * shares[layer.name]:.0f} %)" for layer in noisy]
    return (whole, f"Most of the noise at the logits comes from {_listed(named)}.")


def kind_of_images(costs: Int8Layers) -> str:
    """Return "validation", or "synthetic" of those made from noise."""
    return "synthetic" if costs.int8_accuracy is None else "validation"


def row(layer: Int8Layer, costs: Int8Layers) -> tuple[str, ...]:
    """Return name, kind, both ratios, share of the noise, images changed, and points lost."""
    return (
        layer.name,
        layer.kind,
        decibels(layer.snr_db),
        decibels(layer.logits_snr_db),
        f"{100 * costs.noise_shares[layer.name]:.1f} %",
        numbers.percent(layer.changed, costs.n_images),
        points(layer.accuracy_cost),
    )


def decibels(value: float | None) -> str:
    """Return "31.4 dB"."""
    return NO_NOISE if value is None else f"{value:.1f} dB".replace("-", "\N{MINUS SIGN}")


def points(fraction: float | None) -> str:
    """Return a loss in percentage points: "0.28", "−0.28" where accuracy is gained."""
    if fraction is None:
        return numbers.MISSING
    return f"{100 * fraction:.2f}".replace("-", "\N{MINUS SIGN}")


def _listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
