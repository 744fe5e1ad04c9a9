"""The images that a supernet was trained for: their size, and how their pixels are normalised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgenas.core import plugins
from edgenas.spaces.base import space_document
from edgenas.supernet.packages.package import Package

if TYPE_CHECKING:
    from edgenas.data.base import Dataset

_MOST_ROUNDED = 16  # pixels
_MOST_THEN = 64  # pixels, of images that supernets were trained on whose files do not say how many
Create = Callable[[int, int, int], Any]


def trained_size(package: Package, create: Create | None = None) -> int | None:
    """Return the size of the images that the supernet was trained on, in pixels; None for any.

    create : makes the space; None for the installed one that the supernet names.
    Of a file that does not say it, the greatest of which its space is made: an image of 41 px is
    seen at 42 px by a space that a size of 42 px would not make.
    """
    about = package.metadata()
    if about.get("any_size"):
        return None
    if isinstance(about.get("image_size"), int):
        return int(about["image_size"])
    space = about["space"]
    create = create or plugins.load("spaces", space["name"]).create
    seen = int(max(space["resolutions"]))
    most = min(seen + _MOST_ROUNDED, max(seen, _MOST_THEN))
    for size in range(most, max(0, seen - _MOST_ROUNDED), -1):
        if space_document(create(space["num_classes"], space["in_channels"], size)) == space:
            return size
    return seen  # the space is another by now, which says so itself


def normalised_as(dataset: Dataset, about: dict[str, Any]) -> Dataset:
    """Return the images with the mean and the spread that belong to a supernet.

    about : its metadata. Only one that keeps its batch norms' statistics needs its own; all others
    are recalibrated, and go by those of the images.
    """
    if "origin" not in about or len(about["mean"]) != len(dataset.mean):
        return dataset  # of other channels: the search refuses them
    return replace(dataset, mean=tuple(about["mean"]), std=tuple(about["std"]))
