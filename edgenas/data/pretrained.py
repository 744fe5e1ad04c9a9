"""`pretrained:NAME`: the images that are packaged with a supernet, an excerpt of a data set.

They are the images that calibrate each subnet, in full, and some to check results with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from edgenas.data.base import Dataset, Split, identity
from edgenas.errors import DataError, InputError
from edgenas.pretrained.package import find, metadata
from edgenas.progress import Progress

SPLITS = ("train", "val", "test")


def load(argument: str, *, seed: int, progress: Progress, image_size: int) -> Dataset:
    """Return the excerpt; it is the same for every `seed`, and never resized.

    Raises
    ------
    DataError : no such supernet, or no images with it, or they are damaged.
    """
    try:
        package = find(argument)
    except InputError as problem:
        raise DataError(problem.message, problem.hint) from problem
    if not package.images.exists():
        raise DataError(
            f"No images are packaged with the supernet {package.weights}.",
            "Name the images that it was trained on, which calibrate: --data imagefolder:DIR",
        )
    about = metadata(package.images)
    try:
        with safe_open(package.images, "np") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        dataset = _dataset(about, tensors)
    except (SafetensorError, KeyError, TypeError) as problem:
        raise DataError(
            f"{package.images} is damaged: {problem}.", "Package the supernet again."
        ) from problem
    whole = ", ".join(f"{n:,} {part}" for part, n in about["whole"].items())
    progress.warning(
        f"Results are of an excerpt of {about['name']}: {len(dataset.val)} validation and "
        f"{len(dataset.test)} test images come with the supernet (of {whole}). "
        "For all images, name them with --data."
    )
    return dataset


def _dataset(about: dict[str, Any], tensors: dict[str, np.ndarray]) -> Dataset:
    train, val, test = (
        Split(tensors[f"{name}.images"], tensors[f"{name}.labels"]) for name in SPLITS
    )
    class_names = tuple(about["class_names"])
    return Dataset(
        name=f"pretrained:{about['name']}",
        class_names=class_names,
        train=train,
        val=val,
        test=test,
        identity=identity(class_names, train, val, test),
        mean=tuple(about["mean"]),
        std=tuple(about["std"]),
        positions=tensors["train.positions"],
        excerpt_of=about["identity"],
    )
