"""What splitting is predicted to gain, against what it does gain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from edgenas.core.progress import Silent
from edgenas.core.records import Layer
from edgenas.core.records.networks import HIDDEN_WIDTH
from edgenas.data import base
from edgenas.data.base import Dataset
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.hidden_blocks import hidden_blocks
from edgenas.supernet.batch_norm import EPSILON
from edgenas.supernet.blocks import Subnet
from edgenas.supernet.finetune import SubnetTraining
from edgenas.supernet.growing import (
    GainSettings,
    best_directions,
    block_gains,
    gains_along,
    split_gains,
)
from edgenas.supernet.network import initialise
from edgenas.supernet.recalibrate import to_input
from edgenas.supernet.settings import default_settings
from edgenas.supernet.splitting import Split, grown

SPACE = MobileSpace(
    *("grows", 4, 2),
    tuple(
        StageSpec(width, 1, (1, 2), (3,), (), others=((HIDDEN_WIDTH, tuple(range(6, 25))),))
        for width in (8, 12)
    ),
    *(16, (16,), 10, 1),
)


def layers_of(*hidden: tuple[int, ...]) -> tuple[Layer, ...]:
    network = SPACE.smallest()
    stages = tuple(
        spec.__class__.of({"kernel_size": (3,) * len(one), HIDDEN_WIDTH: one})
        for spec, one in zip(network.stages, hidden, strict=True)
    )
    return SPACE.layers(network.of(SPACE.name, 16, stages))


@pytest.fixture(scope="module")
def digits() -> Dataset:
    found = base.load("digits", seed=0, progress=Silent())
    return replace(found, train=found.train.take(np.arange(512)))


@pytest.fixture(scope="module")
def subnet(digits: Dataset) -> Subnet:
    """A small network after a few epochs."""
    layers = layers_of((8, 8), (12,))
    network = Subnet(layers)
    initialise(network, layers, 0)
    settings = default_settings(digits, epochs=5, seed=0)
    for _ in SubnetTraining(network, digits, settings).steps():
        pass
    return network


def loss(network: Subnet, data: Dataset) -> float:
    """The loss on all training images, in double precision."""
    with torch.no_grad():
        images = to_input(data.train.images, data).double()
        logits = network.double()(images)
    network.float()
    return float(F.cross_entropy(logits, torch.from_numpy(data.train.labels)))


WHOLE = GainSettings(step=0.02, searched=40, measured=4, batch_size=128)  # 4 batches: all images


def wider(place: tuple[int, int], by: int) -> tuple[Layer, ...]:
    hidden = {(0, 0): 8, (0, 1): 8, (1, 0): 12}
    hidden[place] += by
    return layers_of((hidden[0, 0], hidden[0, 1]), (hidden[1, 0],))


def test_the_predicted_drop_is_that_of_the_split_network(subnet: Subnet, digits: Dataset) -> None:
    gains = split_gains(subnet, digits, WHOLE)
    before = loss(subnet, digits)
    predicted, real = [], []
    for place, gain in gains.items():
        for channel in range(0, len(gain.drops), 2):
            one = Split(np.array([channel]), gain.direction)
            after = grown(subnet, wider(place, 1), {place: one}, WHOLE.step)
            predicted.append(gain.drops[channel])
            real.append(before - loss(after, digits))
    slope = np.polyfit(predicted, real, 1)[0]
    assert 0.9 <= slope <= 1.1
    assert np.corrcoef(predicted, real)[0, 1] > 0.98
    assert np.mean(real) > 0


@pytest.mark.slow
def test_directions_found_are_as_good_as_eigenvectors(subnet: Subnet, digits: Dataset) -> None:
    digits = replace(digits, train=digits.train.take(np.arange(128)))
    settings = replace(WHOLE, searched=120, measured=1)
    place = (0, 0)
    found = split_gains(subnet, digits, settings)[place]
    shapes = [one.shape for one in found.direction]
    size = sum(int(np.prod(shape[1:])) for shape in shapes)

    def drops(vectors: np.ndarray) -> np.ndarray:
        """Of every channel, split along its own vector or one for all, [hidden or 1, size]."""
        parts = np.split(vectors.astype(np.float32), [int(np.prod(shapes[0][1:]))], axis=1)
        direction = tuple(
            torch.from_numpy(part).view(-1, *shape[1:]).expand(shape)
            for part, shape in zip(parts, shapes, strict=True)
        )
        along = {p: direction if p == place else one for p, one in random.items()}
        return gains_along(subnet, along, digits, settings)[place].drops

    random = best_directions(subnet, digits, replace(settings, searched=0))
    axes = np.eye(size)
    own = np.array([drops(axis[None]) for axis in axes])
    form = np.zeros((len(found.drops), size, size))  # -S s^2 / 2, by polarisation
    for i in range(size):
        form[:, i, i] = own[i]
        for j in range(i):
            both = drops((axes[i] + axes[j])[None] / np.sqrt(2))
            form[:, i, j] = form[:, j, i] = both - (own[i] + own[j]) / 2
    values, vectors = np.linalg.eigh(form)
    matters = values[:, -1] > 0.1 * values[:, -1].max()
    assert matters.sum() >= 3
    along_eigenvectors = drops(vectors[:, :, -1])[matters]
    assert found.drops[matters].sum() >= 0.95 * along_eigenvectors.sum()
    assert found.drops[matters].sum() >= 2 * drops(np.ones((1, size)) / np.sqrt(size)).sum()


def test_a_new_block_gains_as_its_gradient_says(subnet: Subnet, digits: Dataset) -> None:
    deeper = layers_of((8, 8), (12, 12))
    settings = replace(WHOLE, step=0.002, measured=8)
    (gain,) = block_gains(subnet, deeper, digits, settings).values()
    direction = gain.block.direction
    assert float(direction.square().mean()) == pytest.approx(1.0, rel=1e-5)
    before = loss(subnet, digits)
    still = grown(subnet, deeper, {}, blocks={1: gain.block})
    assert loss(still, digits) == pytest.approx(before, abs=1e-6)
    after = grown(subnet, deeper, {}, settings.step, blocks={1: gain.block})
    assert before - loss(after, digits) == pytest.approx(gain.drop, rel=0.1)


def test_gains_are_second_derivatives_where_no_activation_bends(digits: Dataset) -> None:
    layers, place = layers_of((8,), (12,)), (0, 0)
    network = Subnet(layers)
    initialise(network, layers, 0)
    block = hidden_blocks(layers)[place]
    for layer in block.widening:  # all that goes through ReLU6 is about 3
        norm = network.get_submodule(f"{layer.name}.bn")
        torch.nn.init.constant_(norm.weight, 0.5)
        torch.nn.init.constant_(norm.bias, 3.0)
    network.eval()
    data = replace(digits, train=digits.train.take(np.arange(64)))
    settings = GainSettings(step=0.2, searched=0, measured=1, batch_size=64)
    directions = best_directions(network, data, settings)
    found = gains_along(network, directions, data, settings)[place].drops

    seen: dict[str, torch.Tensor] = {}

    def keep(module: object, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        seen.setdefault("inputs", inputs[0].detach())
        output.retain_grad()
        seen["outputs"] = output

    for layer in block.widening:
        network.get_submodule(layer.name).register_forward_hook(keep)
    logits = network(to_input(data.train.images, data))
    F.cross_entropy(logits, torch.from_numpy(data.train.labels)).backward()
    gradient = seen["outputs"].grad
    assert gradient is not None

    shift = torch.zeros(block.hidden, dtype=torch.float64, requires_grad=True)
    values = seen["inputs"].double()
    for layer, direction in zip(block.widening, directions[place], strict=True):
        weight = network.get_parameter(f"{layer.name}.conv.weight").detach().double()
        norm = weight.flatten(1).norm(dim=1)
        moved = weight + (shift * norm).view(-1, 1, 1, 1) * direction.double()
        groups = block.hidden if layer.kind == "depthwise" else 1
        values = F.conv2d(values, moved, None, layer.stride, layer.kernel_size // 2, 1, groups)
        values = F.relu6(0.5 * values / (1 + EPSILON) ** 0.5 + 3.0)
    first = torch.autograd.grad((gradient * values).sum(), shift, create_graph=True)[0]
    second = torch.autograd.grad(first.sum(), shift)[0].numpy()
    expected = -(settings.step**2) / 2 * second
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=0.01 * np.abs(expected).max())
