"""Package a trained supernet for searching: evaluated subnets, a card, images that calibrate."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.core import plugins
from edgenas.core.errors import DataError, InputError
from edgenas.core.files.outputs import claim, wrote
from edgenas.core.files.run_folder import read_json, write_json, write_text
from edgenas.core.progress import Progress, Silent
from edgenas.core.records import Architecture, from_json, to_json
from edgenas.int8.engines.facts import find_engine
from edgenas.spaces.base import SAMPLING
from edgenas.supernet.accuracy import Evaluator, shared
from edgenas.supernet.packages.card import text
from edgenas.supernet.packages.images import Excerpt, write_excerpt, write_synthetic
from edgenas.supernet.packages.package import EvaluationTable, Package, SyntheticLoss
from edgenas.supernet.packages.trained_size import normalised_as, trained_size

if TYPE_CHECKING:
    from edgenas.data.base import Dataset
    from edgenas.supernet.parallel import Workers
    from edgenas.supernet.synthesis import Synthesis

ENGINE, SCHEME = "onnxruntime", "u8s8"
RANDOM_SUBNETS = 20  # on the card
KEPT_EVERY = 8  # evaluations between two writes of the table
SYNTHETIC = "int8_accuracy_of_synthetic"  # of a subnet on the card
ON_TEST = "on the test images"


def package(
    weights: Path,
    data: str,
    evaluate: int,
    images: Excerpt | Synthesis,
    progress: Progress,
    *,
    note: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write what belongs beside the supernet `weights`; return its card.

    data : the images that it was trained on. evaluate : subnets of the table; what an earlier
    call evaluated is reused. images : to come with it, real or synthetic ones. note : what a reader
    of its figures must know of the images; None keeps that of an earlier call. overwrite : also
    what edgenas did not write is replaced.
    Under `torchrun` processes share the evaluations; the first one writes, the others return {}.

    Raises
    ------
    InputError : not a supernet. DataError : other images than those that it was trained on.
    TrainingError : another process is gone.
    """
    from edgenas.supernet.files import load
    from edgenas.supernet.parallel import joined

    files = Package(weights)
    of_edgenas = files.written_by_edgenas()
    for path, is_written in of_edgenas.items():
        claim(path, "SUPERNET", is_written, inputs=[weights], overwrite=overwrite)
    about = files.metadata()
    earlier = frozenset(path for path, is_written in of_edgenas.items() if wrote(path, is_written))
    size = trained_size(files)
    if size is None:
        raise InputError(
            f"{weights} is a start for images of any size, not a trained supernet.",
            f"Train on from it: edgenas search --supernet {weights} --data {data}",
        )
    with joined("cpu") as workers:
        progress = progress if workers.first else Silent()
        dataset = _dataset(data, about, files, size, progress)
        create = plugins.load("spaces", about["space"]["name"]).create
        space = create(len(dataset.class_names), len(dataset.mean), size)
        supernet, sha256 = load(weights, space), _sha256(weights)
        evaluator = Evaluator(supernet, sha256, space, dataset, find_engine(ENGINE), SCHEME)
        work = _Work(files, earlier, evaluator, workers, about["settings"]["seed"], progress)
        if isinstance(images, Excerpt):
            if workers.first:
                write_excerpt(files, dataset, images)
        elif workers.first:
            reused = files.images in earlier
            write_synthetic(files, evaluator, images, progress, reused=reused)
        table, subnets = work.table(evaluate), work.subnets()
        if not isinstance(images, Excerpt):
            subnets = work.synthetic_accuracies(subnets)
        return work.write_card(about, table, subnets, note) if workers.first else {}


