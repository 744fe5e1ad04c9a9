"""The images that are packaged with a supernet: an excerpt of the data set, or synthetic ones."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.core.files.run_folder import write_bytes
from edgenas.core.progress import Progress
from edgenas.supernet.packages.package import Package, metadata

if TYPE_CHECKING:
    from edgenas.data.base import Dataset
    from edgenas.supernet.accuracy import Evaluator
    from edgenas.supernet.synthesis import Synthesis


@dataclass(frozen=True)
class Excerpt:
    """How many images come with a supernet, besides those that calibrate."""

    val: int
    test: int


def write_excerpt(files: Package, dataset: Dataset, excerpt: Excerpt) -> None:
    """Write an excerpt of the images: what calibrates first, an equal share of each class."""
    from edgenas.supernet.recalibrate import CALIBRATION_IMAGES

    positions = dataset.calibration_order()[:CALIBRATION_IMAGES].astype(np.int64)
    splits = {
        "train": dataset.train.take(positions),
        "val": dataset.val.take(_balanced(dataset.val.labels, excerpt.val)),
        "test": dataset.test.take(_balanced(dataset.test.labels, excerpt.test)),
    }
    tensors = {"train.positions": positions}
    for name, split in splits.items():
        tensors[f"{name}.images"] = np.ascontiguousarray(split.images)
        tensors[f"{name}.labels"] = np.ascontiguousarray(split.labels, np.int64)
    whole = {part: len(getattr(dataset, part)) for part in splits}
    _write(files, tensors, {**_about(dataset), "whole": whole})


def write_synthetic(
    files: Package, evaluator: Evaluator, recipe: Synthesis, progress: Progress, *, reused: bool
) -> None:
    """Make synthetic images of which subnets see what they see in images, and write them.

    reused : those that were made before by the same recipe for the same supernet stay.
    """
    from edgenas.supernet.synthesis import synthesize

    made = {"recipe": asdict(recipe), "supernet_sha256": evaluator.supernet_sha256}
    if reused and metadata(files.images).get("synthetic") == made:
        return
    images = synthesize(evaluator.supernet, evaluator.dataset, recipe, progress)
    _write(files, {"images": images}, {**_about(evaluator.dataset), "synthetic": made})


def _about(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "identity": dataset.identity,
        "class_names": dataset.class_names,
        "mean": dataset.mean,
        "std": dataset.std,
        "fit": dataset.fit,
    }


def _write(files: Package, tensors: dict[str, np.ndarray], about: dict[str, Any]) -> None:
    from safetensors.numpy import save

    text = {name: json.dumps(value) for name, value in about.items()}
    write_bytes(files.images, bytes(save(tensors, text)))


def _balanced(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the numbers of `count` images, as many of each class as can be, in their order."""
    rank = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank[members] = np.arange(len(members))
    return np.sort(np.argsort(rank, kind="stable")[:count])
