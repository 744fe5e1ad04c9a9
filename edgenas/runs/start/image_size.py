"""How large images are read for a search from ImageNet's weights: as large as limit and time allow.

At equal latency more pixels are worth more than wider layers, so the size comes first: the greatest
at which a network of full depth and half the width keeps the limit on the run's own target. The
cost of training grows with its square, so of those that keep the limit it is the greatest at which
the time of the search has a few epochs.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgenas.core import plugins
from edgenas.core.errors import InputError
from edgenas.core.records import Architecture, StageChoice
from edgenas.core.records.networks import EXPAND_RATIO, KERNEL_SIZE
from edgenas.runs.models.latency import latency_model
from edgenas.runs.start.time_plan import Clock, noise_epoch_s, training_s
from edgenas.targets.base import MeasureSettings

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext
    from edgenas.spaces.base import MobileSpace

SIZES = (64, 80, 96, 128, 160, 192, 224)
TIMED = (64, 128, 224)
WITHOUT_LIMIT = 96  # pixels
HALF_WIDTH = 3  # of expand ratios up to 6
# Where the limit has room, larger images are worth more than more epochs (docs/decisions).
FEWEST_EPOCHS = 3
TRIED = 96  # pixels at which a step of training is timed


def choose(context: RunContext) -> None:
    """Settle the size of images of a run from ImageNet's weights that has not said it; says it.

    Raises
    ------
    InputError : no network of the space keeps the limit at any size.
    TargetError : the target cannot be used.
    """
    config, package = context.config, context.pretrained
    if package is None or not package.any_size() or config.image_size is not None:
        return
    if context.folder.data.exists() or context.images_of is not None:
        return  # they were read already, at their size
    latency = config.limits().get("latency_ms")
    limit_ms = None if latency is None else latency.at_most
    if limit_ms is None:
        context.begin_with(image_size=WITHOUT_LIMIT)
        context.progress.message(
            f"Images are read at {WITHOUT_LIMIT} px: no --max-latency says how large a network may "
            "be. Other: --image-size."
        )
        return
    least_ms, half_ms = _timed(context)
    if limit_ms < least_ms:
        raise InputError(
            f"The fastest network of the space '{config.space}' takes {least_ms:.2g} ms on "
            f"'{context.target.name}', at {SIZES[0]} px; the limit is {limit_ms:.2g} ms.",
            "Smaller networks are trained from nothing: --supernet none --space mbv3-tiny",
        )
    allowed = greatest(half_ms, limit_ms)
    size = _trainable(context, allowed)
    context.begin_with(image_size=size)
    if size < allowed:
        context.progress.message(
            f"Images are read at {size} px: the limit of {limit_ms:.2g} ms has room for {allowed} "
            f"px, but the time has not for {FEWEST_EPOCHS} epochs of these. Give it more (--time), "
            "or say --image-size."
        )
        return
    context.progress.message(
        f"Images are read at {size} px: there a network of full depth and half the width takes "
        f"about {half_ms[size]:.2g} ms, and the limit is {limit_ms:.2g} ms. Other: --image-size."
    )


def greatest(latency_ms: Mapping[int, float], limit_ms: float) -> int:
    """Return the greatest size whose latency keeps the limit; the least where none does."""
    fitting = [size for size, found in latency_ms.items() if found <= limit_ms]
    return max(fitting, default=min(latency_ms))


def trainable(largest: int, tried_epoch_s: float, training_s: float) -> int:
    """Return the greatest size up to `largest` that has `FEWEST_EPOCHS`; the least if none has.

    tried_epoch_s : of an epoch at `TRIED` px; it grows with the pixels. training_s : for all.
    """
    allowed = [size for size in SIZES if size <= largest]
    epoch_s = {size: tried_epoch_s * (size / TRIED) ** 2 for size in allowed}
    return greatest(epoch_s, training_s / FEWEST_EPOCHS)


def _trainable(context: RunContext, largest: int) -> int:
    """Return the greatest size up to `largest` that the time of the run has epochs for.

    `largest` where the run goes by no time, or its images cannot be counted before they are read.
    """
    clock, config = Clock.of(context), context.config
    name, _, argument = config.data.partition(":")
    count = getattr(plugins.load("data", name), "count_train", None)
    if clock is None or count is None or largest <= TRIED:
        return largest
    images = count(argument, config.task)
    space = context.space_for(TRIED)
    return trainable(largest, noise_epoch_s(space, images, config.batch_size), training_s(clock))


def between(macs: Mapping[int, int], timed_ms: Mapping[int, float]) -> dict[int, float]:
    """Return the latency of each size of `macs`, by straight lines between the timed ones."""
    known = sorted(timed_ms)
    at, values = [macs[size] for size in known], [timed_ms[size] for size in known]
    return {size: float(np.interp(macs[size], at, values)) for size in macs}


def _timed(context: RunContext) -> tuple[float, dict[int, float]]:
    """Return the latency of the smallest network at the least size, and half-wide ones at all."""
    spaces = {size: context.space_for(size) for size in SIZES}
    half = {size: _half_wide(space, size) for size, space in spaces.items()}
    asked = [(spaces[SIZES[0]], spaces[SIZES[0]].smallest())]
    asked += [(spaces[size], half[size]) for size in TIMED]
    models = [latency_model(context, one, space=space) for space, one in asked]
    settings = MeasureSettings(
        anchor=models[0].key, seed=context.config.seed, budget_s=context.config.device_time_s
    )
    outcomes = context.target.measure(
        models, settings, context.job_dir("size", models), context.progress
    )
    found = []
    for model in models:
        latency = outcomes[model.key].latency
        if latency is None:
            raise InputError(
                f"'{context.target.name}' could not time networks of '{context.config.space}': "
                f"{outcomes[model.key].reason}",
                "Say how large images are to be: --image-size 96",
            )
        found.append(latency.median_ms)
    macs = {s: sum(layer.macs for layer in spaces[s].layers(half[s])) for s in SIZES}
    return found[0], between(macs, dict(zip(TIMED, found[1:], strict=True)))


def _half_wide(space: MobileSpace, size: int) -> Architecture:
    stages = []
    for spec in space.stages:
        depth = spec.depths[-1]
        block = {name: options[len(options) // 2] for name, options in spec.choices.items()}
        block[KERNEL_SIZE] = spec.kernel_sizes[-1]
        if ratios := spec.expand_ratios:
            at = min(bisect.bisect_left(ratios, HALF_WIDTH), len(ratios) - 1)
            block[EXPAND_RATIO] = ratios[at]
        stages.append(StageChoice.of_blocks((block,) * depth))
    return Architecture.of(space.name, size, tuple(stages))
