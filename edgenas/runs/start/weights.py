"""What a search begins with: ImageNet's weights where the images are colour photographs.

A user who names neither a space nor a supernet gets, where the extra is installed, the better start
of two. Of colour photographs that is ImageNet's. Of anything else the two are held against each
other: a linear classifier on the frozen network, and a short training from nothing.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.core import plugins
from edgenas.core.errors import DataError
from edgenas.core.progress import Silent
from edgenas.data.photographs import SAMPLE, SIDE, SMALLEST, are_photographs
from edgenas.runs.config import AUTO

if TYPE_CHECKING:
    import numpy as np

    from edgenas.data.base import Dataset
    from edgenas.runs.run import RunContext

FROM_NOTHING, FROM_IMAGENET = "mbv3-tiny", "imagenet"
TRIAL_S = 60.0  # of training from nothing


def choose(context: RunContext) -> None:
    """Settle what a run begins with that has not said so; says what, and why.

    Raises
    ------
    DataError : the images cannot be used.
    """
    if context.config.supernet != AUTO:
        return
    if context.images_of is not None:  # one supernet for several boards
        first = context.images_of.config
        context.begin_with(supernet=first.supernet, space=first.space)
        return
    images, side = _sample(context)
    if side < SMALLEST:
        why = f"Images of {side} px are far smaller than those that ImageNet's weights know"
        _take(context, why, imagenet=False)
        return
    if are_photographs(images):
        _take(context, "The images are colour photographs", imagenet=True)
        return
    floor, trained = _trial(context)
    n = context.data_card.n_val
    _take(
        context,
        f"Of {n} validation images a linear classifier on the frozen ImageNet network gets "
        f"{floor:.1%} right, {TRIAL_S:.0f} s of training from nothing {trained:.1%}",
        imagenet=floor >= trained,
    )


def _take(context: RunContext, why: str, *, imagenet: bool) -> None:
    name = FROM_IMAGENET if imagenet else None
    other = "--supernet none trains from nothing" if imagenet else "--supernet imagenet would not"
    start = "ImageNet's weights (--supernet imagenet)" if imagenet else "random weights"
    space = "lite" if imagenet else FROM_NOTHING
    context.begin_with(supernet=name, space=space)
    context.progress.message(f"{why}: the search begins with {start}; {other}.")


def _sample(context: RunContext) -> tuple[np.ndarray, int]:
    """Return some of the images, uint8 [n, 64, 64, 3], and the size that most have."""
    name, _, argument = context.config.data.partition(":")
    images, side = plugins.load("data", name).sample(argument, SAMPLE, SIDE)
    return images, side


def _trial(context: RunContext) -> tuple[float, float]:
    """Return the validation accuracy of both starts at 64 px, each had cheaply."""
    from edgenas.supernet.imagenet.start import begin
    from edgenas.supernet.packages.package import find
    from edgenas.supernet.packages.trained_size import normalised_as

    context.progress.message(
        "The images do not look like colour photographs: a start from ImageNet's weights is "
        "compared with one from nothing."
    )
    dataset = context.dataset
    package = find(FROM_IMAGENET)
    about, size = package.metadata(), (len(dataset.class_names), len(dataset.mean))
    if len(dataset.mean) != 3:
        raise DataError(f"{dataset.name} has no three channels.", "Say --supernet none.")
    lite = plugins.load("spaces", "lite").create(*size, dataset.image_size)
    _, floor = begin(package.weights, lite, normalised_as(dataset, about), Silent())
    return floor.accuracy, _trained(context, dataset)


def _trained(context: RunContext, dataset: Dataset) -> float:
    """Return what the largest network gets right after a minute of training from nothing."""
    from edgenas.supernet.settings import default_settings
    from edgenas.supernet.train import train
    from edgenas.supernet.trainer import Trainer, timed_steps, training_device

    space = plugins.load("spaces", FROM_NOTHING).create(
        len(dataset.class_names), len(dataset.mean), dataset.image_size
    )
    settings = default_settings(dataset, seed=context.config.seed)
    with tempfile.TemporaryDirectory(prefix="edgenas-trial-") as folder:
        checkpoint = Path(folder) / "checkpoint"
        timed = Trainer(space, dataset, settings, Path(folder) / "timed", training_device())
        seconds = timed_steps(timed.steps())
        step_s = min(seconds[1:] or seconds)
        epochs = max(1, int(TRIAL_S / step_s / timed.steps_per_epoch))
        settings = replace(settings, epochs=min(settings.epochs, epochs))
        report = train(
            space, dataset, settings, checkpoint, Path(folder) / "supernet", context.progress
        )
    return report.largest_accuracy
