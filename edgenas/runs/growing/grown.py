"""The network that `edgenas grow` kept: its weights, as they are exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.core.errors import RunFolderError
from edgenas.core.records import Architecture
from edgenas.core.records.export import Weights
from edgenas.core.records.growth import Growth, Start, Way
from edgenas.supernet.deploy import Deployable, of_subnet

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext
    from edgenas.supernet.blocks import Network, Subnet

WEIGHTS: dict[Way, Weights] = {
    "grown": "grown",
    "same shape from nothing": "trained alone",
    "uniform from nothing": "trained alone",
    "pruned": "pruned",
    "unchanged": "imported",
}


def kept(context: RunContext) -> Growth | None:
    """Return the run's growth, if it kept a network that the run's supernet does not have."""
    growth = context.find(Growth)
    return None if growth is None or of_supernet(growth.start, growth.kept) else growth


def of_supernet(start: Start, way: Way) -> bool:
    """Whether a way's weights are those of the run's supernet, or were exported already.

    An imported network is neither: the supernet was trained on from it.
    """
    return way == "unchanged" and start != "imported"


def save(context: RunContext, subnet: Subnet, network: Architecture) -> None:
    """Keep the weights of a network."""
    from edgenas.supernet.finetune import save as write

    write(subnet, context.folder.grown(network.short_name))


def subnet(context: RunContext, network: Architecture, like: Network) -> Subnet | None:
    """Return the network with the weights that were kept; None if none were, or it is another one.

    like : the supernet of the run.

    Raises
    ------
    RunFolderError : the file of its weights is gone. InputError : it is damaged.
    """
    from edgenas.supernet.finetune import load

    growth = kept(context)
    if growth is None or growth.best.network != network:
        return None
    path = context.folder.grown(network.short_name)
    if not path.exists():
        raise RunFolderError(
            f"{context.folder.path} has no {path.name}, the weights of the grown network.",
            f"Put the file back, or grow again: edgenas grow {context.folder.path}",
        )
    return load(path, context.space.layers(network), like)


def deployable(
    context: RunContext, network: Architecture, like: Network
) -> tuple[Deployable, Weights] | None:
    """Return the same, ready to emit, and whose weights these are."""
    found, growth = subnet(context, network, like), kept(context)
    if found is None or growth is None:
        return None
    layers = context.space.layers(network)
    ready = of_subnet(found, layers, context.dataset, context.engine)
    return ready, WEIGHTS[growth.kept]
