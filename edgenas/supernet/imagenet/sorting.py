"""Hidden channels in the order of what they bring, so that a smaller expand ratio keeps the best.

A subnet has the first channels of each block. Sorted by energy, two thirds of them give an ImageNet
network 26 % before any training; by the L1 norm of the projection 11 %, unsorted 8 % (measured).
The energy of a channel x is sum w² Var(x) over the weights w that read it, batch norm folded.
"""

from __future__ import annotations

import numpy as np
import torch

from edgenas.core.interfaces import Data
from edgenas.int8.graph import float_reference
from edgenas.int8.graph.ir import Graph, WeightedNode
from edgenas.int8.graph.lower import lower
from edgenas.supernet.channels import hidden_channels
from edgenas.supernet.network import Supernet, convolution
from edgenas.supernet.recalibrate import to_input

IMAGES = 128


def sort_channels(supernet: Supernet, images: np.ndarray, data: Data) -> None:
    """Sort the hidden channels of every block; what the network computes stays.

    images : uint8 [n, h, w, c] at the greatest resolution.
    """
    space = supernet.space
    groups = hidden_channels(space)
    subnet = supernet.subnet(space.largest())
    graph = lower(space.layers(space.largest()), subnet.numpy_state())
    nodes = {node.output: node for node in graph.nodes if isinstance(node, WeightedNode)}
    read = {nodes[name].inputs[0] for group in groups for name in group.readers}
    variance = _variances(graph, read, to_input(images, data).numpy())
    with torch.no_grad():
        for group in groups:
            readers = [nodes[name] for name in group.readers]
            # a gate sees the mean of an image only
            wide = [node for node in readers if graph.shapes[node.inputs[0]][2:] != (1, 1)]
            energy = sum(_energy(node, variance[node.inputs[0]]) for node in wide or readers)
            order = torch.argsort(torch.as_tensor(energy), descending=True, stable=True)
            for name in group.makers:
                module = convolution(supernet, name)
                norm = module.bn
                for values in (
                    module.conv.weight,
                    *(norm.weight, norm.bias, norm.running_mean, norm.running_var),
                ):
                    values.copy_(values[order].clone())
            for name in group.readers:
                weight = convolution(supernet, name).conv.weight
                weight.copy_(weight[:, order].clone())


def _energy(reader: WeightedNode, variance: np.ndarray) -> np.ndarray:
    """Return sum w² Var(x) for each channel x that a convolution reads, [channels]."""
    squares = np.square(reader.weight, dtype=np.float64).sum((0, 2, 3))
    return np.asarray(squares * variance)


def _variances(graph: Graph, names: set[str], images: np.ndarray) -> dict[str, np.ndarray]:
    """Return the variance of each channel of the tensors `names`, over images and pixels."""
    sums: dict[str, list[np.ndarray]] = {name: [] for name in names}

    def observe(name: str, values: np.ndarray) -> None:
        if name in sums:
            wide = values.astype(np.float64)
            moments = (wide.sum((0, 2, 3)), np.square(wide).sum((0, 2, 3)))
            sums[name].append(np.stack(moments) / values[0, 0].size)

    float_reference.run(graph, np.ascontiguousarray(images), observe=observe)
    found = {}
    for name, batches in sums.items():
        mean, square = np.sum(batches, 0) / len(images)
        found[name] = np.maximum(square - np.square(mean), 0)
    return found
