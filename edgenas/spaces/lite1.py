"""`lite1`: EfficientNet-Lite1 as a space; see `lite.py`."""

from __future__ import annotations

from edgenas.spaces import lite
from edgenas.spaces.base import MobileSpace


def create(num_classes: int, in_channels: int, image_size: int) -> MobileSpace:
    """Return the space for images of `image_size` pixels, seen at 64 to 320 px."""
    return lite.scaled("lite1", 1.0, 1.1, num_classes, in_channels, image_size)
