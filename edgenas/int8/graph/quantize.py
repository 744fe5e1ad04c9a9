"""The int8 arithmetic that every exporter shares: real = scale * (stored - zero_point).

Jacob et al. 2018 (arXiv 1712.05877), with weights per output channel and symmetric. Exporters only
write down what `quantize` returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgenas.core.errors import ExportError, nearest
from edgenas.int8.graph.ir import INPUT, Graph, Node, WeightedNode
from edgenas.int8.graph.least_error import best_shares
from edgenas.int8.graph.ranges import Ranges
from edgenas.int8.graph.tie_free import tie_free
from edgenas.int8.operators import find_operator

WEIGHT_LIMIT = 127
# A tensor that stays below this is stored as exact zeros: no later layer could bring it back.
SMALLEST_RANGE = 1e-12
# Half of int32: products of 255 x 127 over up to 33,000 inputs fit beside the bias.
BIAS_LIMIT = 2**30


@dataclass(frozen=True)
class Scheme:
    """How activations and biases are stored.

    symmetric : zero is stored as 0, so a ReLU is not implied by the range and must be computed.
    integer_bias : bias as int32 in steps of input scale x weight scale, else float32.
    by_sign : zero is stored as 0 in every tensor, unsigned where none of its values is negative;
        what an addition reads has one scale.
    """

    activation: type[np.uint8] | type[np.int8]
    symmetric: bool = False
    integer_bias: bool = True
    by_sign: bool = False


SCHEMES = {
    "u8s8": Scheme(np.uint8),
    "s8s8": Scheme(np.int8),
    "s8s8-symmetric": Scheme(np.int8, symmetric=True, integer_bias=False),  # TensorRT
}
DATAFLOW = "dataflow"  # the scheme of FPGAs (FINN): thresholds give zero points of 0 alone
_DATAFLOW = Scheme(np.uint8, by_sign=True)


@dataclass(frozen=True)
class TensorQuant:
    """How one activation tensor is stored. least, greatest : integers that are stored."""

    scale: np.float32
    zero_point: np.integer
    least: int
    greatest: int

    @property
    def clips(self) -> bool:
        """Whether integers of 8 bits would hold more than is stored."""
        limits = np.iinfo(self.zero_point)
        return (self.least, self.greatest) != (limits.min, limits.max)

    @property
    def bounds(self) -> tuple[np.float32, np.float32]:
        """The least and the greatest real that is stored."""
        zero = int(self.zero_point)
        return self.scale * np.float32(self.least - zero), self.scale * np.float32(
            self.greatest - zero
        )


@dataclass(frozen=True, eq=False)
class WeightQuant:
    """Weights of one node.

    weight : int8, shaped like the node's. scale, bias_scale : float32 [out].
    bias : int32 [out] in steps of bias_scale = input scale x weight scale, or float32 [out].
    """

    weight: np.ndarray
    scale: np.ndarray
    bias: np.ndarray
    bias_scale: np.ndarray


@dataclass(frozen=True, eq=False)
class Quantization:
    """A graph's int8 parameters: activations by tensor name, weights by node output.

    What stays in float has none (`Graph.stored`).
    """

    scheme: Scheme
    tensors: Mapping[str, TensorQuant]
    weights: Mapping[str, WeightQuant]


def find_scheme(name: str) -> Scheme:
    """Return the scheme called `name`; raises `ExportError` if there is none."""
    if name == DATAFLOW:
        return _DATAFLOW
    if name not in SCHEMES:
        raise ExportError(f"There is no int8 scheme '{name}'.", nearest(name, SCHEMES))
    return SCHEMES[name]


def stored_scheme(name: str, exporter: str) -> Scheme:
    """Return how a file of `exporter` stores what lies between its ends in the scheme `name`."""
    scheme = find_scheme(name)
    return Scheme(np.int8, symmetric=scheme.symmetric) if exporter == "tflite" else scheme


def quantize(graph: Graph, ranges: Ranges, scheme: Scheme) -> Quantization:
    """Return the int8 parameters of every tensor and weight of `graph`.

    Raises
    ------
    ExportError : `ranges` lacks a tensor, or holds a number that is not finite.
    """
    bounds = {INPUT: _known_range(ranges, INPUT)} if INPUT in graph.stored else {}
    bounds |= {n.output: _node_range(n, ranges) for n in graph.nodes if not n.in_float}
    groups, bits = same_scale(graph, scheme), graph.bits
    for group in {frozenset(group) for group in groups.values()}:
        least, greatest = zip(*(bounds[name] for name in group), strict=True)
        bounds |= dict.fromkeys(group, (min(least), max(greatest)))
    bounds |= _of_means(graph, bounds, groups)
    tensors = {name: quantize_tensor(*bound, scheme, bits[name]) for name, bound in bounds.items()}
    scales = {name: quant.scale for name, quant in tensors.items()}
    fitted = scales if scheme.by_sign else tie_free(graph, scales, groups)
    for name, scale in fitted.items():
        if scale != tensors[name].scale:
            low = min(bounds[name][0], 0.0)
            tensors[name] = _at_scale(float(scale), low, scheme, bits[name])
    weights = {
        node.output: quantize_weights(node, tensors[node.inputs[0]].scale, scheme)
        for node in graph.nodes
        if isinstance(node, WeightedNode) and not node.in_float
    }
    return Quantization(scheme, tensors, weights)


def _of_means(
    graph: Graph, bounds: Mapping[str, tuple[float, float]], groups: Mapping[str, set[str]]
) -> dict[str, tuple[float, float]]:
    """Return bounds of means of images, widened where a step would be too fine for a mean.

    The mean of n integers moves by 1 / n of their step, and ONNX Runtime computes none in steps of
    less than 1 / 256 of that: here it is 1 / 128 at least.
    """
    wider: dict[str, tuple[float, float]] = {}
    for node in graph.nodes:
        if node.kind != "global_pool" or node.in_float:
            continue
        height, width = graph.shapes[node.inputs[0]][2:]
        finest = _span(bounds[node.inputs[0]]) / (128 * height * width)
        if _span(bounds[node.output]) < finest:
            least = min(bounds[node.output][0], 0.0)
            group = groups.get(node.output, {node.output})
            wider |= dict.fromkeys(group, (least, least + finest))
    return wider


def _span(bound: tuple[float, float]) -> float:
    return max(bound[1], 0.0) - min(bound[0], 0.0)


def same_scale(graph: Graph, scheme: Scheme | None = None) -> dict[str, set[str]]:
    """Return, for each tensor that shares its scale, all that share it: pools and copies do, and
    what an addition reads where the scheme says so."""
    groups: dict[str, set[str]] = {}
    for node in graph.nodes:
        if isinstance(node, WeightedNode) or node.in_float:
            continue
        if scheme is not None and scheme.by_sign and node.kind == "add":
            members: tuple[str, ...] = node.inputs
        elif find_operator(node.kind).same_scale:
            members = (node.output, *node.inputs)
        else:
            continue
        joint = set(members).union(*(groups.get(name, ()) for name in members))
        groups |= dict.fromkeys(joint, joint)
    return groups


def implied(node: Node, quantization: Quantization) -> bool:
    """Return whether storing the node's output does what its activation does: saturation clips."""
    if node.activation == "none":
        return True
    if node.in_float:
        return False
    quant = quantization.tensors[node.output]
    if quantization.scheme.symmetric or int(quant.zero_point) != quant.least:
        return False
    greatest = float(quant.scale) * (quant.greatest - quant.least)
    return node.activation == "relu" or greatest < 6.0 + quant.scale / 2


