"""Images made larger by a whole factor. Numbers: the factor, and 1 for bilinear, 0 for nearest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgenas.int8.operators.base import OnnxWriter, Operator, TfliteWriter

if TYPE_CHECKING:
    import torch

    from edgenas.int8.graph.ir import Node

Shapes = list[tuple[int, ...]]


def _resize(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    from torch.nn import functional

    factor, bilinear = node.numbers
    if bilinear:
        return functional.interpolate(
            inputs[0], scale_factor=factor, mode="bilinear", align_corners=False
        )
    return functional.interpolate(inputs[0], scale_factor=factor, mode="nearest")


def _onnx(w: OnnxWriter, node: Node, inputs: list[str], output: str, shapes: Shapes) -> None:
    factor, bilinear = node.numbers
    scales = w.constant(f"{node.output}_factors", np.array([1, 1, factor, factor], np.float32))
    where = "half_pixel" if bilinear else "asymmetric"
    how = {"mode": "linear" if bilinear else "nearest", "coordinate_transformation_mode": where}
    w.operator("Resize", [*inputs, "", scales], output, nearest_mode="floor", **how)


def _tflite(w: TfliteWriter, node: Node, inputs: list[int], output: int, shapes: Shapes) -> None:
    size = w.constant("size", list(node.shape[2:]))
    if node.numbers[1]:
        options = "ResizeBilinearOptions"
        how = {"halfPixelCenters": True}
        w.operator("RESIZE_BILINEAR", [*inputs, size], output, options, (3, 3), **how)
    else:
        options = "ResizeNearestNeighborOptions"
        w.operator("RESIZE_NEAREST_NEIGHBOR", [*inputs, size], output, options, (1, 2))


OPERATORS = (
    Operator(
        "resize",
        _resize,
        _onnx,
        _tflite,
        ("Resize",),
        ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"),
        same_scale=True,
    ),
)
