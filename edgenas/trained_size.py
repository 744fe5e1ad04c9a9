"""The size of the images that a supernet's space was made for: spaces round their resolutions."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from edgenas import plugins
from edgenas.data.base import LARGEST_IMAGE_SIZE
from edgenas.pretrained.package import Package

_MOST_ROUNDED = 16  # pixels


def trained_size(package: Package) -> int:
    """Return the greatest image size of which the supernet's space is made, in pixels.

    An image of 41 px is seen at 42 px by a space that a size of 42 px would not make.
    """
    space = package.metadata()["space"]
    create = plugins.load("spaces", space["name"]).create
    seen = int(max(space["resolutions"]))
    most = min(seen + _MOST_ROUNDED, max(seen, LARGEST_IMAGE_SIZE))
    for size in range(most, max(0, seen - _MOST_ROUNDED), -1):
        if _document(create(space["num_classes"], space["in_channels"], size)) == space:
            return size
    return seen  # the space is another by now, which says so itself


def _document(space: Any) -> Any:
    return json.loads(json.dumps(dataclasses.asdict(space)))
