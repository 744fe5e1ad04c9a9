"""train: the supernet of the run's space on its images. Writes supernet.safetensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgenas.config import option_of
from edgenas.errors import DataError, InputError
from edgenas.run_context import RunContext
from edgenas.run_folder import write_bytes

if TYPE_CHECKING:
    from edgenas.pretrained.package import Package
    from edgenas.supernet.network import Supernet


def run(context: RunContext) -> Any:
    """Train, or go on from the checkpoint, or take a pretrained supernet; a finished one is reused.

    A pretrained supernet of other classes gets a new classifier and is trained on from there.
    """
    if context.folder.supernet.exists():
        context.supernet()
        context.reuse("the trained supernet")
        return None
    if context.pretrained is None:
        return _train(context, None)
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


def _train(context: RunContext, initial: Supernet | None) -> Any:
    from edgenas.supernet.settings import FEW_IMAGES, default_settings
    from edgenas.supernet.train import train

    if context.dataset.excerpt_of:
        raise DataError(
            f"{context.dataset.name} has only {len(context.dataset.train)} images, to calibrate.",
            "Name the images to train on with --data.",
        )
    settings = default_settings(
        context.dataset,
        epochs=context.config.epochs,
        batch_size=context.config.batch_size,
        seed=context.config.seed,
    )
    n, suits = len(context.dataset.train), context.space.name == "mbv3-tiny"
    if initial is None and n < FEW_IMAGES and suits and context.space.in_channels == 3:
        context.progress.message(
            f"{n} images are few to train on: --supernet cifar10 begins with trained weights."
        )
    return train(
        context.space,
        context.dataset,
        settings,
        context.folder.checkpoint,
        context.folder.supernet,
        context.progress,
        initial=initial,
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
        load(package.weights, context.space)
        return None
    context.progress.warning(
        f"The supernet '{context.config.supernet}' knows {len(known)} other classes than "
        f"{context.data_card.name} has: it gets a new classifier and is trained on."
    )
    return load_for(package.weights, context.space)
