"""The frozen ImageNet network with a linear classifier, kept: a search gives no less than that.

It is had before any training. So it is a candidate where it keeps the limits, and the baseline that
the winner is held against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.core.records import Answers, Architecture, Baseline
from edgenas.supernet.deploy import Deployable, deployable

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext


def network(context: RunContext) -> Deployable | None:
    """Return the largest network of the space as it was before training; None where none was kept.

    Raises
    ------
    InputError : the file of its weights is damaged.
    """
    from edgenas.supernet.files import load

    path = context.folder.frozen
    if not path.exists():
        return None
    largest = context.space.largest()
    layers = context.space.layers(largest)
    return deployable(load(path, context.space), largest, layers, context.dataset, context.engine)


def accuracy(context: RunContext) -> float | None:
    """Return its int8 accuracy on the validation images; None where none was kept."""
    found = network(context)
    if found is None:
        return None
    return found.accuracy(context.target.scheme, context.dataset, context.dataset.val)


def better(
    context: RunContext, architecture: Architecture, trained: Deployable
) -> Deployable | None:
    """Return the frozen network if it is this one and more accurate than `trained`; says so."""
    found = network(context) if architecture == context.space.largest() else None
    if found is None:
        return None
    dataset, scheme = context.dataset, context.target.scheme
    frozen, now = (one.accuracy(scheme, dataset, dataset.val) for one in (found, trained))
    if frozen <= now:
        return None
    context.progress.message(
        f"{architecture}: int8 {now:.2%} of the validation images as trained, {frozen:.2%} as the "
        "linear classifier on the frozen ImageNet network, which is exported"
    )
    return found


def baseline(context: RunContext) -> Baseline | None:
    """Return what its int8 model gets right; None where none was kept."""
    from edgenas.supernet.imagenet.linear import fitted_to

    found = network(context)
    if found is None:
        return None
    dataset, scheme = context.dataset, context.target.scheme
    right, of_val = (found.right(scheme, dataset, of) for of in (dataset.test, dataset.val))
    size = context.space.largest().resolution
    return Baseline(
        "linear classifier on the frozen ImageNet network",
        Answers.of(right.tolist()),
        image_size=size,
        data_image_size=size,
        n_fitted=len(fitted_to(dataset)),
        n_train=len(dataset.train),
        sees="ImageNet features",
        val_answers=Answers.of(of_val.tolist()),
    )
