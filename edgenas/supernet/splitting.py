"""Networks with more hidden channels, or fewer: the weights that keep what was computed.

A hidden channel of an inverted bottleneck is a neuron: a row of the expanding convolution and a
depthwise kernel, or a filter of a fused convolution, with their batch norms; what leaves it is a
column of the projection. Split, its weights w become w + s v and w - s v, and half of the column
goes to each: at s = 0 the network computes what it did (Liu et al. 2019, arXiv 1910.02366). A block
that is added to a stage has a last batch norm of zero weight: nothing but its shortcut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgenas.core.records import Layer
from edgenas.spaces.hidden_blocks import BlockPlace, HiddenBlock, hidden_blocks
from edgenas.supernet.blocks import Subnet
from edgenas.supernet.network import initialise

Direction = tuple[Tensor, ...]
NORM = ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")


@dataclass(frozen=True)
class Split:
    """Which channels of a block are split, int64 [n], and along which direction."""

    channels: np.ndarray
    direction: Direction


@dataclass(frozen=True)
class AddedBlock:
    """A block that a stage gets more: the tensors of its state, by name.

    direction : of the weights of its last batch norm, float32 [width]: they are s times this.
    """

    state: Mapping[str, Tensor]
    direction: Tensor


@torch.no_grad()
def grown(
    subnet: Subnet,
    layers: tuple[Layer, ...],
    splits: Mapping[BlockPlace, Split],
    step: float = 0.0,
    *,
    blocks: Mapping[int, AddedBlock] | None = None,
    seed: int = 0,
) -> Subnet:
    """Return the network of `layers`, which is `subnet` with channels split and blocks added.

    It is in evaluation mode, with the batch norms' statistics of `subnet`. At step 0 it computes
    what `subnet` does.

    layers : as wide in each block as its splits make it.
    step : s, as a share of the norm of each weight.
    blocks : by the stage; one that gets a block which is not among them has a random one.
    seed : of random weights.
    """
    network = Subnet(layers)
    if subnet.keeps_statistics:
        network.keep_statistics()
    initialise(network, layers, seed)
    state = {name: value.clone() for name, value in subnet.state_dict().items()}
    for place, block in hidden_blocks(subnet.layers).items():
        if place in splits and len(splits[place].channels):
            state |= _split_block(subnet, block, splits[place], step)
    state = _with_new_gate_neurons(state, layers)
    added = blocks or {}
    for more in added.values():
        state |= more.state
    network.load_state_dict({**network.state_dict(), **state})
    for new in new_projections(subnet.layers, layers):
        weight = network.get_parameter(f"{new.name}.bn.weight")
        weight.zero_()
        if new.stage in added:
            weight.add_(added[new.stage].direction, alpha=step)
    network.eval()
    return network


@torch.no_grad()
def narrowed(
    subnet: Subnet, layers: tuple[Layer, ...], kept: Mapping[BlockPlace, np.ndarray]
) -> Subnet:
    """Return the network of `layers`, which is `subnet` with these hidden channels alone.

    kept : of each block, int64 [hidden of it in `layers`], in the order that they are to have.
    """
    network = Subnet(layers)
    if subnet.keeps_statistics:
        network.keep_statistics()
    state = {name: value.clone() for name, value in subnet.state_dict().items()}
    wanted = network.state_dict()
    for place, block in hidden_blocks(subnet.layers).items():
        channels = torch.as_tensor(kept[place])
        for layer in block.widening:
            for name in ("conv.weight", *NORM):
                state[f"{layer.name}.{name}"] = state[f"{layer.name}.{name}"][channels]
        if block.gate is not None:
            gate = block.gate.name
            squeezed = wanted[f"{gate}.squeeze.bias"].shape[0]
            state[f"{gate}.squeeze.weight"] = state[f"{gate}.squeeze.weight"][:squeezed, channels]
            state[f"{gate}.squeeze.bias"] = state[f"{gate}.squeeze.bias"][:squeezed]
            state[f"{gate}.excite.weight"] = state[f"{gate}.excite.weight"][channels, :squeezed]
            state[f"{gate}.excite.bias"] = state[f"{gate}.excite.bias"][channels]
        name = f"{block.projection.name}.conv.weight"
        state[name] = state[name][:, channels]
    network.load_state_dict(state)
    network.eval()
    return network


def importance(subnet: Subnet) -> dict[BlockPlace, np.ndarray]:
    """Return the size of the last batch norm's weight of each hidden channel, by block, [hidden].

    Of channels to be left out, those of the least are (Liu et al. 2017, arXiv 1708.06519).
    """
    return {
        place: subnet.get_parameter(f"{block.widening[-1].name}.bn.weight").detach().abs().numpy()
        for place, block in hidden_blocks(subnet.layers).items()
    }


def moved(weights: Direction, direction: Direction, step: float) -> Direction:
    """Return w + s v; s is a share of the norm of each row of each weight."""
    return tuple(
        w + step * v * w.flatten(1).norm(dim=1).view(-1, *(1,) * (w.ndim - 1))
        for w, v in zip(weights, direction, strict=True)
    )


def widening_weights(subnet: Subnet, block: HiddenBlock) -> Direction:
    return tuple(
        subnet.get_parameter(f"{layer.name}.conv.weight").detach() for layer in block.widening
    )


def unit(direction: Direction) -> Direction:
    """Return the direction with norm 1 in each row, over all of its tensors."""
    squares = sum((one.flatten(1).square().sum(1) for one in direction), torch.zeros(1))
    norms = squares.sqrt().clamp_min(1e-12)
    return tuple(one / norms.view(-1, *(1,) * (one.ndim - 1)) for one in direction)


def _split_block(
    subnet: Subnet, block: HiddenBlock, split: Split, step: float
) -> dict[str, Tensor]:
    """Return the tensors of a block whose channels are split; new ones come behind the old."""
    state = subnet.state_dict()
    channels = torch.as_tensor(split.channels)
    ahead, behind = (
        moved(widening_weights(subnet, block), split.direction, signed) for signed in (step, -step)
    )
    found = {}
    for layer, w, up, down in zip(
        block.widening, widening_weights(subnet, block), ahead, behind, strict=True
    ):
        kept = w.clone()
        kept[channels] = up[channels]
        found[f"{layer.name}.conv.weight"] = torch.cat([kept, down[channels]])
        for name in NORM:
            found[f"{layer.name}.{name}"] = _repeated(state[f"{layer.name}.{name}"], channels)
    if block.gate is not None:
        gate = block.gate.name
        found[f"{gate}.squeeze.weight"] = _shared(state[f"{gate}.squeeze.weight"], channels)
        for name in ("weight", "bias"):
            found[f"{gate}.excite.{name}"] = _repeated(state[f"{gate}.excite.{name}"], channels)
    project = f"{block.projection.name}.conv.weight"
    found[project] = _shared(state[project], channels)
    return found


def _repeated(rows: Tensor, channels: Tensor) -> Tensor:
    return torch.cat([rows, rows[channels]])


def _shared(columns: Tensor, channels: Tensor) -> Tensor:
    """Return weights [out, in, 1, 1] in which these inputs come twice, each with half."""
    halved = columns.clone()
    halved[:, channels] /= 2
    return torch.cat([halved, halved[:, channels]], 1)


def _with_new_gate_neurons(state: dict[str, Tensor], layers: Sequence[Layer]) -> dict[str, Tensor]:
    """Return the state with as many squeezed channels as gates have: new ones count for nothing.

    A wider block has a wider gate. A new channel reads as an old one does, and nothing reads it
    yet: its weights out are zero, and have a gradient.
    """
    state = dict(state)
    for layer in layers:
        name = f"{layer.name}.squeeze.weight"
        if layer.kind != "squeeze_excite" or name not in state:
            continue
        old = state[name].shape[0]
        new = torch.arange(old, layer.squeeze_channels) % old
        state[name] = _repeated(state[name], new)
        bias = f"{layer.name}.squeeze.bias"
        state[bias] = _repeated(state[bias], new)
        out = f"{layer.name}.excite.weight"
        state[out] = torch.cat([state[out], torch.zeros_like(state[out][:, new])], 1)
    return state


def new_projections(before: Sequence[Layer], after: Sequence[Layer]) -> list[Layer]:
    """Return the projections of the blocks that only the second network has."""
    known = {one.name for one in before}
    blocks = hidden_blocks(after).values()
    return [one.projection for one in blocks if one.projection.name not in known]