@dataclass(frozen=True, eq=False)
class _Work:
    """earlier : the files that an earlier call wrote; others are replaced unread."""

    files: Package
    earlier: frozenset[Path]
    evaluator: Evaluator
    workers: Workers
    seed: int
    progress: Progress

    @property
    def dataset(self) -> Dataset:
        return self.evaluator.dataset

    def table(self, count: int) -> EvaluationTable:
        """Evaluate `count` subnets on the validation images and write the table of them."""
        before = self.files.table() if self.files.evaluations in self.earlier else None
        rows = {row.architecture: row for row in before.rows} if before is not None else {}
        sha256 = self.evaluator.supernet_sha256
        rows = {a: row for a, row in rows.items() if row.supernet_sha256 == sha256}

        def write() -> EvaluationTable:
            table = EvaluationTable(self.dataset.identity, ENGINE, tuple(rows.values()))
            if self.workers.first:
                write_json(self.files.evaluations, to_json(table))
            return table

        wanted = self._sampled(count)
        missing = [architecture for architecture in wanted if architecture not in rows]
        with self.progress.task("Evaluating subnets", len(wanted)) as task:
            task.advance(len(wanted) - len(missing))
            found = self.evaluator.evaluations(missing, self.workers, fp32=True)
            for number, evaluation in enumerate(found, 1):
                rows[evaluation.architecture] = evaluation
                if number % KEPT_EVERY == 0:
                    write()
                task.advance()
        return write()

    def subnets(self) -> list[dict[str, Any]]:
        """Return fp32 and int8 accuracy on the test split: smallest, largest, random subnets."""
        wanted, before = self._sampled(RANDOM_SUBNETS + 2), self._card_before()
        if len(before.get("subnets", ())) == len(wanted):
            wanted = []  # in every process: `shared` goes by the first one
        test, found = self.dataset.test, []
        with self.progress.task(f"Evaluating subnets {ON_TEST}", len(wanted)) as task:
            for architecture, (fp32, int8) in shared(
                wanted, lambda one: self.evaluator.accuracies(one, test), 2, self.workers
            ):
                found.append(self._row(architecture, fp32, int8))
                task.advance()
        known = [
            {k: v for k, v in row.items() if k != SYNTHETIC} for row in before.get("subnets", ())
        ]
        return found or known

    def synthetic_accuracies(self, subnets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add to each subnet its int8 accuracy where it is calibrated on the synthetic images."""
        before, images = self._card_before(), self.files.images
        same = self.workers.first and before.get("images_sha256") == _sha256(images)
        found = {_of(row): row[SYNTHETIC] for row in before["subnets"]} if same else {}
        architectures = [one for one in map(_of, subnets) if one not in found]
        title = f"Evaluating subnets calibrated on synthetic images {ON_TEST}"
        with self.progress.task(title, len(architectures)) as task:
            for architecture, (int8,) in shared(
                architectures, self._calibrated_on_synthetic, 1, self.workers
            ):
                found[architecture] = int8
                task.advance()
        return [{**row, SYNTHETIC: found.get(_of(row))} for row in subnets]

    def write_card(
        self,
        about: dict[str, Any],
        table: EvaluationTable,
        subnets: list[dict[str, Any]],
        note: str | None,
    ) -> dict[str, Any]:
        """Write the card, for programs and to read; return it."""
        card = {
            **dict(sorted(about.items())),  # a safetensors file keeps no order of them
            "sha256": self.evaluator.supernet_sha256,
            "bytes": self.files.weights.stat().st_size,
            "fit": self.dataset.fit,
            "images_sha256": _sha256(self.files.images),
            "n_train": len(self.dataset.train),
            "n_val": len(self.dataset.val),
            "evaluated_subnets": len(table.rows),
            "subnets": subnets,
        }
        if said := (self._card_before().get("note", "") if note is None else note):
            card["note"] = said
        losses = [one["int8_accuracy"] - one[SYNTHETIC] for one in subnets if SYNTHETIC in one]
        if losses:
            mean, n_images = float(np.mean(losses)), len(self.dataset.test)
            card["synthetic_loss"] = to_json(
                SyntheticLoss(mean, max(losses), len(losses), n_images)
            )
        write_json(self.files.card, card)
        write_text(self.files.card_text, text(card))
        return card

    def _card_before(self) -> dict[str, Any]:
        """Return the card that an earlier call wrote of the same supernet, {} if none did."""
        before = read_json(self.files.card) if self.files.card in self.earlier else {}
        return dict(before) if before.get("sha256") == self.evaluator.supernet_sha256 else {}

    def _sampled(self, count: int) -> list[Architecture]:
        rng = np.random.default_rng([self.seed, SAMPLING])
        return list(itertools.islice(self.evaluator.space.distinct(rng), count))

    def _calibrated_on_synthetic(self, architecture: Architecture) -> tuple[float]:
        network = self.evaluator.deployable(architecture, self._synthetic)
        return (network.accuracy(SCHEME, self.dataset, self.dataset.test),)

    @cached_property
    def _synthetic(self) -> Dataset:
        from edgenas.data import base

        spec = f"pretrained:{self.files.weights}"
        return base.load(spec, seed=self.seed, progress=Silent())

    def _row(self, architecture: Architecture, fp32: float, int8: float) -> dict[str, Any]:
        layers = self.evaluator.space.layers(architecture)
        return {
            "architecture": to_json(architecture),
            "macs": sum(layer.macs for layer in layers),
            "params": sum(layer.params for layer in layers),
            "fp32_accuracy": fp32,
            "int8_accuracy": int8,
            "n_images": len(self.dataset.test),
        }


def _dataset(
    data: str, about: dict[str, Any], files: Package, size: int, progress: Progress
) -> Dataset:
    from edgenas.data import base

    seed = about["settings"]["seed"]
    dataset = base.load(
        data,
        seed=seed,
        progress=progress,
        image_size=size,
        fit=files.fit(),
        class_names=about["class_names"],
    )
    if dataset.identity != about["data"]["identity"]:
        raise DataError(
            f"{files.weights} was trained on other images than those of {data}.",
            f"They were {about['data']['name']}, split by --seed {seed}.",
        )
    return normalised_as(dataset, about)


def _of(row: dict[str, Any]) -> Architecture:
    return from_json(row["architecture"], Architecture, "A subnet of the card")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
