"""An imported graph as a space, whose largest network it is, and as the weights of a supernet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import numpy as np

from edgenas.core.errors import InputError
from edgenas.core.records import Layer, LayerKind
from edgenas.int8.graph.ir import INPUT, Graph, Node, WeightedNode
from edgenas.int8.graph.lower import BATCH_NORM_EPSILON
from edgenas.spaces.imported import (
    EIGHTHS,
    HIDDEN_EIGHTHS,
    ImportedSpace,
    ImportedStage,
    Template,
)
from edgenas.supernet.imported.blocks import Block, find_blocks

KERNEL_AT_LEAST = 3  # of larger depthwise kernels the centre of this size is a choice
MOST_FREE_BLOCKS = 5_000  # ways to choose a stage's blocks; above, all but the first are alike
SMALLEST = 8  # pixels a side
RESOLUTIONS = (4 / 7, 5 / 7, 6 / 7, 1.0)  # of the size that it takes
CLASSIFIER = "classifier"
Purpose = Literal["shrunk", "grown"]


@dataclass(frozen=True, eq=False)
class ImportedSupernet:
    """A space, and the weights of its largest network by the names of a supernet's tensors."""

    space: ImportedSpace
    tensors: dict[str, np.ndarray]


def supernet_of(
    graph: Graph, title: str, sha256: str, purpose: Purpose = "shrunk"
) -> ImportedSupernet:
    """Return the space that a graph is the largest network of, and its weights.

    title, sha256 : of the file that it was imported from. purpose : as refusals call it.

    Raises
    ------
    InputError : it is no classifier of square images, or has no block that could be smaller.
    """
    refused = f"{title} cannot be {purpose}"
    _require_classifier(graph, refused)
    found = find_blocks(graph)
    if not found.blocks:
        raise InputError(
            f"{refused}: it has neither inverted bottlenecks nor residual blocks, "
            "so that no layer of it may be of another width or left out.",
            "Write it in int8 as it is: edgenas quantize MODEL.onnx",
        )
    stem = _Renamed(graph, "stem_", refused).layers(found.stem, {INPUT: INPUT})
    stages = tuple(map(_spec, _stages(graph, found.blocks, refused)))
    last = found.blocks[-1].nodes[-1]
    head = _Renamed(graph, "head_", refused).layers(found.head, {last.output: ""})
    head = (*head[:-1], replace(head[-1], name=CLASSIFIER))
    space = ImportedSpace(
        name="own-" + (re.sub("[^a-z0-9]+", "-", title.lower()).strip("-") or "network")[:48],
        stem_width=stem[-1].out_channels,
        stem_stride=stem[0].in_size // stem[-1].out_size,
        stages=stages,
        head_width=head[-1].in_channels,
        resolutions=_resolutions(graph),
        num_classes=head[-1].out_channels,
        in_channels=graph.input_shape[1],
        stem=stem,
        head=head,
        source=(title, sha256),
    )
    nodes = (*found.stem, *(node for block in found.blocks for node in block.nodes), *found.head)
    return ImportedSupernet(space, _tensors(space.layers(space.largest()), nodes))


def _require_classifier(graph: Graph, refused: str) -> None:
    last = graph.nodes[-1]
    if last.kind != "linear" or len(graph.shapes[last.inputs[0]]) != 4:
        raise InputError(f"{refused}: it does not end in a classifier.")
    if graph.shapes[last.inputs[0]][2:] != (1, 1):
        size = graph.shapes[last.inputs[0]][2:]
        raise InputError(
            f"{refused}: its classifier reads an image of {size[0]} x {size[1]}, "
            "not the mean of one.",
            "Write it in int8 as it is: edgenas quantize MODEL.onnx",
        )


class _Renamed:
    """Nodes as layers of other names: of a part of the network, and what each is and its number."""

    def __init__(self, graph: Graph, prefix: str, refused: str) -> None:
        self._graph, self._prefix, self._refused = graph, prefix, refused

    def layers(self, nodes: Sequence[Node], known: Mapping[str, str]) -> tuple[Layer, ...]:
        """Return the layers of nodes. known : the names of what they read of other parts."""
        names = dict(known)
        layers = []
        for at, node in enumerate(nodes):
            names[node.output] = f"{self._prefix}{node.kind}{at}"
            layers.append(self._layer(node, tuple(names[name] for name in node.inputs), names))
        return tuple(layers)

    def _layer(self, node: Node, inputs: tuple[str, ...], names: Mapping[str, str]) -> Layer:
        sizes = [self._side(self._graph.shapes[name]) for name in node.inputs]
        channels = self._graph.shapes[node.inputs[0]][1]
        name, kind = names[node.output], self._kind(node)
        out_channels, out = node.shape[1], self._side(node.shape)
        layer = Layer(name, kind, inputs, channels, out_channels, max(sizes), out)
        layer = replace(layer, activation=node.activation, numbers=node.numbers)
        if not isinstance(node, WeightedNode) or kind == "linear":
            return layer
        height, width = node.weight.shape[2:]
        if height != width or node.padding_left not in (None, node.padding):
            raise InputError(f"{self._refused}: '{node.output}' is not square.")
        if node.dilation > 1:
            raise InputError(f"{self._refused}: '{node.output}' has gaps (dilation).")
        return replace(
            layer,
            kernel_size=height,
            stride=node.stride,
            padding=node.padding,
            groups=node.parts,
        )

    def _kind(self, node: Node) -> LayerKind:
        if node.kind not in get_args(LayerKind):
            raise InputError(f"{self._refused}: '{node.output}' is of the kind {node.kind}.")
        return cast(LayerKind, node.kind)

    def _side(self, shape: tuple[int, ...]) -> int:
        if len(shape) == 2:
            return 1
        if shape[2] != shape[3]:
            raise InputError(
                f"{self._refused}: it has images of {shape[2]} x {shape[3]}, and "
                "only square ones can be of several sizes."
            )
        return shape[2]


