"""How a window moves over an image: stride and pads, as ONNX says them."""

from __future__ import annotations

from collections.abc import Sequence

from edgenas.int8.importer.builder import NotCoveredError
from edgenas.int8.importer.source import Operation


def stride_of(one: Operation) -> int:
    strides = set(one.attributes.get("strides", [1]))
    if len(strides) > 1:
        raise NotCoveredError("a stride that differs between height and width")
    return int(strides.pop())


def window_of(sizes: Sequence[int]) -> tuple[int, int]:
    """Return height and width of a window; that over a series has the height 1."""
    if len(sizes) not in (1, 2):
        raise NotCoveredError("a window of other than one or two dimensions")
    height, width = (*(1,) * (2 - len(sizes)), *sizes)
    return int(height), int(width)


def pads_before(
    one: Operation,
    source: tuple[int, ...],
    shape: tuple[int, ...],
    window: tuple[int, ...],
    stride: int,
) -> tuple[int, int]:
    """Return the pixels above and on the left."""
    auto = one.attributes.get("auto_pad", b"NOTSET").decode()
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        total = [
            max((shape[axis] - 1) * stride + window[axis] - source[axis], 0) for axis in (-2, -1)
        ]
        before = [(each + (auto == "SAME_LOWER")) // 2 for each in total]
        return before[0], before[1]
    pads = one.attributes.get("pads", [0, 0, 0, 0])
    return window_pads(pads[: len(pads) // 2])


def window_pads(before: Sequence[int]) -> tuple[int, int]:
    """Return pixels above and on the left, or below and on the right; a series has none above."""
    above, left = (*(0,) * (2 - len(before)), *before)
    return int(above), int(left)
