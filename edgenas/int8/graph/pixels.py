"""A graph that takes pixels as they are, its classes in another order: what judges want."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgenas.core.errors import ExportError
from edgenas.core.records import ImageInput
from edgenas.int8.graph.ir import INPUT, OUTPUT, Graph, Node, WeightedNode
from edgenas.int8.graph.ranges import Ranges

NORMALISED = "normalised"  # the tensor that a layer of its own makes of the image
_LEAST_PIXEL = 1e-3  # of 255: a padded pixel that is closer to the mean is the mean


def take_pixels(
    graph: Graph,
    ranges: Ranges,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    zero: int | None = None,
    whole: float = 255.0,
    fold: bool = False,
) -> tuple[Graph, Ranges]:
    """Return a graph that normalises by itself, and its ranges: it is fed (pixel - zero) / whole.

    A layer of one weight a channel computes (pixel / 255 - mean) / std before what first reads the
    image. In int8 that gives the very integers that the network was verified with, where the range
    of the input is from `pixel_scale.pixel_exact`; weights that took mean and deviation would be
    rounded to others.

    mean, std : per channel, fractions of full scale. zero : the pixel that is stored as 0; None for
    the mean colour, so that in uint8 the scale is 1 / whole and the zero point is `zero`.
    fold : for a float file, have what first reads the image take mean and deviation into its
        weights where that is exact: it pads nothing, or the padded zeros stand for the mean.

    Raises
    ------
    ExportError : the image is read by something that is no convolution.
    """
    means, stds = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    if len(means) != graph.input_shape[1] or len(stds) != len(means):
        raise ExportError(f"The image has {graph.input_shape[1]} channels, its mean {len(means)}.")
    if zero is None:
        zero = int(np.rint(255 * means.mean()).clip(0, 255))
    shift, scale = (zero / 255 - means) / stds, whole / (255 * stds)
    known = {**ranges, INPUT: (-zero / whole, (255 - zero) / whole)}
    readers = [_reader_of_pixels(node) for node in graph.nodes if INPUT in node.inputs]
    padded = any(any(node.pads(graph.input_shape)) for node in readers)
    if fold and (not padded or np.abs(shift * stds * 255).max() < _LEAST_PIXEL):
        nodes = tuple(
            _reads_pixels(node, shift, scale) if node in readers else node for node in graph.nodes
        )
        return Graph(graph.input_shape, nodes), known
    first = WeightedNode(
        "depthwise" if len(stds) > 1 else "conv",
        (INPUT,),
        NORMALISED,
        graph.input_shape,
        scale.astype(np.float32).reshape(-1, 1, 1, 1),
        shift.astype(np.float32),
    )
    after = tuple(
        replace(node, inputs=(NORMALISED,)) if node in readers else node for node in graph.nodes
    )
    return Graph(graph.input_shape, (first, *after)), {**known, NORMALISED: ranges[INPUT]}


def as_fed(
    graph: Graph, ranges: Ranges, own: ImageInput, wanted: ImageInput, *, fold: bool = False
) -> tuple[Graph, Ranges]:
    """Return a graph that makes of `wanted` what the network makes of its `own` input, and ranges.

    Layout and type are the file's: an exporter sees to them. fold : see `take_pixels`.

    Raises
    ------
    ExportError : the size or the number of channels is another, or the image cannot be rearranged.
    """
    if own.size != wanted.size:
        raise ExportError(f"The network takes {own.size} px a side, not {wanted.size}.")
    if (own.channels == "grey") != (wanted.channels == "grey"):
        raise ExportError(f"The network takes {own.channels} images, not {wanted.channels}.")
    mean, std = own.mean, own.std
    if own.channels != wanted.channels:
        graph, mean, std = with_channels_reversed(graph), mean[::-1], std[::-1]
    if wanted.formula == own.formula:
        return graph, ranges
    whole = 255.0 if wanted.formula == "pixel / 255" else 1.0
    return take_pixels(graph, ranges, mean, std, zero=0, whole=whole, fold=fold)


def with_channels_reversed(graph: Graph) -> Graph:
    """Return a graph that takes its image's channels in reverse order: BGR where it took RGB.

    Raises
    ------
    ExportError : the image is read by something other than a convolution over all its channels.
    """
    nodes: list[Node] = []
    for node in graph.nodes:
        if INPUT in node.inputs:
            if not isinstance(node, WeightedNode) or node.kind != "conv":
                raise ExportError(f"'{node.output}' reads the image and has no channels to swap.")
            nodes.append(replace(node, weight=np.ascontiguousarray(node.weight[:, ::-1])))
            continue
        nodes.append(node)
    return Graph(graph.input_shape, tuple(nodes))


def with_class_order(graph: Graph, order: Sequence[int]) -> Graph:
    """Return a graph whose score number i is the one that was number `order[i]`.

    Raises
    ------
    ExportError : the logits are not those of a linear layer.
    """
    last = _classifier(graph)
    chosen = list(order)
    correction = None if last.bias_correction is None else last.bias_correction[chosen]
    permuted = replace(
        last, weight=last.weight[chosen], bias=last.bias[chosen], bias_correction=correction
    )
    return Graph(graph.input_shape, (*graph.nodes[:-1], permuted))


def with_background(graph: Graph, ranges: Ranges) -> Graph:
    """Return a graph with one more class at index 0, whose logit is the least that was calibrated.

    Raises
    ------
    ExportError : the logits are not those of a linear layer.
    """
    last = _classifier(graph)
    if OUTPUT not in ranges:
        raise ExportError(f"The calibration has no range for the tensor '{OUTPUT}'.")
    least = np.float32(ranges[OUTPUT][0])
    weight = np.concatenate([np.zeros((1, last.weight.shape[1]), np.float32), last.weight])
    bias = np.concatenate([[least], last.bias]).astype(np.float32)
    correction = last.bias_correction
    if correction is not None:
        correction = np.concatenate([np.zeros(1, np.float32), correction])
    widened = replace(
        last, weight=weight, bias=bias, bias_correction=correction, shape=(1, len(bias))
    )
    return Graph(graph.input_shape, (*graph.nodes[:-1], widened))


def _classifier(graph: Graph) -> WeightedNode:
    last = graph.nodes[-1]
    if not isinstance(last, WeightedNode) or last.kind != "linear":
        raise ExportError("The network's last layer is not linear: it has no logits.")
    return last


def _reader_of_pixels(node: Node) -> WeightedNode:
    if not isinstance(node, WeightedNode) or node.kind == "linear":
        raise ExportError(f"'{node.output}' reads the image but cannot normalise it.")
    return node


def _reads_pixels(node: WeightedNode, shift: np.ndarray, scale: np.ndarray) -> WeightedNode:
    # weight [out, in / groups, k, k]; a depthwise channel reads the image's channel of its number
    channel = (slice(None), None) if node.kind == "depthwise" else (None, slice(None))
    weight = node.weight.astype(np.float64)
    constant = (weight.sum((2, 3)) * shift[channel]).sum(1)
    scaled = weight * scale[channel][..., None, None]
    bias = node.bias.astype(np.float64) + constant
    return replace(node, weight=scaled.astype(np.float32), bias=bias.astype(np.float32))
