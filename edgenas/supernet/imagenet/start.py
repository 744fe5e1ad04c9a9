"""The start of a training from ImageNet's weights: sorted, at home with the images, classifying."""

from __future__ import annotations

from pathlib import Path

from edgenas.core.interfaces import Data, Space
from edgenas.core.progress import Progress
from edgenas.supernet.files import load_for
from edgenas.supernet.imagenet import projections, sorting
from edgenas.supernet.imagenet.linear import Floor, fit_classifier
from edgenas.supernet.network import Supernet


def begin(weights: Path, space: Space, data: Data, progress: Progress) -> tuple[Supernet, Floor]:
    """Return the supernet to train on from, and what its frozen features give; says both.

    weights : a file of ImageNet's weights for `space`, but for classes and resolutions.

    Raises
    ------
    InputError : the file is damaged, or of another space.
    """
    supernet = load_for(weights, space)
    for change, count in (
        (sorting.sort_channels, sorting.IMAGES),
        (projections.take_statistics, projections.IMAGES),
    ):
        images = data.calibration(count).resized(space.largest().resolution).images
        change(supernet, images, data)
    floor, n = fit_classifier(supernet, data, progress), len(data.train.labels)
    fitted = f", fitted to {floor.n_fitted:,} of {n:,} images" if floor.n_fitted < n else ""
    progress.message(
        f"A linear classifier on the frozen ImageNet network{fitted}: {floor.accuracy:.1%} of "
        f"{floor.n_images} validation images at {floor.resolution} px. Training goes on from there."
    )
    return supernet, floor
