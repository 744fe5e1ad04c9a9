"""Operators with weights, sums, products and activations: one function each, in `IMPORTS`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgenas.core.counted import counted
from edgenas.int8.graph.ir import Node, NodeKind, WeightedNode
from edgenas.int8.importer.builder import Builder, Import, NotCoveredError, Value
from edgenas.int8.importer.source import Operation
from edgenas.int8.importer.windows import pads_before, stride_of, window_of

_SIX = 6.0


def _conv(build: Builder, one: Operation) -> None:
    value = build.value(one.inputs[0])
    pads = tuple(int(size) for size in value.pads)
    value = build.in_order(replace(value, pads=(0, 0, 0, 0)))
    weight = build.constant(one.inputs[1])
    if weight.ndim not in (3, 4):
        raise NotCoveredError(f"a convolution of {counted(weight.ndim - 2, 'dimension')}")
    weight = weight.reshape(*weight.shape[:2], *window_of(weight.shape[2:]))
    gaps = set(one.attributes.get("dilations", [1]))
    if len(gaps) > 1:
        raise NotCoveredError("a dilation that differs between height and width")
    dilation = int(gaps.pop())
    window = tuple((size - 1) * dilation + 1 for size in weight.shape[2:])
    bias = build.constant(one.inputs[2]) if len(one.inputs) > 2 else np.zeros(len(weight))
    source, shape = build.shapes[value.name], build.image_shape(one.outputs[0])
    stride = stride_of(one)
    own = pads_before(one, build.image_shape(one.inputs[0]), shape, window, stride)
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
        dilation,
    )
    build.set(one.outputs[0], build.add(node, one.outputs[0]))


def _conv_transpose(build: Builder, one: Operation) -> None:
    """A convolution that makes all pixels of a stride as channels, then channels become pixels."""
    value = build.image(one.inputs[0])
    weight = build.constant(one.inputs[1])
    stride = stride_of(one)
    source, made = build.shapes[value.name], build.source.shapes[one.outputs[0]]
    if weight.ndim != 4 or one.attributes.get("group", 1) != 1:
        raise NotCoveredError("a transposed convolution in groups, or of other dimensions than two")
    if set(one.attributes.get("dilations", [1])) != {1} or made[2:] != tuple(
        size * stride for size in source[2:]
    ):
        raise NotCoveredError("a transposed convolution that does not enlarge by its stride")
    if one.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise NotCoveredError("a transposed convolution with automatic pads")
    bias = build.constant(one.inputs[2]) if len(one.inputs) > 2 else np.zeros(weight.shape[1])
    pads = tuple(map(int, one.attributes.get("pads", [0, 0, 0, 0])[:2]))
    kernel, before = _of_phases(weight, stride, (pads[0], pads[1]))
    shape = (1, len(kernel), *source[2:])
    node = WeightedNode(
        "conv",
        (value.name,),
        "",
        shape,
        (kernel / value.factor).astype(np.float32),
        np.tile(bias, stride * stride).astype(np.float32),
        padding=before[0],
        padding_left=None if before[1] == before[0] else before[1],
    )
    deep = build.add(node)
    to = one.outputs[0]
    pixels = Node("depth_to_space", (deep,), "", made, numbers=(stride,))
    build.set(to, build.add(pixels, to))


def _of_phases(
    weight: np.ndarray, stride: int, pads: tuple[int, int]
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return a convolution's weights, [b * b * out, in, h, w], and the pixels before an image.

    Output pixel b q + r is the sum, over input pixels q + j, of the transposed convolution's tap
    r + pads - b j (weight [in, out, k, k], stride b): each phase r has taps of its own.
    """
    taps = [_taps(size, stride, pad) for size, pad in zip(weight.shape[2:], pads, strict=True)]
    least = [min(j for phase in axis for j, _ in phase) for axis in taps]
    most = [max(j for phase in axis for j, _ in phase) for axis in taps]
    first = [min(0, each) for each in least]
    sizes = [max(0, high) - low + 1 for low, high in zip(first, most, strict=True)]
    inputs, outputs = weight.shape[:2]
    kernel = np.zeros((stride, stride, outputs, inputs, *sizes), weight.dtype)
    for down, rows in enumerate(taps[0]):
        for right, columns in enumerate(taps[1]):
            for y, at_y in rows:
                for x, at_x in columns:
                    tap = weight[:, :, at_y, at_x].T
                    kernel[down, right, :, :, y - first[0], x - first[1]] = tap
    return kernel.reshape(-1, inputs, *sizes), (-first[0], -first[1])


