"""A candidate trained alone for some epochs, and whether it is better for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.core.errors import DataError
from edgenas.core.records import Architecture, FineTuned
from edgenas.supernet.deploy import Deployable, of_subnet

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext
    from edgenas.supernet.blocks import Subnet
    from edgenas.supernet.network import Supernet


def finetuned(
    context: RunContext, supernet: Supernet, architecture: Architecture, inherited: Deployable
) -> tuple[Deployable, FineTuned | None]:
    """Return the better of the two networks on the validation images, and what was compared.

    Without --finetune that is the inherited one, and None. What was trained before is reused.

    Raises
    ------
    DataError : there are only the images that are packaged with a supernet.
    """
    epochs = context.config.finetune
    if not epochs:
        return inherited, None
    dataset, scheme = context.dataset, context.target.scheme
    subnet = _trained(context, supernet, architecture, epochs)
    network = of_subnet(subnet, context.space.layers(architecture), dataset, context.engine)
    before, after = (
        one.accuracies(scheme, dataset, dataset.val)[1] for one in (inherited, network)
    )
    result = FineTuned(epochs, after > before, before, after)
    said = f"{architecture}: int8 {before:.2%} before {epochs} epochs of fine-tuning, {after:.2%}"
    if not result.kept:
        context.progress.warning(f"{said} after: not better, so it is not kept.")
        return inherited, result
    context.progress.message(f"{said} after: kept")
    return network, result


def _trained(
    context: RunContext, supernet: Supernet, architecture: Architecture, epochs: int
) -> Subnet:
    from edgenas.supernet.finetune import FineTuning, load, save
    from edgenas.supernet.settings import default_settings

    name = f"{architecture.short_name}.finetuned-{epochs}.safetensors"
    path = context.folder.models / name
    if path.exists():
        context.reuse(f"the fine-tuned weights {name}")
        return load(path, supernet, architecture)
    if context.dataset.excerpt_of:
        raise DataError(
            f"{context.dataset.name} has too few images to fine-tune on.",
            "Name the images that the supernet was trained on with --data.",
        )
    config = context.config
    settings = default_settings(
        context.dataset, epochs=epochs, batch_size=config.batch_size, seed=config.seed
    )
    tuning = FineTuning(supernet, architecture, context.dataset, settings)
    with context.progress.task("Fine-tuning", tuning.total_steps) as task:
        for loss in tuning.steps():
            task.advance()
            task.note(f"loss {loss:.2f}")
    save(tuning.subnet, path)
    return tuning.subnet
