"""A graph that takes pixels as they are, and one with a background class: what judges feed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgenas.errors import ExportError
from edgenas.graph.ir import INPUT, OUTPUT, Graph, Node, WeightedNode
from edgenas.graph.ranges import Ranges


def take_pixels(
    graph: Graph, ranges: Ranges, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[Graph, Ranges]:
    """Return a graph that normalises by itself, and its ranges: the stored input is the pixel.

    Its input is (pixel - zero) / 255, where the integer `zero` is the mean colour, so that in uint8
    the scale is 1/255 and the zero point is `zero`. What first reads the image takes (pixel / 255 -
    mean) / std into its weights. Padding is exact if all channels have the mean zero / 255; else a
    padded pixel is off by (zero / 255 - mean) / std.

    mean, std : per channel, fractions of full scale.

    Raises
    ------
    ExportError : the image is read by something that has no weights to take the normalisation.
    """
    means, stds = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    if len(means) != graph.input_shape[1] or len(stds) != len(means):
        raise ExportError(f"The image has {graph.input_shape[1]} channels, its mean {len(means)}.")
    zero = int(np.rint(255 * means.mean()).clip(0, 255))
    shift = (zero / 255 - means) / stds
    nodes = tuple(_reads_pixels(n, shift, stds) if INPUT in n.inputs else n for n in graph.nodes)
    known = {**ranges, INPUT: (-zero / 255, (255 - zero) / 255)}
    return Graph(graph.input_shape, nodes), known


def with_background(graph: Graph, ranges: Ranges) -> Graph:
    """Return a graph with one more class at index 0, whose logit is the least that was calibrated.

    Raises
    ------
    ExportError : the logits are not those of a linear layer.
    """
    last = graph.nodes[-1]
    if not isinstance(last, WeightedNode) or last.kind != "linear":
        raise ExportError("The network's last layer is not linear: it has no logits.")
    if OUTPUT not in ranges:
        raise ExportError(f"The calibration has no range for the tensor '{OUTPUT}'.")
    least = np.float32(ranges[OUTPUT][0])
    weight = np.concatenate([np.zeros((1, last.weight.shape[1]), np.float32), last.weight])
    bias = np.concatenate([[least], last.bias]).astype(np.float32)
    widened = replace(last, weight=weight, bias=bias, shape=(1, len(bias)))
    return Graph(graph.input_shape, (*graph.nodes[:-1], widened))


def _reads_pixels(node: Node, shift: np.ndarray, stds: np.ndarray) -> WeightedNode:
    if not isinstance(node, WeightedNode) or node.kind == "linear":
        raise ExportError(f"'{node.output}' reads the image but cannot normalise it.")
    # weight [out, in / groups, k, k]; a depthwise channel reads the image's channel of its number
    channel = (slice(None), None) if node.kind == "depthwise" else (None, slice(None))
    weight = node.weight.astype(np.float64)
    constant = (weight.sum((2, 3)) * shift[channel]).sum(1)
    scaled = weight / stds[channel][..., None, None]
    bias = node.bias.astype(np.float64) + constant
    return replace(node, weight=scaled.astype(np.float32), bias=bias.astype(np.float32))
