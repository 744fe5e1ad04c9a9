"""The reference: what a lowered graph computes in float32, run by torch in batches on the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from edgenas.core.errors import ExportError
from edgenas.int8.graph.ir import INPUT, OUTPUT, Graph, Node, WeightedNode
from edgenas.int8.operators import find_operator

if TYPE_CHECKING:
    import torch

    Weights = dict[str, tuple[torch.Tensor, torch.Tensor]]
    Store = Callable[[str, torch.Tensor], torch.Tensor]

Observer = Callable[[str, np.ndarray], None]


def run(
    graph: Graph,
    images: np.ndarray,
    *,
    observe: Observer | None = None,
    batch_size: int = 32,
    store: Store | None = None,
) -> np.ndarray:
    """Return the logits, float32 [n, classes], of images, float32 [n, *graph.takes].

    observe : called with the name and the values [batch, …] of every tensor of every batch; the
        array is only valid during the call.
    store : returns what is kept of each tensor, by its name; all of it without.

    Raises
    ------
    ExportError : the images do not fit the graph.
    """
    import torch

    images = checked_images(graph, images)
    weights = torch_weights(graph)
    logits = []
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = torch.from_numpy(np.array(images[start : start + batch_size]))
            logits.append(_run_batch(graph, weights, batch, observe, store))
    return np.concatenate(logits)


def checked_images(graph: Graph, images: np.ndarray) -> np.ndarray:
    """Return inputs, float32 [n, *graph.takes], as images [n, channels, height, width].

    Raises
    ------
    ExportError : they have another type or shape, or there are none.
    """
    expected = graph.takes
    if images.dtype != np.float32 or images.shape[1:] != expected:
        what = "images" if graph.ends is None else "inputs"
        raise ExportError(
            f"The network takes float32 {what} of shape {expected}, "
            f"not {images.dtype} of shape {images.shape[1:]}."
        )
    if not len(images):
        raise ExportError("There are no images to run the network on.")
    return graph.images(images)


def torch_weights(graph: Graph) -> Weights:
    """Return weight and bias of every weighted node, by its output."""
    import torch

    return {
        node.output: (torch.from_numpy(node.weight), torch.from_numpy(node.bias))
        for node in graph.nodes
        if isinstance(node, WeightedNode)
    }


def _run_batch(
    graph: Graph,
    weights: Weights,
    batch: torch.Tensor,
    observe: Observer | None,
    store: Store | None,
) -> np.ndarray:
    """Compute the tensors in order; one is dropped after its last use."""
    import torch

    last_reader = {name: node for node in graph.nodes for name in node.inputs}
    # Channels last runs up to twice as fast on CPUs.
    image = batch if store is None else store(INPUT, batch)
    tensors = {INPUT: image.contiguous(memory_format=torch.channels_last)}
    if observe:
        observe(INPUT, image.numpy())
    for node in graph.nodes:
        value = compute(node, [tensors[name] for name in node.inputs], weights)
        if store is not None:
            value = store(node.output, value)
        tensors[node.output] = value
        if observe:
            observe(node.output, value.numpy())
        for name in set(node.inputs):
            if last_reader[name] is node:
                del tensors[name]
    return tensors[OUTPUT].numpy()


def compute(node: Node, inputs: list[torch.Tensor], weights: Weights) -> torch.Tensor:
    """Return what `node` makes of `inputs`, float32 [n, …]; weights : from `torch_weights`."""
    from torch.nn import functional

    if isinstance(node, WeightedNode):
        value = weighted(node, inputs[0], *weights[node.output])
    else:
        value = find_operator(node.kind).compute(node, inputs)
    if node.activation == "none":
        return value
    return functional.relu6(value, inplace=True) if node.activation == "relu6" else value.relu_()


def weighted(
    node: WeightedNode, value: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Return the sums of products of a weighted node, before its activation."""
    from torch.nn import functional

    if node.kind == "linear":
        return functional.linear(value.flatten(1), weight, bias)
    top, left, below, right = node.pads(value.shape)
    around = (top, left)
    if around != (below, right):
        value, around = functional.pad(value, (left, right, top, below)), (0, 0)
    return functional.conv2d(value, weight, bias, node.stride, around, node.dilation, node.groups)