def _taps(size: int, stride: int, pad: int) -> list[list[tuple[int, int]]]:
    """Return, for each phase of an output, the input pixels from here, and their taps."""
    every = [
        [(j, phase + pad - stride * j) for j in range(-size, size + 1)] for phase in range(stride)
    ]
    return [[(j, tap) for j, tap in phase if 0 <= tap < size] for phase in every]


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
        negative = f"{to}.negative"
        build.source.shapes[negative] = build.source.shapes[second]
        ones = np.ones(_channels(build, second))
        build.scaled(second, -ones, np.zeros(1), negative)
        second = negative
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
    if greatest is None and least == 0.0:
        build.activated(one.inputs[0], "relu", one.outputs[0])
    elif least == 0.0 and greatest == _SIX:
        build.activated(one.inputs[0], "relu6", one.outputs[0])
    elif least is None or greatest is None or greatest <= least:
        raise NotCoveredError(f"a clip from {least} to {greatest}")
    else:
        _clipped(build, one.inputs[0], (least, greatest), one.outputs[0])


def _clipped(build: Builder, tensor: str, limits: tuple[float, float], to: str) -> None:
    """clip(x, a, b) is (b - a) / 6 relu6(6 (x - a) / (b - a)) + a."""
    least, greatest = limits
    ones = np.ones(_channels(build, tensor))
    step = (greatest - least) / _SIX
    before, after = f"{to}.from_least", f"{to}.relu6"
    build.source.shapes[before] = build.source.shapes[after] = build.source.shapes[to]
    build.scaled(tensor, ones / step, -least / step * ones, before)
    build.activated(before, "relu6", after)
    build.scaled(after, step * ones, least * ones, to)


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
    _function(build, one.inputs[0], "sigmoid", one.outputs[0])


def _function(build: Builder, tensor: str, kind: NodeKind, to: str) -> None:
    value = build.plain(tensor)
    node = Node(kind, (value.name,), "", build.shapes[value.name])
    build.set(to, build.add(node, to))


def _gelu(build: Builder, one: Operation) -> None:
    if one.attributes.get("approximate", b"none") != b"none":
        raise NotCoveredError("a GELU by tanh")
    _function(build, one.inputs[0], "gelu", one.outputs[0])


def _tanh(build: Builder, one: Operation) -> None:
    """tanh(x) is 2 sigmoid(2 x) - 1."""
    to = one.outputs[0]
    ones = np.ones(_channels(build, one.inputs[0]))
    twice, sigmoid = f"{to}.twice", f"{to}.sigmoid"
    build.source.shapes[twice] = build.source.shapes[sigmoid] = build.source.shapes[to]
    build.scaled(one.inputs[0], 2 * ones, 0 * ones, twice)
    _function(build, twice, "sigmoid", sigmoid)
    build.scaled(sigmoid, 2 * ones, -ones, to)


def _leaky_relu(build: Builder, one: Operation) -> None:
    _leaky(build, one, float(one.attributes.get("alpha", 0.01)))


def _prelu(build: Builder, one: Operation) -> None:
    slopes = np.unique(build.constant(one.inputs[1]))
    if len(slopes) > 1:
        raise NotCoveredError("a slope that differs between channels")
    _leaky(build, one, float(slopes[0]))


def _leaky(build: Builder, one: Operation, alpha: float) -> None:
    value, to = build.image(one.inputs[0]), one.outputs[0]
    node = Node("leaky_relu", (value.name,), "", build.shapes[value.name], alpha=alpha)
    build.set(to, build.add(node, to), factor=value.factor)


IMPORTS: dict[str, Import] = {
    "Add": _add,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": _div,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky_relu,
    "MatMul": _matmul,
    "Mul": _mul,
    "PRelu": _prelu,
    "Relu": _relu,
    "Sigmoid": _sigmoid,
    "Sub": _sub,
    "Tanh": _tanh,
}
