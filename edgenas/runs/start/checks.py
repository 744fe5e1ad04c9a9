"""What can be known of a search at its start, checked before its first slow step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.core import plugins
from edgenas.core.counted import counted
from edgenas.core.errors import InputError, TargetError
from edgenas.core.run_options import option_of
from edgenas.int8.engines import host
from edgenas.int8.engines.facts import find_engine
from edgenas.runs.config import RunConfig
from edgenas.runs.fpga import checks as fpga_checks
from edgenas.runs.start import image_size
from edgenas.runs.start import weights as start

if TYPE_CHECKING:
    from edgenas.core.records import DeviceProfile
    from edgenas.runs.run import RunContext

_COUNTS = ("samples", "evaluate", "top")  # options that count networks of the space


def check_start(context: RunContext) -> None:
    """Check the optimizer, and what the source can know before the first slow step."""
    check_optimizer(context.config)
    if context.config.target_gain is not None and not context.config.plain:
        raise InputError(
            "--target-gain is of the most accurate network under one limit on latency; this search "
            "has other objectives or limits.",
            "Leave it out, or measure until the error is small: --target-mape.",
        )
    context.source.check_start()


def check_board(context: RunContext) -> None:
    """Check the host's part of the engine, the images, and what counts either.

    The images are loaded, unless the run knows them already.

    Raises
    ------
    InputError : an option cannot be met, or a package that it needs is missing here.
    DataError : the images cannot be used.
    ExportError : this computer cannot run the files of the target's engine.
    """
    start.choose(context)
    image_size.choose(context)
    _check_channels(context)
    fpga_checks.check(context)
    _check_classes(context)
    target = context.target
    host.version(find_engine(target.engine).host_engine)
    for name in _COUNTS:
        asked, size = getattr(context.config, name), context.space.size
        if asked > size:
            raise InputError(
                f"{option_of(name)} {asked} is more than the {counted(size, 'network')} of the "
                f"space '{context.config.space}'.",
                f"Use {option_of(name)} {size} or less.",
            )
    _check_batch_size(context)


def check_optimizer(config: RunConfig) -> None:
    """Raise `InputError` if the optimizer lacks a package, or does not take what is asked."""
    optimizer = plugins.load("optimizers", config.optimizer)
    if hasattr(optimizer, "require_packages"):
        optimizer.require_packages()
    config.search_options(optimizer)


def require_engine(context: RunContext, profile: DeviceProfile) -> None:
    """Raise `TargetError` if the target has not, and cannot be sent, the run's engine."""
    engine = context.target.engine
    if engine in profile.engines:
        return
    offer = profile.offers.get(engine)
    about = [problem for problem in profile.problems if engine in problem]
    why = offer.why_not if offer is not None and offer.why_not else " ".join(about[:1])
    others = ", ".join(name for name in profile.engines if name != engine)
    raise TargetError(
        f"Target '{profile.target}' cannot have the engine {engine}: {why or 'it is not there'}.",
        f"It has {others}: choose one with --engine." if others else "Install it there.",
    )


def _check_channels(context: RunContext) -> None:
    package = context.pretrained
    if package is not None and package.any_size() and len(context.data_card.mean) != 3:
        raise InputError(
            f"The supernet '{context.config.supernet}' takes images of 3 channels, "
            f"{context.data_card.name} has {len(context.data_card.mean)}.",
            "Train on them from nothing: --supernet none",
        )


def _check_classes(context: RunContext) -> None:
    """Refuse images of other classes than those that the user's network knows by name."""
    package = context.pretrained
    if package is None or not package.imported():
        return
    known = package.metadata()["class_names"]
    unknown = [name for name in context.data_card.class_names if name not in known]
    if known and unknown:
        raise InputError(
            f"The class '{unknown[0]}' of {context.data_card.name} is not among those of the "
            "network.",
            "Name the folders as its metadata or --labels do.",
        )


def _check_batch_size(context: RunContext) -> None:
    asked, images = context.config.batch_size, context.data_card.n_train
    trained = context.folder.supernet.exists() or context.config.supernet is not None
    if asked is not None and asked > images and not trained:
        raise InputError(
            f"--batch-size {asked} is more than the {images:,} training images of "
            f"{context.data_card.name}.",
            f"Use --batch-size {images} or less.",
        )
