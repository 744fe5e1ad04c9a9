"""What a search space is, to somebody who chooses one: its size, its layers, its engines."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.core.records import Architecture, Layer
from edgenas.int8.engines.facts import engine_names
from edgenas.int8.engines.precheck import precheck
from edgenas.int8.engines.scheme import default_scheme
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.spaces import files
from edgenas.spaces.base import MobileSpace


@dataclass(frozen=True)
class Network:
    """One network of a space. macs, params : of one image, and once batch norm is folded."""

    architecture: Architecture
    macs: int
    params: int
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class SpaceCard:
    """A space for images of one kind.

    size : architectures. engines : for each engine what stands in the way of int8; () for nothing.
    """

    name: str
    purpose: str
    size: int
    resolutions: tuple[int, ...]
    num_classes: int
    in_channels: int
    smallest: Network
    largest: Network
    engines: dict[str, tuple[str, ...]]


def space_card(name: str, num_classes: int, in_channels: int, image_size: int) -> SpaceCard:
    """Return what a space is for images of `image_size` pixels. name : of it, or its file.

    Raises
    ------
    PluginError : there is no such space. InputError : the file cannot be used.
    """
    member = files.find(name)
    space = member.create(num_classes, in_channels, image_size)
    return SpaceCard(
        name=space.name,
        purpose=member.purpose,
        size=space.size,
        resolutions=space.resolutions,
        num_classes=num_classes,
        in_channels=in_channels,
        smallest=_network(space, space.smallest()),
        largest=_network(space, space.largest()),
        engines=_obstacles(space),
    )


def _network(space: MobileSpace, architecture: Architecture) -> Network:
    layers = space.layers(architecture)
    macs, params = (sum(getattr(layer, what) for layer in layers) for what in ("macs", "params"))
    return Network(architecture, macs, params, layers)


def _obstacles(space: MobileSpace) -> dict[str, tuple[str, ...]]:
    layers = space.layers(space.smallest())
    graph = lower(layers, random_state(layers, 0))
    found = {}
    for engine in engine_names():
        obstacles = precheck(graph, engine, default_scheme("x86_64", engine))
        texts = (f"{obstacle.problem}. {obstacle.remedy}" for obstacle in obstacles)
        found[engine] = tuple(dict.fromkeys(texts))
    return found