def quantize_tensor(least: float, greatest: float, scheme: Scheme, bits: int = 8) -> TensorQuant:
    """Return scale and zero point for values in [least, greatest]; zero is always exact."""
    least, greatest = min(least, 0.0), max(greatest, 0.0)
    kind, low, high = _stored_as(least, scheme, bits)
    if greatest - least < SMALLEST_RANGE:
        zero = 0 if scheme.symmetric else low
        return TensorQuant(np.float32(1), kind(0 if scheme.by_sign else zero), low, high)
    if scheme.symmetric or (scheme.by_sign and low < 0):
        return _at_scale(max(-least, greatest) / high, least, scheme, bits)
    return _at_scale((greatest - least) / (high - low), least, scheme, bits)


def _stored_as(
    least: float, scheme: Scheme, bits: int
) -> tuple[type[np.uint8] | type[np.int8], int, int]:
    """Return the type, and the least and greatest integer, of values from `least` on."""
    if scheme.by_sign and least >= 0:
        return np.uint8, 0, 2**bits - 1
    if scheme.by_sign:
        return np.int8, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    low = int(np.iinfo(scheme.activation).min) // 2 ** (8 - bits)
    return scheme.activation, low, low + 2**bits - 1


def _at_scale(scale: float, least: float, scheme: Scheme, bits: int) -> TensorQuant:
    """Return the quantization of values from `least` on, in steps of `scale`."""
    kind, low, high = _stored_as(least, scheme, bits)
    zero_point = 0 if scheme.symmetric or scheme.by_sign else np.rint(low - least / scale)
    return TensorQuant(np.float32(scale), kind(zero_point), low, high)


