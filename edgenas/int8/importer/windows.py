"""How a window moves over an image: stride and pads, as ONNX says them."""

from __future__ import annotations

from edgenas.int8.importer.builder import NotCoveredError
from edgenas.int8.importer.source import Operation


def stride_of(one: Operation) -> int:
    strides = set(one.attributes.get("strides", [1]))
    if len(strides) > 1:
        raise NotCoveredError("a stride that differs between height and width")
    return int(strides.pop())


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
    return int(pads[0]), int(pads[1])
