"""Pools, resizes, and channels or axes that are put together, chosen and moved: `IMPORTS`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgenas.int8.graph.ir import Node, NodeKind, WeightedNode
from edgenas.int8.importer.builder import Builder, Import, NotCoveredError, Value
from edgenas.int8.importer.entry import image_shape
from edgenas.int8.importer.source import Operation
from edgenas.int8.importer.windows import pads_before, stride_of, window_of, window_pads


def _global_pool(build: Builder, one: Operation) -> None:
    value = build.image(one.inputs[0])
    shape = (1, build.shapes[value.name][1], 1, 1)
    name = build.add(Node("global_pool", (value.name,), "", shape), one.outputs[0])
    build.set(one.outputs[0], name, factor=value.factor)


def _reduce_mean(build: Builder, one: Operation) -> None:
    if not _is_global(build, one, _axes(build, one)):
        raise NotCoveredError("a mean over other axes than height and width")
    _global_pool(build, one)


def _reduce_max(build: Builder, one: Operation) -> None:
    if not _is_global(build, one, _axes(build, one)):
        raise NotCoveredError("a maximum over other axes than height and width")
    _global_max(build, one)


def _axes(build: Builder, one: Operation) -> list[int]:
    """Return the axes of a reduction, which later opsets have as an input."""
    axes = one.attributes.get("axes")
    if axes is None and len(one.inputs) > 1 and one.inputs[1]:
        axes = build.constant(one.inputs[1]).tolist()
    return list(axes or ())


def _is_global(build: Builder, one: Operation, axes: list[int]) -> bool:
    """Return whether axes are all of a tensor's but batch and channels."""
    rank = len(build.value(one.inputs[0]).shape)
    return rank > 2 and sorted(axis % rank for axis in axes) == list(range(2, rank))


def _pool(build: Builder, one: Operation, kind: NodeKind) -> None:
    value = build.image(one.inputs[0])
    source, shape = build.shapes[value.name], build.image_shape(one.outputs[0])
    window = window_of(one.attributes["kernel_shape"])
    if set(one.attributes.get("dilations", [1])) != {1}:
        raise NotCoveredError("a pool with gaps")
    stride = stride_of(one)
    before = pads_before(one, source, shape, window, stride)
    if kind == "average_pool":
        around = any(one.attributes.get("pads", [])) or any(before)
        if one.attributes.get("ceil_mode", 0) or (
            around and not one.attributes.get("count_include_pad", 0)
        ):
            raise NotCoveredError("an average pool that counts no zeros around the image")
        if around:
            _average_with_zeros(build, one, (value, shape), window, (stride, *before))
            return
        if window == source[2:] and shape[2:] == (1, 1):
            _global_pool(build, one)
            return
    numbers: tuple[int, ...] = (*window, stride, *before)
    name = build.add(Node(kind, (value.name,), "", shape, numbers=numbers), one.outputs[0])
    build.set(one.outputs[0], name, factor=value.factor)


def _average_with_zeros(
    build: Builder,
    one: Operation,
    ends: tuple[Value, tuple[int, ...]],
    window: tuple[int, int],
    moves: tuple[int, int, int],
) -> None:
    """An average over zeros too is a convolution. moves : stride, and pixels above and left."""
    value, shape = ends
    stride, top, left = moves
    height, width = window
    channels = build.shapes[value.name][1]
    weight = np.full((channels, 1, height, width), 1 / (height * width), np.float32)
    node = WeightedNode(
        "depthwise" if channels > 1 else "conv",
        (value.name,),
        "",
        shape,
        weight,
        np.zeros(channels, np.float32),
        stride,
        top,
        None if left == top else left,
    )
    build.set(one.outputs[0], build.add(node, one.outputs[0]), factor=value.factor)


def _global_max(build: Builder, one: Operation) -> None:
    value, to = build.image(one.inputs[0]), one.outputs[0]
    source = build.shapes[value.name]
    numbers = (*source[2:], 1, 0, 0)
    node = Node("max_pool", (value.name,), "", (1, source[1], 1, 1), numbers=numbers)
    build.set(to, build.add(node, to), factor=value.factor)


def _max_pool(build: Builder, one: Operation) -> None:
    if len([name for name in one.outputs if name]) > 1:
        raise NotCoveredError("a pool that says where its maxima are")
    _pool(build, one, "max_pool")


