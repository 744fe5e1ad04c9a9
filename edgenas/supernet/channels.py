"""Hidden channels: those of which a subnet may have fewer, what makes and what reads them."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.core.interfaces import Space
from edgenas.core.records import Layer


@dataclass(frozen=True)
class HiddenChannels:
    """The same channels wherever they stand.

    makers : layers with weights that have one output for each; readers : one input for each.
    """

    makers: tuple[str, ...]
    readers: tuple[str, ...]


def hidden_channels(space: Space) -> tuple[HiddenChannels, ...]:
    """Return the hidden channels of a space's largest network.

    Layers that treat each channel by itself, as a depthwise convolution does, read and make the
    same ones.
    """
    layers = space.layers(space.largest())
    narrowest = {layer.name: layer for layer in space.layers(space.narrowest())}
    hidden = {
        layer.name: layer.name
        for layer in layers
        if layer.out_channels != narrowest[layer.name].out_channels
    }
    for layer in layers:
        if layer.name in hidden and not _mixes(layer):
            for name in layer.inputs:
                hidden[_first(hidden, name)] = _first(hidden, layer.name)
    groups: dict[str, tuple[list[str], list[str]]] = {}
    for layer in layers:
        if layer.name in hidden and layer.kind in ("conv", "depthwise"):
            groups.setdefault(_first(hidden, layer.name), ([], []))[0].append(layer.name)
    for layer in layers:
        if _mixes(layer) and layer.inputs[0] in hidden:
            groups[_first(hidden, layer.inputs[0])][1].append(layer.name)
    return tuple(
        HiddenChannels(tuple(makers), tuple(readers)) for makers, readers in groups.values()
    )


def _mixes(layer: Layer) -> bool:
    return layer.kind in ("conv", "linear")


def _first(groups: dict[str, str], name: str) -> str:
    while groups[name] != name:
        name = groups[name]
    return name
