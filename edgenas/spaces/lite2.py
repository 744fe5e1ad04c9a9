"""`lite2`: EfficientNet-Lite2 as a space; see `lite.py`."""

from __future__ import annotations

from edgenas.spaces import lite
from edgenas.spaces.base import MobileSpace


def create(num_classes: int, in_channels: int, image_size: int) -> MobileSpace:
    """Return the space for images of `image_size` pixels, seen at 64 to 320 px."""
    return lite.scaled("lite2", 1.1, 1.2, num_classes, in_channels, image_size)