def _stages(graph: Graph, blocks: Sequence[Block], refused: str) -> list[list[Template]]:
    """Return the templates of the blocks, by stage: a block that may go stands with its likes."""
    stages: list[list[Template]] = []
    for block in blocks:
        layers = _Renamed(graph, "_", refused).layers(block.nodes, {block.entry: ""})
        own = zip(layers, block.nodes, strict=True)
        hidden = tuple(layer.name for layer, node in own if node.output in block.hidden)
        template = Template(layers, hidden)
        if block.residual and stages and _joins(template, stages[-1]):
            stages[-1].append(template)
        else:
            stages.append([template])
    return stages


def _joins(template: Template, stage: Sequence[Template]) -> bool:
    if len(stage) > 1:
        return template == stage[-1]
    first = stage[0]
    return _kernel_sizes(first) == _kernel_sizes(template) and bool(first.hidden) == bool(
        template.hidden
    )


def _kernel_sizes(template: Template) -> tuple[int, ...]:
    deep = [layer.kernel_size for layer in template.layers if layer.kind == "depthwise"]
    largest = max(deep or (layer.kernel_size for layer in template.layers))
    odd = all(size % 2 for size in deep)
    elastic = bool(deep) and odd and largest > KERNEL_AT_LEAST
    return (KERNEL_AT_LEAST, largest) if elastic else (largest,)


def _spec(stage: Sequence[Template]) -> ImportedStage:
    first, depth = stage[0], len(stage)
    kernel_sizes = _kernel_sizes(first)
    others = ((HIDDEN_EIGHTHS, EIGHTHS),) if first.hidden else ()
    ways = (len(kernel_sizes) * (len(EIGHTHS) if first.hidden else 1)) ** depth
    before, after = first.layers[0].in_size, first.layers[-1].out_size
    return ImportedStage(
        width=first.layers[-1].out_channels,
        stride=max(1, before // after),
        depths=tuple(range(1, depth + 1)),
        kernel_sizes=kernel_sizes,
        expand_ratios=(),
        uniform_inner=ways > MOST_FREE_BLOCKS,
        others=others,
        first=first,
        inner=stage[1] if depth > 1 else Template(),
    )


def _resolutions(graph: Graph) -> tuple[int, ...]:
    """Return the sizes of images that all strides divide, from four sevenths of its own on."""
    size = graph.input_shape[2]
    smallest = min(shape[2] for shape in graph.shapes.values() if len(shape) == 4 and shape[2] > 1)
    if size % smallest:
        return (size,)
    stride = size // smallest
    rounded = {int(size * part / stride + 0.5) * stride for part in RESOLUTIONS}
    return tuple(sorted({one for one in rounded if one >= max(SMALLEST, stride + 1)} | {size}))


def _tensors(layers: tuple[Layer, ...], nodes: Sequence[Node]) -> dict[str, np.ndarray]:
    """Return the nodes' weights by the names of a supernet's tensors.

    An imported file has its batch norms folded. Here each channel's weights get the norm 1 again,
    gamma what that took away, and beta the bias, with statistics that change nothing.
    """
    tensors: dict[str, np.ndarray] = {}
    for layer, node in zip(layers, nodes, strict=True):
        if not isinstance(node, WeightedNode):
            continue
        if layer.kind == "linear":
            tensors[f"{layer.name}.weight"] = node.weight
            tensors[f"{layer.name}.bias"] = node.bias
            continue
        norms = np.sqrt(np.square(node.weight, dtype=np.float64).sum((1, 2, 3)))
        gamma = np.where(norms > 0, norms, 1.0)
        tensors[f"{layer.name}.conv.weight"] = node.weight / gamma[:, None, None, None]
        tensors[f"{layer.name}.bn.weight"] = gamma
        tensors[f"{layer.name}.bn.bias"] = node.bias
        tensors[f"{layer.name}.bn.running_mean"] = np.zeros(len(gamma))
        tensors[f"{layer.name}.bn.running_var"] = np.full(len(gamma), 1 - BATCH_NORM_EPSILON)
    return {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}


def share_that_stays(space: ImportedSpace) -> dict[str, float]:
    """Return the share of the work, in multiply-accumulates, that no choice but the size changes.

    By where it is: "before the blocks", "in the blocks", "behind them".
    """
    whole, least = space.largest(), space.narrowest()
    narrow = {layer.name: layer for layer in space.layers(least.resized(whole.resolution))}
    total, shares = 0, {"before the blocks": 0, "in the blocks": 0, "behind them": 0}
    for at, layer in enumerate(space.layers(whole)):
        total += layer.macs
        droppable = layer.block > 0
        if layer.stage >= 0:
            where = "in the blocks"
        else:
            where = "before the blocks" if at < len(space.stem) else "behind them"
        if narrow[layer.name].macs == layer.macs and not droppable:
            shares[where] += layer.macs
    return {where: macs / total for where, macs in shares.items()}
