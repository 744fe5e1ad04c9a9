"""Channels put together, chosen and moved. Numbers of "channels": those of its input, in order.

"depth_to_space" makes of a pixel's channels a square of b x b pixels, row by row; numbers: b.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgenas.int8.operators.base import OnnxWriter, Operator, TfliteWriter

if TYPE_CHECKING:
    import torch

    from edgenas.int8.graph.ir import Node

Shapes = list[tuple[int, ...]]


def _concat(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    import torch

    return torch.cat(inputs, 1)


def _channels(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    return inputs[0][:, list(node.numbers)]


def _depth_to_space(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    (block,) = node.numbers
    n, deep, height, width = inputs[0].shape
    split = inputs[0].reshape(n, block, block, deep // block**2, height, width)
    return split.permute(0, 3, 4, 1, 5, 2).reshape(n, -1, height * block, width * block)


def _run(numbers: tuple[int, ...]) -> bool:
    return numbers == tuple(range(numbers[0], numbers[0] + len(numbers)))


def _onnx_concat(w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes) -> None:
    w.operator("Concat", inputs, output, axis=1)


def _onnx_channels(
    w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes
) -> None:
    if _run(node.numbers):
        ends = ((node.numbers[0], "first"), (node.numbers[-1] + 1, "end"), (1, "axis"))
        limits = [w.constant(f"{node.output}_{what}", np.array([at])) for at, what in ends]
        w.operator("Slice", [*inputs, *limits], output)
    else:
        which = w.constant(f"{node.output}_which", np.array(node.numbers))
        w.operator("Gather", [*inputs, which], output, axis=1)


def _onnx_depth_to_space(
    w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes
) -> None:
    w.operator("DepthToSpace", inputs, output, blocksize=node.numbers[0], mode="DCR")


def _tflite_concat(
    w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes
) -> None:
    w.operator("CONCATENATION", inputs, output, "ConcatenationOptions", (1, 2), axis=3)


def _tflite_channels(
    w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes
) -> None:
    if _run(node.numbers):
        begin = w.constant("begin", [0, 0, 0, node.numbers[0]])
        size = w.constant("size", [-1, *node.shape[2:], len(node.numbers)])
        w.operator("SLICE", [*inputs, begin, size], output, "SliceOptions", (1, 2))
    else:
        which = w.constant("which", list(node.numbers))
        w.operator("GATHER", [*inputs, which], output, "GatherOptions", (1, 2), axis=3)


def _tflite_depth_to_space(
    w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes
) -> None:
    how = {"blockSize": node.numbers[0]}
    w.operator("DEPTH_TO_SPACE", inputs, output, "DepthToSpaceOptions", (1, 2), **how)


OPERATORS = (
    Operator(
        "concat",
        _concat,
        _onnx_concat,
        _tflite_concat,
        ("Concat",),
        ("CONCATENATION",),
        same_scale=True,
    ),
    Operator(
        "channels",
        _channels,
        _onnx_channels,
        _tflite_channels,
        ("Slice", "Gather"),
        ("SLICE", "GATHER"),
        same_scale=True,
    ),
    Operator(
        "depth_to_space",
        _depth_to_space,
        _onnx_depth_to_space,
        _tflite_depth_to_space,
        ("DepthToSpace",),
        ("DEPTH_TO_SPACE",),
        same_scale=True,
    ),
)
