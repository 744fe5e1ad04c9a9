"""What a search space is, to somebody who chooses one: its size, its layers, its engines."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas import plugins
from edgenas.graph.engines import engine_names
from edgenas.graph.lower import lower
from edgenas.graph.precheck import precheck
from edgenas.graph.random_state import random_state
from edgenas.records import Architecture, Layer
from edgenas.spaces.base import MobileSpace

# The scheme that each engine is served with; any other is served s8s8.
_SCHEMES = {"onnxruntime": "u8s8", "tensorrt": "s8s8-symmetric"}


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
    """Return what the space `name` is for images of `image_size` pixels.

    Raises
    ------
    PluginError : there is no such space.
    """
    module = plugins.load("spaces", name)
    space: MobileSpace = module.create(num_classes, in_channels, image_size)
    return SpaceCard(
        name=name,
        purpose=(module.__doc__ or "").split("\n")[0].partition(": ")[2],
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
        obstacles = precheck(graph, engine, _SCHEMES.get(engine, "s8s8"))
        texts = (f"{obstacle.problem}. {obstacle.remedy}" for obstacle in obstacles)
        found[engine] = tuple(dict.fromkeys(texts))
    return found
