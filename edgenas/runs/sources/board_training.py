"""The supernet of a run's space, trained on its images. Writes supernet.safetensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgenas.core.counted import counted
from edgenas.core.errors import DataError, InputError
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.run_options import option_of
from edgenas.runs.config import RunConfig
from edgenas.runs.run import RunContext

if TYPE_CHECKING:
    from edgenas.supernet.imagenet.linear import Floor
    from edgenas.supernet.network import Supernet
    from edgenas.supernet.packages.package import Package
    from edgenas.supernet.settings import TrainSettings


def train(context: RunContext) -> Any:
    """Train, or go on from the checkpoint, or take a pretrained supernet; a finished one is reused.

    A pretrained supernet of other classes gets a new classifier and is trained on from there.
    """
    _warn_of_images(context)
    if context.folder.supernet.exists():
        context.supernet()
        context.reuse("the trained supernet")
        return None
    if context.pretrained is None:
        return _train(context, None)
    if context.pretrained.is_start():
        return _train_on(context, context.pretrained)
    initial = _reheaded(context, context.pretrained)
    if initial is not None:
        return _train(context, initial)
    for name in ("epochs", "batch_size"):
        if getattr(context.config, name) is not None:
            context.progress.warning(
                f"{option_of(name)} does nothing here: the supernet '{context.config.supernet}' is "
                "trained, and knows these classes."
            )
    write_bytes(context.folder.supernet, context.pretrained.weights.read_bytes())
    context.reuse(f"the pretrained supernet '{context.config.supernet}'")
    return None


def _warn_of_images(context: RunContext) -> None:
    """Say what must be known of the images that a pretrained supernet's figures are of."""
    package = context.pretrained
    if package is None or package.is_start():
        return
    if package.metadata()["class_names"] != list(context.data_card.class_names):
        return
    if note := package.note():
        context.progress.warning(f"Supernet '{context.config.supernet}': {note}")


def _train(context: RunContext, initial: Supernet | None) -> Any:
    from edgenas.supernet.settings import FEW_IMAGES, default_settings

    if context.dataset.excerpt_of:
        raise DataError(
            f"{context.dataset.name} has only "
            f"{counted(len(context.dataset.train), 'image')}, to calibrate.",
            "Name the images to train on with --data.",
        )
    settings = default_settings(
        context.dataset,
        epochs=context.config.epochs,
        batch_size=context.config.batch_size,
        seed=context.config.seed,
    )
    if any(stage.stage_wide for stage in context.space.stages):  # fewer than 8 bits, to be learnt
        settings = replace(settings, qat_epochs=settings.epochs // 2)
    n = len(context.dataset.train)
    suits = context.space.name == "mbv3-tiny" and context.config.task == RunConfig.task
    if initial is None and n < FEW_IMAGES and suits and context.space.in_channels == 3:
        context.progress.message(
            f"{counted(n, 'image is', 'images are')} few to train on: --supernet cifar10 "
            "begins with trained weights."
        )
    return _trained(context, settings, initial)


def _train_on(context: RunContext, package: Package) -> Any:
    """Train from ImageNet's weights, or from those of an imported network."""
    from edgenas.runs.start.time_plan import Clock, planned
    from edgenas.supernet.settings import transfer_settings

    clock, pace = Clock.of(context), None
    settings = transfer_settings(
        context.dataset,
        epochs=context.config.epochs,
        batch_size=context.config.batch_size,
        seed=context.config.seed,
    )
    begin = _begin_from_own if package.imported() else _begin_from_imagenet
    initial, floor = begin(context, package, settings)
    if settings.balanced:
        context.progress.message(
            "Some classes have over five times the images of others: each is drawn as often."
        )
    if clock is not None:
        settings, pace = planned(context, initial, settings, clock)
    report = _trained(context, settings, initial, floor, pace)
    if clock is not None:
        context.say_plan(clock.sentence(_trained_epochs(len(report.losses))))
    return report


def _begin_from_own(
    context: RunContext, package: Package, settings: TrainSettings
) -> tuple[Supernet, Floor]:
    from edgenas.supernet.imported.start import begin

    return begin(package.weights, context.space, context.dataset, context.progress)


def _begin_from_imagenet(
    context: RunContext, package: Package, settings: TrainSettings
) -> tuple[Supernet, Floor]:
    """Return the start, and keep it: it is a candidate, and what the winner is held against."""
    from edgenas.supernet.files import save
    from edgenas.supernet.imagenet.start import begin

    if (channels := len(context.data_card.mean)) != 3:
        raise InputError(
            f"The supernet '{context.config.supernet}' takes images of 3 channels, "
            f"{context.data_card.name} has {channels}.",
            "Train on them from nothing: --supernet none",
        )
    initial, floor = begin(package.weights, context.space, context.dataset, context.progress)
    save(initial, context.folder.frozen, context.dataset, settings)
    return initial, floor


def _trained(
    context: RunContext,
    settings: TrainSettings,
    initial: Supernet | None,
    floor: Floor | None = None,
    pace: Callable[[int], int] | None = None,
) -> Any:
    from edgenas.supernet.train import train

    return train(
        context.space,
        context.dataset,
        settings,
        context.folder.checkpoint,
        context.folder.supernet,
        context.progress,
        initial=initial,
        floor=floor,
        pace=pace,
    )


def _reheaded(context: RunContext, package: Package) -> Supernet | None:
    """Return the supernet with a new classifier for the run's classes, None if it knows them."""
    from edgenas.supernet.files import load, load_for

    about = package.metadata()
    known, channels = about["class_names"], len(context.data_card.mean)
    if channels != about["space"]["in_channels"]:
        raise InputError(
            f"The supernet '{context.config.supernet}' takes images of "
            f"{about['space']['in_channels']} channels, {context.data_card.name} has {channels}.",
            "Leave --supernet out to train one of these images.",
        )
    if known == list(context.data_card.class_names):
        if (fit := package.fit()) != context.data_card.fit:
            raise InputError(
                f"The supernet '{context.config.supernet}' was trained with --fit {fit}, not "
                f"{context.data_card.fit}.",
                f"Say --fit {fit}, or leave --supernet out to train one.",
            )
        load(package.weights, context.space)
        return None
    context.progress.warning(
        f"The supernet '{context.config.supernet}' knows "
        f"{counted(len(known), 'other class', 'other classes')} than "
        f"{context.data_card.name} has: it gets a new classifier and is trained on."
    )
    return load_for(package.weights, context.space)


def _trained_epochs(count: int) -> str:
    return f"Training of {counted(count, 'epoch')}"
