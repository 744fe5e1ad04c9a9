"""A network that is trained on digits, and how far int8 files of it are from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.nn import functional

from edgenas.core.records import Architecture
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.ranges import Ranges, calibrate
from edgenas.spaces import mbv3_tiny
from edgenas.supernet.batch_norm import BatchNorm
from edgenas.supernet.blocks import Subnet

N_TRAIN, N_CALIBRATION = 1300, 128


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network, the images [n, 1, 8, 8] and labels [n] that it has not seen."""

    subnet: Subnet
    graph: Graph
    ranges: Ranges
    calibration: np.ndarray
    images: np.ndarray
    labels: np.ndarray


def load_images() -> tuple[np.ndarray, np.ndarray]:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = digits.images[order, None].astype(np.float32)
    return (images - images.mean()) / images.std(), digits.target[order]


def train(subnet: Subnet, images: np.ndarray, labels: np.ndarray, epochs: int = 3) -> None:
    for module in subnet.modules():
        if isinstance(module, BatchNorm):
            module.momentum = 0.1
    inputs, targets = torch.from_numpy(images), torch.from_numpy(labels)
    steps = epochs * (len(images) // 50)
    optimizer = torch.optim.SGD(subnet.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
    batches = torch.cat([torch.randperm(len(images)) for _ in range(epochs)]).split(50)
    subnet.train()
    for batch in batches[:steps]:
        optimizer.zero_grad()
        functional.cross_entropy(subnet(inputs[batch]), targets[batch]).backward()
        torch.nn.utils.clip_grad_norm_(subnet.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    subnet.eval()


@contextmanager
def trained_network(squeeze_excite: bool) -> Iterator[Trained]:
    """Train a small network; torch has one thread until the block ends."""
    space = mbv3_tiny.create(10, 1, 16)
    stages = tuple(replace(stage, squeeze_excite=squeeze_excite) for stage in space.stages)
    space = replace(space, resolutions=(8,), stages=stages)
    network = Architecture("mbv3-tiny", 8, ((3,), (3, 5), (3,)), ((2,), (3, 2), (3,)))
    layers = space.layers(network)
    images, labels = load_images()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        subnet = Subnet(layers)
        train(subnet, images[:N_TRAIN], labels[:N_TRAIN])
    graph = lower(layers, subnet.numpy_state())
    calibration = images[:N_CALIBRATION]
    ranges = calibrate(graph, calibration)
    yield Trained(subnet, graph, ranges, calibration, images[N_TRAIN:], labels[N_TRAIN:])
    torch.set_num_threads(threads)


def sqnr_db(reference: np.ndarray, scores: np.ndarray) -> float:
    return float(10 * np.log10(np.square(reference).sum() / np.square(scores - reference).sum()))


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    return float((scores.argmax(1) == labels).mean())
