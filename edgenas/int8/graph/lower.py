"""Lowering: from a network's layers and trained state to the graph that is run and exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import numpy as np

from edgenas.core.errors import ExportError
from edgenas.core.records import Activation, Layer
from edgenas.int8.graph.ir import INPUT, OUTPUT, Graph, Node, NodeKind, WeightedNode
from edgenas.int8.operators import operators

BATCH_NORM_EPSILON = 1e-5
_HOMOGENEOUS = ("add", "global_pool")  # twice what they read is twice what they make

State = Mapping[str, np.ndarray]


def lower(layers: tuple[Layer, ...], state: State) -> Graph:
    """Return the graph of `layers` with the weights of `state`, batch norm folded.

    state : float arrays, named by layer: `<conv>.conv.weight` [out, in / groups, k, k] and
        `<conv>.bn.{weight,bias,running_mean,running_var}` [out] for conv and depthwise,
        `<gate>.{squeeze,excite}.{weight,bias}` [out, in, 1, 1] and [out] for squeeze_excite,
        `<classifier>.{weight,bias}` [out, in] and [out] for linear. Other names are ignored.

    Raises
    ------
    ExportError : a layer cannot be lowered, or its state is missing, misshapen or not finite.
    """
    if not layers or layers[-1].kind != "linear":
        raise ExportError("The network's last layer is not linear: it has no logits.")
    lowering = _Lowering(state)
    for layer in layers:
        lowering.add(layer)
    first, last = layers[0], lowering.nodes[-1]
    size = first.in_size
    return Graph(
        (1, first.in_channels, size, size), (*lowering.nodes[:-1], replace(last, output=OUTPUT))
    )


class _Lowering:
    """The nodes so far, and by which factor a tensor is larger than the layer's own output."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.nodes: list[Node] = []
        self.known = {INPUT}
        self.factors: dict[str, float] = {}

    def add(self, layer: Layer) -> None:
        unknown = [name for name in layer.inputs if name not in self.known]
        if unknown:
            raise ExportError(f"Layer '{layer.name}' reads '{unknown[0]}', which comes later.")
        if layer.kind in ("conv", "depthwise"):
            self._convolution(layer)
        elif layer.kind == "squeeze_excite":
            self._squeeze_excite(layer)
        elif layer.kind == "linear":
            weight, bias = self._weights(layer, "", (layer.out_channels, layer.in_channels))
            self._weighted(layer, "linear", weight, bias)
        elif layer.kind in operators():
            self._plain(layer)
        else:
            raise ExportError(f"Layer '{layer.name}' is of the unknown kind '{layer.kind}'.")
        self.known.add(layer.name)

    def _convolution(self, layer: Layer) -> None:
        """Fold y = (conv(x) - mean) / sqrt(var + eps) * gamma + beta into weight and bias."""
        channels, k = (layer.out_channels,), layer.kernel_size
        depth = 1 if layer.kind == "depthwise" else layer.in_channels // layer.groups
        weight = self._get(f"{layer.name}.conv.weight", (*channels, depth, k, k))
        gamma, beta, mean, variance = (
            self._get(f"{layer.name}.bn.{part}", channels)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        if variance.min() < 0:
            raise ExportError(f"The state '{layer.name}.bn.running_var' has negative variances.")
        gain = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        kind: NodeKind = "depthwise" if layer.kind == "depthwise" else "conv"
        self._weighted(layer, kind, weight * gain[:, None, None, None], beta - mean * gain)

    def _squeeze_excite(self, layer: Layer) -> None:
        """Emit the gate as relu6(excite + 3): 6 x the layer; the reader's weights take 1/6."""
        name, wide, narrow = layer.name, layer.in_channels, layer.squeeze_channels
        (source,) = layer.inputs
        pool, squeeze, excite = (f"{name}.{part}" for part in ("pool", "squeeze", "excite"))
        squeezing = self._weights(layer, ".squeeze", (narrow, wide, 1, 1))
        weight, bias = self._weights(layer, ".excite", (wide, narrow, 1, 1))
        factor = self.factors.get(source, 1.0)
        self.nodes += [
            Node("global_pool", (source,), pool, (1, wide, 1, 1)),
            _pointwise(pool, squeeze, squeezing[0] / factor, squeezing[1], "relu"),
            _pointwise(squeeze, excite, weight, bias + 3, "relu6"),
            Node("mul", (source, excite), name, _output_shape(layer)),
        ]
        self.factors[name] = 6.0 * factor

    def _plain(self, layer: Layer) -> None:
        factors = {self.factors.get(name, 1.0) for name in layer.inputs}
        if len(factors) > 1:
            raise ExportError(
                f"Layer '{layer.name}' adds a squeeze-excite output to another tensor.",
                "Put a convolution after the squeeze-excite.",
            )
        factor = factors.pop()
        if factor != 1.0 and (layer.activation != "none" or layer.kind not in _HOMOGENEOUS):
            raise ExportError(
                f"Layer '{layer.name}' ({layer.kind}) cannot read a squeeze-excite output.",
                "Put a convolution after the squeeze-excite.",
            )
        self.factors[layer.name] = factor
        self.nodes.append(plain_node(layer))

    def _weighted(self, layer: Layer, kind: NodeKind, weight: np.ndarray, bias: np.ndarray) -> None:
        factor = self.factors.get(layer.inputs[0], 1.0)
        self.nodes.append(
            WeightedNode(
                kind,
                layer.inputs,
                layer.name,
                _output_shape(layer),
                (weight / factor).astype(np.float32),
                bias.astype(np.float32),
                layer.stride,
                layer.padded_before,
                parts=layer.groups,
                activation=layer.activation,
                bits=layer.output_bits,
                weight_bits=layer.weight_bits,
            )
        )

    def _weights(
        self, layer: Layer, part: str, shape: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        prefix = f"{layer.name}{part}"
        return self._get(f"{prefix}.weight", shape), self._get(f"{prefix}.bias", shape[:1])

    def _get(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return the state `name` as float64: folding must not add rounding of its own."""
        if name not in self.state:
            raise ExportError(f"The network's state has no '{name}'.")
        value = np.asarray(self.state[name], np.float64)
        if value.shape != shape:
            raise ExportError(f"The state '{name}' has shape {value.shape}, not {shape}.")
        if not np.isfinite(value).all():
            raise ExportError(f"The state '{name}' has values that are not finite.")
        return value


def plain_node(layer: Layer) -> Node:
    """Return the node of a layer without weights."""
    return Node(
        cast(NodeKind, layer.kind),
        layer.inputs,
        layer.name,
        _output_shape(layer),
        activation=layer.activation,
        numbers=layer.numbers,
        bits=layer.output_bits,
    )


def _pointwise(
    source: str, output: str, weight: np.ndarray, bias: np.ndarray, activation: Activation
) -> WeightedNode:
    return WeightedNode(
        "conv",
        (source,),
        output,
        (1, weight.shape[0], 1, 1),
        weight.astype(np.float32),
        bias.astype(np.float32),
        activation=activation,
    )


def _output_shape(layer: Layer) -> tuple[int, ...]:
    if layer.kind == "linear":
        return (1, layer.out_channels)
    return (1, layer.out_channels, layer.out_size, layer.out_size)