def _average_pool(build: Builder, one: Operation) -> None:
    _pool(build, one, "average_pool")


def _concat(build: Builder, one: Operation) -> None:
    values = [build.image(name) for name in one.inputs]
    rank = len(values[0].shape)
    if one.attributes["axis"] % rank != 1 or any(len(each.shape) != rank for each in values):
        raise NotCoveredError("tensors joined along another axis than the channels")
    if rank == 2 and any(build.shapes[value.name][2:] != (1, 1) for value in values):
        raise NotCoveredError("flattened images that are joined")
    if len({value.factor for value in values}) > 1:
        values = [build.plain(name) for name in one.inputs]
    names = tuple(value.name for value in values)
    first = build.shapes[names[0]]
    shape = (1, sum(build.shapes[name][1] for name in names), *first[2:])
    name = build.add(Node("concat", names, "", shape), one.outputs[0])
    build.set(one.outputs[0], name, factor=values[0].factor)


def _chosen(build: Builder, one: Operation, to: str, which: slice | np.ndarray) -> None:
    """Say that `to` is some of the channels of the input, which costs nothing yet."""
    value = build.value(one.inputs[0])
    channels = value.channels
    if channels is None:
        channels = np.arange(build.shapes[value.name][1])
    if channels.ndim != 1 or any(value.pads):
        raise NotCoveredError("a part of something other than channels")
    if len(value.shape) == 2 and build.shapes[value.name][2:] != (1, 1):
        raise NotCoveredError("a part of a flattened image")
    build.share(one.inputs[0])
    build.values[to] = replace(value, channels=channels[which], shape=build.source.shapes[to])


def _split(build: Builder, one: Operation) -> None:
    if one.attributes.get("axis", 0) % len(build.value(one.inputs[0]).shape) != 1:
        raise NotCoveredError("a split along another axis than the channels")
    start = 0
    for to in one.outputs:
        size = build.source.shapes[to][1]
        _chosen(build, one, to, slice(start, start + size))
        start += size


def _slice(build: Builder, one: Operation) -> None:
    starts, ends = (build.constant(name).tolist() for name in one.inputs[1:3])
    shape = build.value(one.inputs[0]).shape
    axes = build.constant(one.inputs[3]).tolist() if len(one.inputs) > 3 else range(len(starts))
    steps = build.constant(one.inputs[4]).tolist() if len(one.inputs) > 4 else [1] * len(starts)
    which = slice(None)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        kept = range(shape[axis])[slice(start, end, step)]
        if axis % len(shape) == 1:
            which = slice(start, end, step)
        elif kept != range(shape[axis]):
            ends_there = axis % len(shape) > 1 and kept == range(shape[axis])[: len(kept)]
            if not (kept and ends_there and len(starts) == 1):
                raise NotCoveredError("a part of an image that does not begin where it begins")
            _cut_after(build, one)
            return
    _chosen(build, one, one.outputs[0], which)


def _cut_after(build: Builder, one: Operation) -> None:
    """Drop what lies below, or on the right: the convolution before it makes less."""
    value = build.value(one.inputs[0])
    node = build.alone(value)
    if not isinstance(node, WeightedNode) or any(value.pads):
        raise NotCoveredError("a part of an image that no convolution makes for it alone")
    shape = build.image_shape(one.outputs[0])
    build.change(value.name, replace(node, shape=shape))
    build.shapes[value.name] = shape
    build.set(one.outputs[0], value.name, factor=value.factor)


def _gather(build: Builder, one: Operation) -> None:
    which = build.constant(one.inputs[1])
    rank = len(build.value(one.inputs[0]).shape)
    if one.attributes.get("axis", 0) % rank != 1 or which.ndim != 1:
        raise NotCoveredError("a choice of other things than channels")
    _chosen(build, one, one.outputs[0], which)


