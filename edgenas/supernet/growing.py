"""What a trained network gains by each hidden channel that is split, and each block that is added.

To second order in the step s the loss falls by -sum dL/da D(v) where a hidden channel is split
along v: a is its output and D(v) = (a(w + s v) + a(w - s v)) / 2 - a(w) (Liu et al. 2019, arXiv
1910.02366). The published form has the second derivative of one activation in place of D; ReLU6 has
none, and a finite difference holds for both convolutions and both activations at once. The v that
makes the Rayleigh quotient of that form least is found by gradient descent, without its matrix
(Wang et al. 2019, arXiv 1910.03103).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils.hooks import RemovableHandle

from edgenas.core.interfaces import Data
from edgenas.core.records import Layer
from edgenas.spaces.hidden_blocks import BlockPlace, HiddenBlock, hidden_blocks
from edgenas.supernet.blocks import Subnet
from edgenas.supernet.recalibrate import calibration_images, recalibrate, to_input
from edgenas.supernet.splitting import (
    AddedBlock,
    Direction,
    grown,
    moved,
    new_projections,
    unit,
    widening_weights,
)
from edgenas.supernet.trainer import resized

_STEEPNESS = 100.0  # of the form that Adam follows: its own steps hardly depend on it


@dataclass(frozen=True)
class GainSettings:
    """How gains are found.

    step : s, as a share of the norm of each weight that it changes. searched : batches by which
    directions are found, at `rate` (Adam). measured : further batches that the gains are means of.
    """

    step: float = 0.1
    searched: int = 60
    measured: int = 30
    batch_size: int = 128
    rate: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class SplitGains:
    """What splitting each hidden channel of one block would do.

    direction : v, of the layers that make the channels one tensor each, [hidden, ...] as their
        weights; over all of them a row has norm 1. drops : how much the mean loss of an
        image falls at the settings' step, float64 [hidden]; negative where it rises. errors :
        their standard errors.
    """

    direction: Direction
    drops: np.ndarray
    errors: np.ndarray

    @property
    def order(self) -> np.ndarray:
        """The channels, the greatest drop first, int64 [hidden]."""
        return np.argsort(-self.drops, kind="stable")

    def best(self, count: int) -> np.ndarray:
        """Return the `count` channels of the greatest drops, int64 [count]."""
        return self.order[:count]

    def drop_of(self, count: int) -> float:
        """Return the summed drop of splitting the `count` best channels."""
        return float(self.drops[self.best(count)].sum())


@dataclass(frozen=True)
class BlockGain:
    """What another block at the end of a stage would do.

    block : its last batch norm's weights have root mean square 1 before they are scaled by a step.
    drop : of the loss, by the gradient at zero, with weights of root mean square
        `GainSettings.step`.
    """

    block: AddedBlock
    drop: float


def split_gains(subnet: Subnet, data: Data, settings: GainSettings) -> dict[BlockPlace, SplitGains]:
    """Return the gains of every block of a calibrated subnet, along the best directions found."""
    return gains_along(subnet, best_directions(subnet, data, settings), data, settings)


def best_directions(
    subnet: Subnet, data: Data, settings: GainSettings
) -> dict[BlockPlace, Direction]:
    """Return of every block of a calibrated subnet the directions along which splits gain most.

    Its batch norms keep their statistics.
    """
    blocks = hidden_blocks(subnet.layers)
    generator = torch.Generator().manual_seed(settings.seed)
    raw = {
        place: tuple(
            torch.randn(weight.shape, generator=generator).requires_grad_()
            for weight in widening_weights(subnet, block)
        )
        for place, block in blocks.items()
    }
    optimizer = torch.optim.Adam([one for of in raw.values() for one in of], lr=settings.rate)
    for images, labels in _batches(subnet, data, settings, settings.searched):
        seen = _seen(subnet, blocks, data, images, labels)
        optimizer.zero_grad(set_to_none=True)
        for place, block in blocks.items():
            drop = seen[place].drops(subnet, block, unit(raw[place]), settings.step).sum()
            (-_STEEPNESS * drop / len(labels)).backward()
        optimizer.step()
    return {place: unit(tuple(x.detach() for x in of)) for place, of in raw.items()}


def gains_along(
    subnet: Subnet,
    directions: Mapping[BlockPlace, Direction],
    data: Data,
    settings: GainSettings,
) -> dict[BlockPlace, SplitGains]:
    """Return the gains of every block of a calibrated subnet along these directions."""
    blocks = hidden_blocks(subnet.layers)
    drops: dict[BlockPlace, list[np.ndarray]] = {place: [] for place in blocks}
    for images, labels in _batches(subnet, data, settings, settings.measured):
        seen = _seen(subnet, blocks, data, images, labels)
        with torch.no_grad():
            for place, block in blocks.items():
                drop = seen[place].drops(subnet, block, directions[place], settings.step)
                drops[place].append(drop.double().numpy() / len(labels))
    return {
        place: SplitGains(directions[place], np.mean(of, axis=0), _error(np.array(of)))
        for place, of in drops.items()
    }


def _error(samples: np.ndarray) -> np.ndarray:
    """Return the standard errors of the means of samples [n, hidden]; NaN of one sample."""
    n = len(samples)
    if n < 2:
        return np.full(samples.shape[1], np.nan)
    return np.asarray(np.std(samples, axis=0, ddof=1) / np.sqrt(n))


def block_gains(
    subnet: Subnet, deeper: tuple[Layer, ...], data: Data, settings: GainSettings
) -> dict[int, BlockGain]:
    """Return what one more block in a stage would do, by the stage.

    deeper : the layers of the network with all of these blocks, one a stage at most; none of them
        does anything before its last batch norm has a weight, so that all are looked at at once.
    """
    network = grown(subnet, deeper, {}, seed=settings.seed)
    recalibrate(network, calibration_images(network, data), data)
    added = {one.stage: one for one in new_projections(subnet.layers, deeper)}
    weights = {
        stage: network.get_parameter(f"{one.name}.bn.weight") for stage, one in added.items()
    }
    halves: dict[int, tuple[list[Tensor], list[Tensor]]] = {stage: ([], []) for stage in added}
    batches = _batches(network, data, settings, settings.measured if added else 0)
    for index, (images, labels) in enumerate(batches):
        network.zero_grad(set_to_none=True)
        data.task.loss(network(images), labels).backward()
        for stage, weight in weights.items():
            assert weight.grad is not None
            halves[stage][index % 2].append(weight.grad.detach().clone())
    own = {name: value.clone() for name, value in network.state_dict().items()}
    found = {}
    for stage, one in added.items():
        first, second = (torch.stack(half).mean(0) for half in halves[stage])
        gradient = (first + second) / 2
        root = float(gradient.norm()) / len(gradient) ** 0.5
        # The product of two halves is free of the noise that a norm would count as gain.
        squared = max(0.0, float(first @ second))
        drop = settings.step * (len(gradient) * squared) ** 0.5
        names = {of.name for of in deeper if (of.stage, of.block) == (one.stage, one.block)}
        state = {name: value for name, value in own.items() if name.partition(".")[0] in names}
        found[stage] = BlockGain(AddedBlock(state, -gradient / max(root, 1e-12)), drop)
    return found


def loss(subnet: Subnet, images: np.ndarray, labels: np.ndarray, data: Data) -> float:
    """Return the mean loss of a calibrated subnet on images, uint8 [n, h, w, c]."""
    with torch.no_grad():
        inputs = resized(to_input(images, data), subnet.resolution)
        return float(data.task.loss(subnet(inputs), torch.from_numpy(labels)))


@dataclass(frozen=True)
class _Seen:
    """Of one batch: what goes into a block, its hidden channels a, and dL/da."""

    inputs: Tensor
    outputs: Tensor
    gradient: Tensor

    def drops(
        self, subnet: Subnet, block: HiddenBlock, direction: Direction, step: float
    ) -> Tensor:
        """Return -sum dL/da D(v) of each channel over the batch, float32 [hidden]."""
        weights = widening_weights(subnet, block)
        ahead, behind = (
            _outputs(subnet, block, self.inputs, moved(weights, direction, signed))
            for signed in (step, -step)
        )
        middle: Tensor = (ahead + behind) / 2 - self.outputs
        return -(self.gradient * middle).sum((0, 2, 3))


def _outputs(subnet: Subnet, block: HiddenBlock, values: Tensor, weights: Direction) -> Tensor:
    """Return the hidden channels with these weights in place of their own."""
    for layer, weight in zip(block.widening, weights, strict=True):
        module = subnet.get_submodule(layer.name)
        values = functional_call(module, {"conv.weight": weight}, (values, layer))
    return values


def _batches(
    subnet: Subnet, data: Data, settings: GainSettings, count: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield `count` batches of training images as input, and their labels, each image in turn."""
    rng = np.random.default_rng(settings.seed)
    split, n = data.train, len(data.train.labels)
    size = min(settings.batch_size, n)
    passes = -(-count // (n // size))
    orders = (rng.permutation(n)[: n // size * size].reshape(-1, size) for _ in range(passes))
    for chosen in itertools.islice(itertools.chain.from_iterable(orders), count):
        images = resized(to_input(split.images[chosen], data), subnet.resolution)
        yield images, torch.from_numpy(split.labels[chosen])


def _seen(
    subnet: Subnet,
    blocks: Mapping[BlockPlace, HiddenBlock],
    data: Data,
    images: Tensor,
    labels: Tensor,
) -> dict[BlockPlace, _Seen]:
    """Return what each block sees of a batch; the loss is summed over its images."""
    entered: dict[str, Tensor] = {}
    left: dict[str, Tensor] = {}

    def keep(name: str) -> RemovableHandle:
        def hook(module: object, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            entered[name] = inputs[0].detach()
            if output.requires_grad:
                output.retain_grad()
            left[name] = output

        return subnet.get_submodule(name).register_forward_hook(hook)

    names = {layer.name for block in blocks.values() for layer in block.widening}
    handles = [keep(name) for name in sorted(names)]
    subnet.eval()
    subnet.zero_grad(set_to_none=True)
    try:
        (len(labels) * data.task.loss(subnet(images), labels)).backward()
    finally:
        for handle in handles:
            handle.remove()
    found = {}
    for place, block in blocks.items():
        first, last = block.widening[0].name, block.widening[-1].name
        gradient = left[last].grad
        assert gradient is not None
        found[place] = _Seen(entered[first], left[last].detach(), gradient)
    return found