def quantize_weights(node: WeightedNode, input_scale: np.float32, scheme: Scheme) -> WeightQuant:
    """Return int8 weights per output channel in [-127, 127], or as many bits, and the bias.

    Below 8 bits a channel's scale is the one of least squared error. A scale is raised where its
    bias would not fit int32 (weights far smaller than the bias), also for float biases, because
    onnxruntime turns those into int32 when it loads them. A channel of zeros takes the largest
    scale of the layer.
    """
    flat = node.weight.reshape(len(node.weight), -1)
    limit = WEIGHT_LIMIT if node.weight_bits == 8 else 2 ** (node.weight_bits - 1) - 1
    scale = np.maximum(flat.max(1), -flat.min(1)).astype(np.float64) / limit
    if node.weight_bits < 8:
        scale *= best_shares(flat, scale, limit)
    scale[scale < SMALLEST_RANGE] = scale.max() if scale.max() >= SMALLEST_RANGE else 1.0
    scale = np.maximum(scale, np.abs(node.int8_bias) / (float(input_scale) * BIAS_LIMIT))
    scale = scale.astype(np.float32)
    shape = (-1,) + (1,) * (node.weight.ndim - 1)
    stored = np.rint(node.weight / scale.reshape(shape)).clip(-limit, limit)
    bias, bias_scale = node.int8_bias, input_scale * scale
    if scheme.integer_bias:
        bias = np.rint(bias / bias_scale.astype(np.float64)).astype(np.int32)
    return WeightQuant(stored.astype(np.int8), scale, bias, bias_scale)


def _node_range(node: Node, ranges: Ranges) -> tuple[float, float]:
    """Return the recorded range within the activation's, so that saturation is the activation."""
    if not isinstance(node, WeightedNode) and (bounds := find_operator(node.kind).bounds):
        return bounds
    least, greatest = _known_range(ranges, node.output)
    if node.activation != "none":
        least, greatest = 0.0, max(greatest, 0.0)
        if node.activation == "relu6":
            greatest = min(greatest, 6.0)
    return least, greatest


def _known_range(ranges: Ranges, name: str) -> tuple[float, float]:
    if name not in ranges:
        raise ExportError(f"The calibration has no range for the tensor '{name}'.")
    if not np.isfinite(ranges[name]).all():
        raise ExportError(f"The calibrated range of the tensor '{name}' is not finite.")
    return ranges[name]
