"""`pretrained:NAME`: the images that are packaged with a supernet, real or synthetic ones.

An excerpt of the data set has the images that calibrate each subnet, in full, and some to check
results with. Synthetic images were made from noise to calibrate as those do; they have no labels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from edgenas.core.errors import DataError, InputError
from edgenas.core.files.regular import utf8_name
from edgenas.core.progress import Progress
from edgenas.data.assemble import identity
from edgenas.data.base import Dataset, Reading, Split
from edgenas.supernet.packages.package import Package, SyntheticLoss, find, fit_in, metadata

SPLITS = ("train", "val", "test")
CHECKED = 256  # synthetic images on which host and target are compared


def load(argument: str, *, reading: Reading, progress: Progress) -> Dataset:
    """Return the packaged images; they are the same for every seed, and never resized.

    Raises
    ------
    DataError : no such supernet, or no images with it, or they are damaged, or of another fit.
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
        with utf8_name(package.images) as name, safe_open(name, "np") as stream:
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
        synthetic = bool(about.get("synthetic"))
        dataset = (_synthetic if synthetic else _excerpt)(about, tensors)
        dataset = replace(dataset, fit=fit_in(about, package.images))
    except (SafetensorError, KeyError, TypeError) as problem:
        raise DataError(
            f"{package.images} is damaged: {problem}.", "Package the supernet again."
        ) from problem
    if reading.fit not in {None, dataset.fit}:
        raise DataError(
            f"The images packaged with {package.weights} are squares made by --fit {dataset.fit}, "
            f"not {reading.fit}.",
            f"Say --fit {dataset.fit}, or name the images with --data.",
        )
    progress.warning(_of_synthetic(package) if synthetic else _of_excerpt(about, dataset))
    return dataset


def _excerpt(about: dict[str, Any], tensors: dict[str, np.ndarray]) -> Dataset:
    train, val, test = (
        Split(tensors[f"{name}.images"], tensors[f"{name}.labels"]) for name in SPLITS
    )
    return _dataset(about, train, val, test, tensors["train.positions"])


def _synthetic(about: dict[str, Any], tensors: dict[str, np.ndarray]) -> Dataset:
    images = tensors["images"]
    train = Split(images, np.full(len(images), -1, np.int64))
    checked = train.take(np.arange(len(train))[:CHECKED])
    return _dataset(about, train, checked, checked, np.arange(len(train)))


def _dataset(
    about: dict[str, Any], train: Split, val: Split, test: Split, positions: np.ndarray
) -> Dataset:
    class_names = tuple(about["class_names"])
    synthetic = bool(about.get("synthetic"))
    return Dataset(
        name=f"{'synthetic' if synthetic else 'pretrained'}:{about['name']}",
        class_names=class_names,
        train=train,
        val=val,
        test=test,
        identity=identity(class_names, train, val, test),
        mean=tuple(about["mean"]),
        std=tuple(about["std"]),
        positions=positions,
        excerpt_of=about["identity"],
        synthetic=synthetic,
    )


def _of_excerpt(about: dict[str, Any], dataset: Dataset) -> str:
    whole = ", ".join(f"{n:,} {part}" for part, n in about["whole"].items())
    return (
        f"Results are of an excerpt of {about['name']}: {len(dataset.val)} validation and "
        f"{len(dataset.test)} test images come with the supernet (of {whole}). "
        "For all images, name them with --data."
    )


def _of_synthetic(package: Package) -> str:
    loss = package.synthetic_loss()
    return (
        f"No images: the accuracy of each network is predicted, NOT MEASURED. Its int8 ranges and "
        f"batch norm statistics are from synthetic images, which {_said(loss)}. To calibrate on "
        "images and measure accuracy, name them with --data."
    )


def _said(loss: SyntheticLoss | None) -> str:
    if loss is None:
        return "were not compared with real ones"
    lost = (
        f"{100 * loss.mean:.2f} points of int8 accuracy in the mean, {100 * loss.worst:.2f} at most"
    )
    of = f"{loss.subnets} networks, {loss.n_images:,} test images"
    return f"lost {lost}, against real ones ({of})"
