"""Operators with weights, sums, products and activations: one function each, in `IMPORTS`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgenas.int8.graph.ir import Node, NodeKind, WeightedNode
from edgenas.int8.importer.builder import Builder, Import, NotCoveredError, Value
from edgenas.int8.importer.source import Operation
from edgenas.int8.importer.windows import pads_before, stride_of

_SIX = 6.0


def _conv(build: Builder, one: Operation) -> None:
    value = build.value(one.inputs[0])
    pads = tuple(int(size) for size in value.pads)
    value = build.in_order(replace(value, pads=(0, 0, 0, 0)))
    weight = build.constant(one.inputs[1])
    if weight.ndim != 4:
        raise NotCoveredError(f"a convolution of {weight.ndim - 2} dimensions")
    if set(one.attributes.get("dilations", [1])) != {1}:
        raise NotCoveredError("a convolution with gaps (dilation)")
    bias = build.constant(one.inputs[2]) if len(one.inputs) > 2 else np.zeros(len(weight))
    source, shape = build.shapes[value.name], build.source.shapes[one.outputs[0]]
    stride = stride_of(one)
    own = pads_before(one, build.source.shapes[one.inputs[0]], shape, weight.shape[2:], stride)
    top, left = pads[0] + own[0], pads[1] + own[1]
    groups = int(one.attributes.get("group", 1))
    if groups < 1 or weight.shape[1] * groups != source[1] or len(weight) % groups:
        raise ValueError(f"weights {weight.shape} in {groups} groups on {source[1]} channels")
    depthwise = groups == source[1] == len(weight) and groups > 1
    kind: NodeKind = "depthwise" if depthwise else "conv"
    node = WeightedNode(
        kind,
        (value.name,),
        "",
        shape,
        (weight / value.factor).astype(np.float32),
        bias.astype(np.float32),
        stride,
        top,
        None if left == top else left,
        1 if depthwise else groups,
    )
    build.set(one.outputs[0], build.add(node, one.outputs[0]))


def _conv_transpose(build: Builder, one: Operation) -> None:
    """A window as large as its stride: a convolution of one pixel, then channels become pixels."""
    value = build.image(one.inputs[0])
    weight = build.constant(one.inputs[1])
    stride = stride_of(one)
    fits = weight.ndim == 4 and weight.shape[2:] == (stride, stride)
    plain = not any(one.attributes.get("pads", [])) and one.attributes.get("group", 1) == 1
    if not fits or not plain or any(one.attributes.get("output_padding", [])):
        raise NotCoveredError("a transposed convolution whose windows overlap")
    bias = build.constant(one.inputs[2]) if len(one.inputs) > 2 else np.zeros(weight.shape[1])
    # [in, out, b, b] -> [b * b * out, in]
    kernel = weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])[:, :, None, None]
    shape = (1, len(kernel), *build.shapes[value.name][2:])
    node = WeightedNode(
        "conv",
        (value.name,),
        "",
        shape,
        (kernel / value.factor).astype(np.float32),
        np.tile(bias, stride * stride).astype(np.float32),
    )
    deep = build.add(node)
    to = one.outputs[0]
    made = Node("depth_to_space", (deep,), "", build.source.shapes[to], numbers=(stride,))
    build.set(to, build.add(made, to))


def _gemm(build: Builder, one: Operation) -> None:
    attributes = one.attributes
    if attributes.get("transA", 0):
        raise NotCoveredError("a product with its input transposed")
    weight = build.constant(one.inputs[1])
    weight = weight if attributes.get("transB", 0) else weight.T
    weight = weight * attributes.get("alpha", 1.0)
    bias = np.zeros(len(weight))
    if len(one.inputs) > 2:
        bias = build.constant(one.inputs[2]) * attributes.get("beta", 1.0)
    _dense(build, one, weight, np.broadcast_to(np.ravel(bias), len(weight)))


def _matmul(build: Builder, one: Operation) -> None:
    weight = build.constant(one.inputs[1])
    if weight.ndim != 2:
        raise NotCoveredError("a product with more than one matrix")
    _dense(build, one, weight.T, np.zeros(weight.shape[1]))


def _dense(build: Builder, one: Operation, weight: np.ndarray, bias: np.ndarray) -> None:
    """A convolution whose window is its whole input."""
    value = build.image(one.inputs[0])
    if len(value.shape) != 2:
        raise NotCoveredError("a dense layer over more than one vector")
    kernel = weight.reshape(len(weight), *build.shapes[value.name][1:])
    node = WeightedNode(
        "conv",
        (value.name,),
        "",
        (1, len(weight), 1, 1),
        (kernel / value.factor).astype(np.float32),
        np.array(bias, np.float32),
    )
    build.set(one.outputs[0], build.add(node, one.outputs[0]))


def _batch_norm(build: Builder, one: Operation) -> None:
    gamma, beta, mean, variance = (
        build.constant(name).astype(np.float64) for name in one.inputs[1:]
    )
    gain = gamma / np.sqrt(variance + one.attributes.get("epsilon", 1e-5))
    build.scaled(one.inputs[0], gain, beta - mean * gain, one.outputs[0])


def _add(build: Builder, one: Operation) -> None:
    _sum(build, one, 1.0)


def _sub(build: Builder, one: Operation) -> None:
    _sum(build, one, -1.0)


def _sum(build: Builder, one: Operation, sign: float) -> None:
    first, second = one.inputs
    to = one.outputs[0]
    if second in build.constants:
        ones = np.ones(_channels(build, first))
        build.scaled(first, ones, sign * _a_channel(build, second, first), to)
        return
    if first in build.constants:
        ones = np.ones(_channels(build, second))
        build.scaled(second, sign * ones, _a_channel(build, first, second), to)
        return
    if sign < 0:
        raise NotCoveredError("a difference of two tensors")
    a, b = build.image(first), build.image(second)
    if a.factor != b.factor:
        a, b = build.plain(first), build.plain(second)
    if a.name == b.name:
        build.scaled(first, 2 * np.ones(_channels(build, first)), np.zeros(1), to)
        return
    name = build.add(Node("add", (a.name, b.name), "", _joint(build, a, b)), to)
    build.set(to, name, factor=a.factor)


def _joint(build: Builder, a: Value, b: Value) -> tuple[int, ...]:
    """Return the shape of what an operator makes of two tensors: one may be [1, c, 1, 1]."""
    one, other = build.shapes[a.name], build.shapes[b.name]
    large = max(one, other, key=lambda shape: shape[2] * shape[3])
    for shape in (one, other):
        if shape != large and shape != (1, large[1], 1, 1):
            raise NotCoveredError(f"tensors of {one[1:]} and {other[1:]} together")
    return large


def _mul(build: Builder, one: Operation) -> None:
    first, second = one.inputs
    to = one.outputs[0]
    if first in build.constants:
        first, second = second, first
    if second in build.constants:
        gain = _a_channel(build, second, first)
        build.scaled(first, gain, np.zeros(1), to)
        return
    a, b = build.image(first), build.image(second)
    name = build.add(Node("mul", (a.name, b.name), "", _joint(build, a, b)), to)
    build.set(to, name, factor=a.factor * b.factor)


def _div(build: Builder, one: Operation) -> None:
    gain = 1 / _a_channel(build, one.inputs[1], one.inputs[0])
    build.scaled(one.inputs[0], gain, np.zeros(1), one.outputs[0])


def _channels(build: Builder, tensor: str) -> int:
    value = build.value(tensor)
    return build.shapes[value.name][1] if value.channels is None else value.channels.size


def _a_channel(build: Builder, name: str, tensor: str) -> np.ndarray:
    """Return a constant that is combined with `tensor`, as float64 [channels]."""
    constant = build.constant(name).astype(np.float64)
    shape = build.value(tensor).shape
    sizes: tuple[int, ...] = (1,) * (len(shape) - constant.ndim) + constant.shape
    if len(sizes) != len(shape) or constant.size != sizes[1]:
        raise NotCoveredError(f"a constant of shape {constant.shape} beside {shape}")
    channels = _channels(build, tensor)
    if sizes[1] not in (1, channels) or (sizes[1] > 1 and shape[1] != channels):
        raise NotCoveredError(f"a constant of shape {constant.shape} beside {shape}")
    return np.broadcast_to(constant.ravel(), channels)


def _relu(build: Builder, one: Operation) -> None:
    build.activated(one.inputs[0], "relu", one.outputs[0])


def _clip(build: Builder, one: Operation) -> None:
    least, greatest = (
        float(build.constant(one.inputs[at]))
        if len(one.inputs) > at and one.inputs[at]
        else one.attributes.get(name)
        for at, name in ((1, "min"), (2, "max"))
    )
    if least != 0.0 or greatest not in (None, _SIX):
        raise NotCoveredError(f"a clip from {least} to {greatest}")
    build.activated(one.inputs[0], "relu" if greatest is None else "relu6", one.outputs[0])


def _hard_sigmoid(build: Builder, one: Operation) -> None:
    alpha = one.attributes.get("alpha", 0.2)
    _gate(build, one.inputs[0], alpha, one.attributes.get("beta", 0.5), one.outputs[0])


def _gate(build: Builder, tensor: str, alpha: float, beta: float, to: str) -> None:
    """clip(alpha x + beta, 0, 1) is relu6(6 alpha x + 6 beta) / 6."""
    ones = np.ones(_channels(build, tensor))
    before = f"{to}.gate"
    build.source.shapes[before] = build.source.shapes[to]
    build.scaled(tensor, _SIX * alpha * ones, _SIX * beta * ones, before)
    build.activated(before, "relu6", to)
    build.values[to] = replace(build.values[to], factor=_SIX)


def _hard_swish(build: Builder, one: Operation) -> None:
    value = build.image(one.inputs[0])
    to, gate = one.outputs[0], f"{one.outputs[0]}.hard_sigmoid"
    build.source.shapes[gate] = build.source.shapes[to]
    build.share(one.inputs[0])
    _gate(build, one.inputs[0], 1 / _SIX, 0.5, gate)
    other = build.value(gate)
    shape = build.shapes[value.name]
    name = build.add(Node("mul", (value.name, other.name), "", shape), to)
    build.set(to, name, factor=value.factor * other.factor)


def _sigmoid(build: Builder, one: Operation) -> None:
    value = build.plain(one.inputs[0])
    node = Node("sigmoid", (value.name,), "", build.shapes[value.name])
    build.set(one.outputs[0], build.add(node, one.outputs[0]))


IMPORTS: dict[str, Import] = {
    "Add": _add,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": _div,
    "Gemm": _gemm,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "MatMul": _matmul,
    "Mul": _mul,
    "Relu": _relu,
    "Sigmoid": _sigmoid,
    "Sub": _sub,
}
