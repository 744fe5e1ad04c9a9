"""Sensitivity: what int8 costs, one layer at a time.

Each layer in turn computes with its stored weights and bias and rounds what it returns; all others
stay float32. The noise is what that changes, in the layer's own output and in the logits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgenas.core import plugins
from edgenas.core.errors import ExportError
from edgenas.core.records import Int8Layer
from edgenas.int8.graph import float_reference, integer_reference
from edgenas.int8.graph.ir import INPUT, OUTPUT, Graph, Node, WeightedNode
from edgenas.int8.graph.quantize import Quantization

if TYPE_CHECKING:
    import torch

    Values = dict[str, torch.Tensor]

# Of a batch whose tensors are all kept, twice: 256 MiB in float32 each.
MOST_VALUES = 2**26
MOST_IMAGES_AT_ONCE = 32


@dataclass(frozen=True)
class Sensitivity:
    """Every layer by itself; and all at once: logits_snr_db, changed, and right answers.

    fp32_accuracy, int8_accuracy : fractions; None of images without labels.
    """

    layers: tuple[Int8Layer, ...]
    logits_snr_db: float | None
    changed: float
    fp32_accuracy: float | None
    int8_accuracy: float | None


def sensitivity(
    graph: Graph,
    quantization: Quantization,
    images: np.ndarray,
    labels: np.ndarray | None,
    task: str = "classification",
) -> Sensitivity:
    """Return what each layer of `graph` loses by itself, in the order of computation.

    images : normalised float32 [n, *graph.takes]. labels : of `task`, integer [n, …], None where
        there are none.

    Raises
    ------
    ExportError : the images do not fit the graph, or are not as many as the labels.
    """
    float_reference.checked_images(graph, images)
    if labels is not None and labels.shape[:1] != images.shape[:1]:
        raise ExportError(f"{len(images)} images and labels {labels.shape} do not belong together.")
    size = sum(math.prod(shape) for shape in graph.shapes.values())
    batch = max(1, min(MOST_IMAGES_AT_ONCE, MOST_VALUES // size))
    names = list(graph.shapes)
    powers = np.zeros((len(names), 2))  # of the signal and the noise of each layer
    exact, alone = [], []
    for values, own in _batches(graph, quantization, images, batch, powers):
        exact.append(values)
        alone.append(own)
    logits, each = np.concatenate(exact), np.concatenate(alone, axis=1)
    every = integer_reference.run(graph, quantization, images, batch_size=batch)
    member = plugins.load_task(task)
    answers = member.decode(logits)

    def right(outputs: np.ndarray, truth: np.ndarray) -> float:
        return float(member.right(member.decode(outputs), truth).mean())

    def changed(outputs: np.ndarray) -> float:
        return float((~member.right(member.decode(outputs), answers)).mean())

    kinds = {INPUT: "input"} | {node.output: node.kind for node in graph.nodes}
    layers = tuple(
        Int8Layer(
            name=name,
            kind=kinds[name],
            snr_db=snr_db(float(signal), float(noise)),
            logits_snr_db=_snr_db(logits, one),
            accuracy_cost=None if labels is None else right(logits, labels) - right(one, labels),
            changed=changed(one),
        )
        for name, (signal, noise), one in zip(names, powers, each, strict=True)
    )
    return Sensitivity(
        layers,
        _snr_db(logits, every),
        changed(every),
        None if labels is None else right(logits, labels),
        None if labels is None else right(every, labels),
    )


def macs(graph: Graph) -> int:
    """Return the multiply-accumulates of one image."""
    return sum(map(node_macs, graph.nodes))


def node_macs(node: Node) -> int:
    """Return the multiply-accumulates that a node takes for one image."""
    if not isinstance(node, WeightedNode):
        return 0
    return node.weight.size * math.prod(node.shape[2:])


def snr_db(signal: float, noise: float) -> float | None:
    """Return 10 log10(signal / noise), decibels, of two sums of squares; None without noise."""
    if noise == 0:
        return None
    return 10 * math.log10(max(signal, float(np.finfo(np.float64).tiny)) / noise)


def _batches(
    graph: Graph, quantization: Quantization, images: np.ndarray, size: int, powers: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the float logits [size, classes], and [layers, size, classes] with each alone in int8.

    powers : float64 [layers, 2], to which each batch adds the squares of signal and noise.
    """
    import torch

    weights = float_reference.torch_weights(graph)
    stored = integer_reference.stored_graph(graph, quantization)
    stored_weights = float_reference.torch_weights(stored)
    for start in range(0, len(images), size):
        with torch.inference_mode():
            image = torch.from_numpy(np.array(graph.images(images[start : start + size])))
            values = {INPUT: image.contiguous(memory_format=torch.channels_last)}
            for node in graph.nodes:
                values[node.output] = _computed(node, values, weights)
            alone = []
            for index, name in enumerate(graph.shapes):
                value = values[name]
                if index:
                    value = _computed(stored.nodes[index - 1], values, stored_weights)
                value = integer_reference.stored(name, value, quantization)
                powers[index] += _power(values[name]), _power(value - values[name])
                alone.append(_onwards(graph, index, {name: value}, values, weights).numpy())
        yield values[OUTPUT].numpy(), np.stack(alone)


def _computed(node: Node, values: Values, weights: float_reference.Weights) -> torch.Tensor:
    return float_reference.compute(node, [values[name] for name in node.inputs], weights)


def _onwards(
    graph: Graph, first: int, changed: Values, values: Values, weights: float_reference.Weights
) -> torch.Tensor:
    """Return the logits that follow from the `changed` tensors, from node `first` on."""
    for node in graph.nodes[first:]:
        if any(name in changed for name in node.inputs):
            changed[node.output] = _computed(node, {**values, **changed}, weights)
    return changed.get(OUTPUT, values[OUTPUT])


def _power(values: torch.Tensor) -> float:
    import torch

    return float(values.square().sum(dtype=torch.float64))


def _snr_db(exact: np.ndarray, seen: np.ndarray) -> float | None:
    signal = exact.astype(np.float64)
    return snr_db(float((signal**2).sum()), float(((seen - signal) ** 2).sum()))
