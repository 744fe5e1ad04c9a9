"""Equalising across layers, and biases that make up for rounded weights.

A channel that a layer makes larger and the next one takes smaller computes the same in float; in
int8 all channels of a tensor share one scale, so that it helps if they are equally large (Nagel et
al. 2019, arXiv 1906.04721, sections 4.1 and 4.2). What is rounded away from weights shifts the mean
of what they make; the bias takes that back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgenas.core.errors import ExportError
from edgenas.int8.graph.float_reference import run
from edgenas.int8.graph.ir import OUTPUT, Graph, Node, WeightedNode
from edgenas.int8.graph.quantize import Quantization
from edgenas.int8.graph.ranges import Ranges

_LEAST = 1e-6  # of a channel's greatest value over the tensor's: smaller ones are left
_MOST_GAIN = 1e3
_WIDE = 4096  # numbers of a row that is reduced


@dataclass(frozen=True, eq=False)
class Channels:
    """What a tensor held on the calibration images, a channel: least, greatest and mean value."""

    least: np.ndarray
    greatest: np.ndarray
    mean: np.ndarray

    def scaled(self, factors: np.ndarray) -> Channels:
        return Channels(self.least / factors, self.greatest / factors, self.mean / factors)


Statistics = dict[str, Channels]


def observe_channels(
    graph: Graph, images: np.ndarray, batch_size: int = 16
) -> tuple[Statistics, np.ndarray]:
    """Return what every tensor holds, a channel, over images, float32 [n, *graph.takes].

    Returned with it are the scores, float32 [n, classes].

    Raises
    ------
    ExportError : the images do not fit the graph, or a tensor has values that are not finite.
    """
    seen: dict[str, Channels] = {}
    done: dict[str, int] = {}

    def observe(name: str, values: np.ndarray) -> None:
        # channels last, as they are stored, so that rows are reduced
        rows = np.moveaxis(values, 1, -1).reshape(-1, values.shape[1])
        mean = (np.ones(len(rows), np.float32) @ rows).astype(np.float64) / len(rows)
        own = Channels(*_extremes(rows), mean)
        if not np.isfinite(own.mean).all():
            raise ExportError(f"The tensor '{name}' has values that are not finite.")
        before = done.get(name, 0)
        if before:
            known, n = seen[name], len(values)
            own = Channels(
                np.minimum(known.least, own.least),
                np.maximum(known.greatest, own.greatest),
                (known.mean * before + own.mean * n) / (before + n),
            )
        seen[name], done[name] = own, before + len(values)

    scores = run(graph, images, observe=observe, batch_size=batch_size)
    return seen, scores


def _extremes(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest of each column; rows are put side by side, because NumPy
    reduces wide ones up to four times as fast."""
    joined, channels = 1, rows.shape[1]
    while len(rows) % (2 * joined) == 0 and 2 * joined * channels <= _WIDE:
        joined *= 2
    wide = rows.reshape(-1, joined * channels)
    least, greatest = wide.min(0), wide.max(0)
    return least.reshape(joined, -1).min(0), greatest.reshape(joined, -1).max(0)


def ranges_of(statistics: Statistics) -> Ranges:
    """Return (min, max) of every tensor."""
    return {
        name: (float(one.least.min()), float(one.greatest.max()))
        for name, one in statistics.items()
    }


def equalize(graph: Graph, statistics: Statistics) -> tuple[Graph, Statistics]:
    """Return a graph that computes the same with channels that are more alike, and its statistics.

    Channels of a tensor are scaled where one layer with weights makes it, without activation or
    with ReLU, and one other with weights alone reads it. What a depthwise layer reads is made equal
    altogether, for that layer has a scale a channel; else the larger weights share the gain.
    """
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    nodes = {node.output: node for node in graph.nodes}
    known = dict(statistics)
    for name in list(nodes):
        after = readers.get(name, [])
        if name == OUTPUT or len(after) != 1:
            continue
        maker, reader = nodes[name], nodes[after[0].output]
        if not isinstance(reader, WeightedNode) or not isinstance(maker, WeightedNode):
            continue
        if maker.activation == "relu6" or reader.kind == "linear" or reader.parts > 1:
            continue
        factors = _factors(known[name], reader)
        nodes[name] = _divided(maker, factors)
        nodes[reader.output] = _multiplied(reader, factors)
        known[name] = known[name].scaled(factors)
    return replace(graph, nodes=tuple(nodes.values())), known


def _factors(seen: Channels, reader: WeightedNode) -> np.ndarray:
    """Return by what each channel is divided where it is made: above 0."""
    large = np.maximum(np.abs(seen.least), np.abs(seen.greatest)).astype(np.float64)
    if large.max() <= 0:
        return np.ones(len(large))
    small = large < _LEAST * large.max()
    share = large / large.max()
    if reader.kind != "depthwise":
        weights = np.abs(reader.weight).max((0, 2, 3)).astype(np.float64)
        weights = weights / max(weights.max(), np.finfo(np.float64).tiny)
        share = np.sqrt(share / np.maximum(weights, _LEAST))
        share = share / share[~small].max()
    share[small] = 1.0
    return share.clip(1 / _MOST_GAIN, 1.0)


def _divided(node: WeightedNode, factors: np.ndarray) -> WeightedNode:
    column = factors.reshape((-1,) + (1,) * (node.weight.ndim - 1))
    weight = (node.weight / column).astype(np.float32)
    return replace(node, weight=weight, bias=(node.bias / factors).astype(np.float32))


def _multiplied(node: WeightedNode, factors: np.ndarray) -> WeightedNode:
    if node.kind == "depthwise":
        return replace(node, weight=(node.weight * factors[:, None, None, None]).astype(np.float32))
    return replace(node, weight=(node.weight * factors[None, :, None, None]).astype(np.float32))


def with_corrected_biases(
    graph: Graph, quantization: Quantization, statistics: Mapping[str, Channels]
) -> Graph:
    """Return a graph whose int8 biases make up, in the mean, for what is rounded off its weights.

    What it computes in float does not change. The mean of what a layer reads is that of the float
    network; zeros around it are left out.
    """
    nodes = []
    for node in graph.nodes:
        if not isinstance(node, WeightedNode) or node.in_float:
            nodes.append(node)
            continue
        kept = quantization.weights[node.output]
        scale = kept.scale.reshape((-1,) + (1,) * (node.weight.ndim - 1))
        lost = node.weight.astype(np.float64) - kept.weight * scale
        mean = statistics[node.inputs[0]].mean
        correction = _mean_product(node, lost, mean).astype(np.float32)
        nodes.append(replace(node, bias_correction=correction))
    return replace(graph, nodes=tuple(nodes))


def _mean_product(node: WeightedNode, weight: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return what a layer of these weights makes, in the mean, of channels of such means."""
    flat = weight.reshape(len(weight), -1)
    if node.kind == "depthwise":
        return np.asarray(flat.sum(1) * mean)
    inputs = mean
    if node.kind == "linear":
        return np.asarray(flat @ np.repeat(inputs, flat.shape[1] // len(inputs)))
    each = weight.sum((2, 3))
    groups = np.split(each, node.parts)
    parts = zip(groups, np.split(inputs, node.parts), strict=True)
    return np.concatenate([group @ part for group, part in parts])