def _reshape(build: Builder, one: Operation) -> None:
    """Another view of the same numbers: flat, or with the channels in groups."""
    value = build.value(one.inputs[0])
    shape = build.source.shapes[one.outputs[0]]
    in_graph = build.shapes[value.name]
    channels = value.channels
    if channels is None:
        channels = np.arange(in_graph[1])
    if any(value.pads) or shape[:1] != (1,):
        raise NotCoveredError(f"a reshape from {value.shape} to {shape}")
    n_spatial = value.n_spatial
    at = len(shape) - n_spatial
    if n_spatial and at > 1 and shape[at:] == value.shape[-n_spatial:]:
        ordered = channels.reshape(shape[1:at])
        build.values[one.outputs[0]] = replace(value, shape=shape, channels=ordered)
        return
    flat = len(shape) == 2
    same = len(shape) in (3, 4) and image_shape(shape) == (1, channels.size, *in_graph[2:])
    if channels.ndim > 1 or not (flat or same):
        raise NotCoveredError(f"a reshape from {value.shape} to {shape}")
    build.values[one.outputs[0]] = replace(value, shape=shape)


def _transpose(build: Builder, one: Operation) -> None:
    value = build.value(one.inputs[0])
    order = list(one.attributes["perm"])
    rank = len(value.shape)
    if order == list(range(rank)):
        build.values[one.outputs[0]] = value
        return
    channels = value.channels
    first = rank - value.n_spatial  # of the axes that stay where they are
    if channels is None or order[0] != 0 or order[first:] != list(range(first, rank)):
        raise NotCoveredError(f"axes in the order {order}")
    turned = channels.transpose([axis - 1 for axis in order[1:first]])
    build.values[one.outputs[0]] = replace(
        value, shape=build.source.shapes[one.outputs[0]], channels=turned
    )


def _pad(build: Builder, one: Operation) -> None:
    value = build.value(one.inputs[0])
    pads = one.attributes.get("pads")
    pads = build.constant(one.inputs[1]).tolist() if pads is None else list(pads)
    number = one.attributes.get("value", 0.0)
    if len(one.inputs) > 2 and one.inputs[2]:
        number = float(build.constant(one.inputs[2]))
    rank = len(value.shape)
    known = len(pads) == 2 * rank and 2 < rank <= 4
    if one.attributes.get("mode", b"constant") != b"constant" or number != 0 or not known:
        raise NotCoveredError("pads of other things than zeros around an image")
    if any(pads[:2]) or any(pads[rank : rank + 2]) or min(pads) < 0:
        raise NotCoveredError("more channels by padding")
    own = (*window_pads(pads[2:rank]), *window_pads(pads[rank + 2 :]))
    around = tuple(a + b for a, b in zip(own, value.pads, strict=True))
    to = one.outputs[0]
    build.values[to] = replace(value, shape=build.source.shapes[to], pads=around)  # type: ignore[arg-type]


def _resize(build: Builder, one: Operation) -> None:
    value = build.image(one.inputs[0])
    source, shape = build.shapes[value.name], build.image_shape(one.outputs[0])
    factor = shape[2] // source[2]
    if (shape[2], shape[3]) != (source[2] * factor, source[3] * factor) or shape[1] != source[1]:
        raise NotCoveredError("a resize by other than a whole factor")
    mode = one.attributes.get("mode", b"nearest").decode()
    where = one.attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    rounded = one.attributes.get("nearest_mode", b"round_prefer_floor").decode()
    nearest = mode == "nearest" and where == "asymmetric" and rounded == "floor"
    # half-pixel centres round to the pixel that they are in, whichever way a half is rounded
    nearest |= mode == "nearest" and where in ("half_pixel", "pytorch_half_pixel")
    bilinear = mode == "linear" and where in ("half_pixel", "pytorch_half_pixel")
    if not (nearest or bilinear):
        raise NotCoveredError(f"a resize by {mode}, {where}")
    numbers = (factor, int(bilinear))
    name = build.add(Node("resize", (value.name,), "", shape, numbers=numbers), one.outputs[0])
    build.set(one.outputs[0], name, factor=value.factor)


def _same(build: Builder, one: Operation) -> None:
    build.values[one.outputs[0]] = build.value(one.inputs[0])


def _softmax(build: Builder, one: Operation) -> None:
    """Left out at the end: it changes no order, and int8 would lose what it holds."""
    if one.outputs[0] != build.source.output:
        raise NotCoveredError("a softmax that is not at the end")
    _same(build, one)


IMPORTS: dict[str, Import] = {
    "AveragePool": _average_pool,
    "Concat": _concat,
    "Dropout": _same,
    "Flatten": _reshape,
    "Gather": _gather,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_max,
    "Identity": _same,
    "LogSoftmax": _softmax,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "ReduceMax": _reduce_max,
    "ReduceMean": _reduce_mean,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Squeeze": _reshape,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
