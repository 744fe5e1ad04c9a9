"""What can be known of a search for an FPGA at its start."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from edgenas.core.errors import InputError
from edgenas.core.metrics import REGISTRY
from edgenas.core.records.goals import Limit
from edgenas.hardware.pipeline import RESOURCES, Pipeline, check_layers, divisors
from edgenas.runs.config import RunConfig
from edgenas.spaces.base import MobileSpace

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext

MOST_CHANNELS = 8  # that a width is changed by to find one that folds


def check(context: RunContext) -> None:
    """Refuse responses of an FPGA on a board, and on an FPGA what no pipeline can be or reach."""
    pipeline, space = context.pipeline, context.space
    if pipeline is None:
        for name in sorted(context.config.responses):
            if REGISTRY[name].source == "hardware":
                raise InputError(
                    f"{name} is known of an FPGA alone, and the target '{context.target.name}' is "
                    "none.",
                    'Give a target file of kind = "fpga": docs/how-to/fpga.md.',
                )
        return
    _check_rate(context.config)
    check_layers(space.layers(space.largest()), f"The space '{context.config.space}'")
    reachable, layer = pipeline.fastest(space.layers(space.smallest()))
    if reachable < pipeline.images_per_s:
        nearest = math.floor(reachable)
        raise InputError(
            f"No folding of any network of '{context.config.space}' reaches "
            f"{pipeline.images_per_s:g} images/s at {pipeline.clock_mhz:g} MHz: unrolled as far as "
            f"it goes, {layer.name} takes {layer.out_size}x{layer.out_size} pixels at "
            f"{nearest:,} images/s, the nearest.",
            f'Ask for --constraint "images_per_s>={nearest}" or less, or raise clock_mhz.',
        )
    luts = context.config.limits().get("luts", Limit("luts")).at_most
    check_widths(space, pipeline, min(pipeline.limits()["luts"], luts or math.inf))


def _check_rate(config: RunConfig) -> None:
    """Refuse goals beside images/s that say two things of one network's folding."""
    wanted = {one.response for one in config.wanted}
    beside = sorted(wanted.intersection(RESOURCES))
    if "images_per_s" in wanted and beside:
        raise InputError(
            f"images_per_s and {beside[0]} cannot both be objectives: a network has a folding for "
            "each throughput, and is shown with one.",
            f'Limit one of them, such as --constraint "{beside[0]}<=30k" or '
            '--constraint "images_per_s>=1000".',
        )
    rate = config.limits().get("images_per_s")
    if rate is not None and rate.at_most is not None:
        raise InputError(
            "images_per_s has no upper limit: a pipeline is no worse for being fast.",
            'Write --constraint "images_per_s>=1000".',
        )


def check_widths(space: MobileSpace, pipeline: Pipeline, most_luts: float) -> None:
    """Refuse a width of a stage whose divisors are too few for any network to fit.

    Another width, up to `MOST_CHANNELS` away, must do what it does not.

    Raises
    ------
    InputError : names the stage, its width and the nearest that works.
    """
    at_least_rate = replace(pipeline, filled=None)
    luts_of = at_least_rate.counts()["luts"]

    def luts(of: MobileSpace) -> float:
        return luts_of(of.layers(of.smallest()))

    if (taken := luts(space)) <= most_luts:
        return
    for stage, spec in enumerate(space.stages):
        for width in _near(spec.width):
            if len(divisors(width)) <= len(divisors(spec.width)):
                continue
            stages = list(space.stages)
            stages[stage] = replace(spec, width=width)
            instead = luts(replace(space, stages=tuple(stages)))
            if instead <= most_luts:
                shown = ", ".join(map(str, divisors(spec.width)))
                raise InputError(
                    f"Stage {stage + 1} of '{space.name}' is {spec.width} wide, which folds by "
                    f"{shown} alone: at {pipeline.images_per_s:g} images/s the smallest network "
                    f"takes {taken:,.0f} LUTs of {most_luts:,.0f}, with {width} it takes "
                    f"{instead:,.0f}.",
                    f"Make the stage {width} wide, the nearest that works.",
                )


def _near(width: int) -> Iterator[int]:
    """Yield other widths, the nearest first."""
    for step in range(1, MOST_CHANNELS + 1):
        yield from (near for near in (width - step, width + step) if near > 0)
