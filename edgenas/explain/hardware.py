"""Where the LUTs of a network go, which layer holds it up, and what one more bit costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgenas.core.records import Architecture, StageChoice
from edgenas.core.records.networks import ACTIVATION_BITS, WEIGHT_BITS
from edgenas.hardware.pipeline import Pipeline
from edgenas.spaces.base import MobileSpace

_BITS = {WEIGHT_BITS: "weights", ACTIVATION_BITS: "activations"}


def sentences(pipeline: Pipeline, space: MobileSpace, network: Architecture) -> tuple[str, ...]:
    """Return what a network is estimated to take, by stage; its slowest unit; and bits beside it.

    network : of `space`. Where reports calibrate the formulas, all figures are upper bounds.
    """
    layers = space.layers(network)
    estimate = pipeline.estimate(layers)
    if pipeline.filled is not None:  # at one throughput, so that bits can be compared
        pipeline = replace(pipeline, filled=None).at(estimate.images_per_s)
    parts: dict[str, tuple[float, int]] = {}
    for layer, one in zip(layers, estimate.layers, strict=True):
        name = f"stage {layer.stage + 1}" if layer.stage >= 0 else "stem, head and classifier"
        luts, blocks = parts.get(name, (0.0, 0))
        parts[name] = (luts + one.folding.luts, blocks + one.folding.bram18)
    listed = "; ".join(
        f"{name} {luts:,.0f} LUTs, {blocks} block RAMs"
        for name, (luts, blocks) in sorted(parts.items(), key=lambda part: -part[1][0])
    )
    slowest = max(estimate.layers, key=lambda one: one.folding.cycles)
    return (
        f"Estimated, not measured: {estimate.luts:,.0f} LUTs and {estimate.bram18} block RAMs of "
        f"18 kbit. {listed}.",
        f"{slowest.name} holds the pipeline up, estimated: {slowest.folding.cycles:,} cycles an "
        f"image, {estimate.images_per_s:,.0f} images/s.",
        *_bits(pipeline, space, network, estimate.luts),
    )


def _bits(
    pipeline: Pipeline, space: MobileSpace, network: Architecture, luts: float
) -> Iterator[str]:
    """Yield what the next more and the next fewer bits of a stage cost, where they are a choice."""
    for stage, choice in enumerate(network.stages):
        for name, words in _BITS.items():
            options = space.stages[stage].choices.get(name, ())
            if len(options) < 2:
                continue
            now = choice.choices[name][0]
            at = options.index(now)
            for other in options[max(at - 1, 0) : at + 2]:
                if other == now:
                    continue
                changed = _with(network, stage, name, int(other))
                more = pipeline.estimate(space.layers(changed)).luts - luts
                yield (
                    f"With {other} instead of {now} bits for the {words} of stage {stage + 1} it "
                    f"is estimated to take {more:+,.0f} LUTs."
                )


def _with(network: Architecture, stage: int, name: str, bits: int) -> Architecture:
    stages = network.stages
    changed = StageChoice.of({**stages[stage].choices, name: (bits,) * stages[stage].depth})
    return Architecture.of(
        network.space, network.resolution, (*stages[:stage], changed, *stages[stage + 1 :])
    )
