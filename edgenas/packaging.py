"""Package a trained supernet for searching: evaluated subnets, a card, an excerpt of the images."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas import plugins
from edgenas.deployable import deployable
from edgenas.errors import DataError
from edgenas.graph.engines import find_engine
from edgenas.pretrained.card import text
from edgenas.pretrained.package import EvaluationTable, Package
from edgenas.progress import Progress
from edgenas.records import Architecture, Evaluation, to_json
from edgenas.run_context import SAMPLING
from edgenas.run_folder import read_json, write_bytes, write_json

if TYPE_CHECKING:
    from edgenas.data.base import Dataset, Split
    from edgenas.spaces.base import MobileSpace
    from edgenas.supernet.network import Supernet

ENGINE, SCHEME = "onnxruntime", "u8s8"
RANDOM_SUBNETS = 20  # on the card
KEPT_EVERY = 8  # evaluations between two writes of the table


@dataclass(frozen=True)
class Excerpt:
    """How many images come with a supernet."""

    val: int
    test: int


def package(
    weights: Path, data: str, evaluate: int, excerpt: Excerpt | None, progress: Progress
) -> dict[str, Any]:
    """Write what belongs beside the supernet `weights`; return its card.

    data : the images that it was trained on. evaluate : subnets of the table; what an earlier
    call evaluated is reused. excerpt : images to come with it; None for none.

    Raises
    ------
    InputError : not a supernet. DataError : other images than those that it was trained on.
    """
    from edgenas.data import base
    from edgenas.supernet.files import load

    files = Package(weights)
    about = files.metadata()
    seed = about["settings"]["seed"]
    dataset = base.load(data, seed=seed, progress=progress, image_size=files.image_size())
    if dataset.identity != about["data"]["identity"]:
        raise DataError(
            f"{weights} was trained on other images than those of {data}.",
            f"They were {about['data']['name']}, split by --seed {seed}.",
        )
    create = plugins.load("spaces", about["space"]["name"]).create
    space = create(len(dataset.class_names), len(dataset.mean), files.image_size())
    work = _Work(load(weights, space), space, dataset, _sha256(weights))
    if excerpt is None:
        files.images.unlink(missing_ok=True)
    else:
        write_bytes(files.images, _images(dataset, excerpt))
    table = _table(files, work, evaluate, seed, progress)
    card = {
        **about,
        "sha256": work.sha256,
        "bytes": weights.stat().st_size,
        "images_sha256": None if excerpt is None else _sha256(files.images),
        "n_train": len(dataset.train),
        "n_val": len(dataset.val),
        "evaluated_subnets": len(table.rows),
        "subnets": _subnets(files, work, seed, progress),
    }
    write_json(files.card, card)
    write_bytes(files.card_text, text(card).encode())
    return card


@dataclass(frozen=True)
class _Work:
    supernet: Supernet
    space: MobileSpace
    dataset: Dataset
    sha256: str

    def evaluated(self, architecture: Architecture, split: Split) -> Evaluation:
        """Return the accuracy of the files that would be deployed, in the host's engine."""
        layers = self.space.layers(architecture)
        network = deployable(self.supernet, architecture, layers, self.dataset, find_engine(ENGINE))
        fp32, int8 = network.accuracies(SCHEME, self.dataset, split)
        return Evaluation(architecture, self.sha256, fp32, int8, len(split))


def _table(
    files: Package, work: _Work, count: int, seed: int, progress: Progress
) -> EvaluationTable:
    identity = work.dataset.identity
    rng = np.random.default_rng([seed, SAMPLING])
    wanted = list(itertools.islice(work.space.distinct(rng), count))
    before = files.table()
    rows = {row.architecture: row for row in before.rows} if before is not None else {}
    rows = {a: row for a, row in rows.items() if row.supernet_sha256 == work.sha256}

    def write() -> EvaluationTable:
        table = EvaluationTable(identity, ENGINE, tuple(rows.values()))
        write_json(files.evaluations, to_json(table))
        return table

    missing = [architecture for architecture in wanted if architecture not in rows]
    with progress.task("Evaluating subnets", len(wanted)) as task:
        task.advance(len(wanted) - len(missing))
        for number, architecture in enumerate(missing, 1):
            rows[architecture] = work.evaluated(architecture, work.dataset.val)
            if number % KEPT_EVERY == 0:
                write()
            task.advance()
    return write()


def _subnets(files: Package, work: _Work, seed: int, progress: Progress) -> list[dict[str, Any]]:
    """Return fp32 and int8 accuracy on the test split: the smallest, the largest, random ones."""
    before = read_json(files.card) if files.card.exists() else {}
    if before.get("sha256") == work.sha256 and len(before["subnets"]) == RANDOM_SUBNETS + 2:
        return list(before["subnets"])
    rng = np.random.default_rng([seed, SAMPLING])
    chosen = list(itertools.islice(work.space.distinct(rng), RANDOM_SUBNETS + 2))
    found = []
    with progress.task("Evaluating subnets on the test images", len(chosen)) as task:
        for architecture in chosen:
            row = work.evaluated(architecture, work.dataset.test)
            layers = work.space.layers(architecture)
            found.append(
                {
                    "architecture": to_json(architecture),
                    "macs": sum(layer.macs for layer in layers),
                    "params": sum(layer.params for layer in layers),
                    "fp32_accuracy": row.fp32_accuracy,
                    "int8_accuracy": row.int8_accuracy,
                    "n_images": row.n_images,
                }
            )
            task.advance()
    return found


def _images(dataset: Dataset, excerpt: Excerpt) -> bytes:
    """Return the excerpt as safetensors: what calibrates first, an equal share of each class."""
    from safetensors.numpy import save

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
    about = {
        "name": dataset.name,
        "identity": dataset.identity,
        "class_names": dataset.class_names,
        "mean": dataset.mean,
        "std": dataset.std,
        "whole": {part: len(getattr(dataset, part)) for part in splits},
    }
    return bytes(save(tensors, {name: json.dumps(value) for name, value in about.items()}))


def _balanced(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the numbers of `count` images, as many of each class as can be, in their order."""
    rank = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank[members] = np.arange(len(members))
    return np.sort(np.argsort(rank, kind="stable")[:count])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
