"""What the steps of one run share: its folder, its configuration, its images, space and target."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgenas import __version__, goals, plugins, responses
from edgenas.config import RunConfig, write_config
from edgenas.errors import DataError, RunFolderError
from edgenas.graph.engines import Engine, find_engine
from edgenas.progress import Progress
from edgenas.records import (
    Architecture,
    DataCard,
    DeviceProfile,
    Evaluation,
    ExportedModel,
    Measurement,
    Notes,
    SearchResult,
    Verification,
    canonical,
    from_json,
    to_json,
)
from edgenas.responses import Observed
from edgenas.run_folder import RunFolder, read_json, write_json
from edgenas.store import Store

if TYPE_CHECKING:
    from edgenas.data.base import Dataset
    from edgenas.pretrained.package import Package
    from edgenas.search_problem import Predictors
    from edgenas.spaces.base import MobileSpace
    from edgenas.supernet.network import Supernet
    from edgenas.table_run import TableRun
    from edgenas.targets.base import ModelFile, Target
    from edgenas.targets.config import Access

SAMPLING = 1  # a run's random sequence of architectures, among the seed's


@dataclass
class RunContext:
    """One run. What is expensive (images, target) is made when a step first asks for it.

    images_of : another run of the same images, which loads them for both.
    """

    folder: RunFolder
    config: RunConfig
    progress: Progress
    access: Access | None = None
    reused: list[str] = field(default_factory=list)
    images_of: RunContext | None = None

    @cached_property
    def store(self) -> Store:
        return Store(self.folder.store)

    @cached_property
    def dataset(self) -> Dataset:
        """The images; refused if they are not those that the run began with."""
        from edgenas.data import base

        if self.images_of is not None:
            dataset = self.images_of.dataset
        else:
            most = self._trained_size or base.LARGEST_IMAGE_SIZE
            dataset = base.load(
                self.config.data, seed=self.config.seed, progress=self.progress, image_size=most
            )
        card = dataset.card()
        if not self.folder.data.exists():
            write_json(self.folder.data, to_json(card))
        elif self._stored_card().identity != card.identity:
            raise DataError(
                f"The images of {self.config.data} changed since {self.folder.path} was started.",
                "Name those that it began with by --data, or start a new run with another --out.",
            )
        return dataset

    @cached_property
    def data_card(self) -> DataCard:
        """What the images are, without loading them again."""
        return self._stored_card() if self.folder.data.exists() else self.dataset.card()

    def _stored_card(self) -> DataCard:
        document = read_json(self.folder.data)
        return from_json(document, DataCard, str(self.folder.data), RunFolderError)

    @cached_property
    def space(self) -> MobileSpace:
        """The search space for these images."""
        module = plugins.load("spaces", self.config.space)
        space: MobileSpace = module.create(*self.space_arguments)
        return space

    @property
    def space_arguments(self) -> tuple[int, int, int]:
        """What the space is made with: number of classes, number of channels, image size."""
        card = self.data_card
        return len(card.class_names), len(card.mean), self._trained_size or card.image_size

    @cached_property
    def _trained_size(self) -> int | None:
        """The size of the images that a pretrained supernet's space was made for."""
        from edgenas.trained_size import trained_size

        return trained_size(self.pretrained) if self.pretrained else None

    @cached_property
    def pretrained(self) -> Package | None:
        """The supernet that the run takes instead of training one."""
        from edgenas.pretrained.package import find

        return None if self.config.supernet is None else find(self.config.supernet)

    @cached_property
    def target(self) -> Target:
        """The machine that measures; what it was probed to be need not be asked again."""
        from edgenas.targets.config import resolve

        config = self.config
        return resolve(config.target, self.access, self.probed_machine(), config.engine)

    @cached_property
    def replays(self) -> bool:
        """Whether the target is a measured table."""
        from edgenas.table_run import replays

        return replays(self.folder, self.config)

    @cached_property
    def replay(self) -> TableRun:
        """The measured table that is searched."""
        from edgenas.table_run import TableRun

        return TableRun(self.folder, self.config)

    def probed_machine(self) -> str:
        """Return what the target's processor was probed to be, "" before."""
        if not self.folder.profile.exists():
            return ""
        document = read_json(self.folder.profile)
        return from_json(document, DeviceProfile, str(self.folder.profile), RunFolderError).machine

    @cached_property
    def engine(self) -> Engine:
        """What is known of the target's engine."""
        return find_engine(self.target.engine)

    def sampled(self, count: int) -> list[Architecture]:
        """Return the first `count` architectures of the run's one random sequence.

        The smallest and the largest come first, so that no later prediction lies outside them;
        more samples extend the sequence and keep what was measured.
        """
        rng = np.random.default_rng([self.config.seed, SAMPLING])
        return list(itertools.islice(self.space.distinct(rng), count))

    def anchor(self) -> Architecture:
        """Return the architecture that every job on the target times, to see the target drift."""
        return self.sampled(3)[-1]

    def measurements(self) -> list[Measurement]:
        """Return the newest measurement of each architecture on the run's target."""
        return self.store.measurements(self.target.name)

    def device_seconds(self) -> float:
        """Return the time that the target spent in timed inferences of the run."""
        return sum(
            sum(map(sum, measurement.outcome.latency.samples_ns)) / 1e9
            for measurement in self.measurements()
            if measurement.outcome.latency is not None
        )

    def ask_for_samples(self, samples: int) -> None:
        """Raise the number of subnets to measure, here and in run.json."""
        self.config = replace(self.config, samples=samples)
        write_config(self.folder, self.config, __version__)

    def observed(self, response: str) -> dict[Architecture, Observed]:
        """Return what was measured or evaluated of a response, with its 95 % interval if known."""
        if response == "accuracy":
            return {e.architecture: (e.int8_accuracy, None) for e in self.evaluations()}
        return responses.observed(responses.REGISTRY[response], self.measurements())

    def ask_for_limit(self, limit_ms: float) -> None:
        """Set the latency limit, here and in run.json."""
        self.config = replace(self.config, max_latency_ms=limit_ms)
        write_config(self.folder, self.config, __version__)

    def latencies(self) -> dict[Architecture, Observed]:
        """Return the median latencies, in ms, of what was measured, as of the newest job."""
        return self.observed("latency_ms")

    def evaluations(self) -> list[Evaluation]:
        """Return the evaluations that were made with the run's supernet as it is now."""
        return list(self.store.evaluations(self.supernet_sha256()).values())

    def supernet(self) -> Supernet:
        """Return the trained supernet; `RunFolderError` if it is not trained yet."""
        from edgenas.supernet.files import load

        return load(self.folder.require(self.folder.supernet, "train"), self.space)

    def supernet_sha256(self) -> str:
        """Return the hash of the trained supernet; `RunFolderError` if it is not trained yet."""
        path = self.folder.require(self.folder.supernet, "train")
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def predictors(self) -> Predictors:
        """Return the fitted predictors; `RunFolderError` if they are not fitted yet."""
        from edgenas.search_problem import Predictors, load_predictor

        loaded = {}
        for name in ("latency_ms", "accuracy"):
            self.folder.require(self.folder.predictors / f"{name}.json", "fit")
        for name in responses.REGISTRY:
            path = self.folder.predictors / f"{name}.json"
            if path.exists():
                loaded[name] = load_predictor(read_json(path))
        latency, accuracy = loaded.pop("latency_ms"), loaded.pop("accuracy")
        return Predictors(self.space, latency, accuracy, self.config.confidence, loaded)

    def limit_ms(self, default: Callable[[], float]) -> float:
        """Return the run's latency limit; a default one is chosen once and kept for the run."""
        asked = self.config.limits().get("latency_ms")
        if asked is not None and asked.at_most is not None:
            return asked.at_most
        if self.folder.search.exists() and (before := self.search_result()).limited:
            dropped = goals.parse_constraints(before.constraints).get("latency_ms")
            if dropped is None or dropped.at_most is None:
                return before.limit_ms
        return default()

    def search_result(self) -> SearchResult:
        """Return what optimize found; `RunFolderError` if it has not run yet."""
        path = self.folder.require(self.folder.search, "optimize")
        return from_json(read_json(path), SearchResult, str(path), RunFolderError)

    def exported_models(self) -> list[ExportedModel]:
        """Return the exported candidates of the search, in its order."""
        models = []
        for candidate in self.search_result().candidates:
            path = self.folder.models / f"{candidate.architecture.short_name}.json"
            document = read_json(self.folder.require(path, "export"))
            model = from_json(document, ExportedModel, str(path), RunFolderError)
            models.append(replace(model, candidate=candidate))
        return models

    def verified(self) -> Verification:
        """Return the verdict; `RunFolderError` if nothing was verified yet."""
        path = self.folder.require(self.folder.verification, "verify")
        return from_json(read_json(path), Verification, str(path), RunFolderError)

    def best(self) -> Architecture | None:
        """Return the winner; the best candidate where none is verified; None before a search."""
        if self.folder.verification.exists() and (winner := self.verified().winner) is not None:
            return winner.model.candidate.architecture
        if not self.folder.search.exists():
            return None
        return self.search_result().candidates[0].architecture

    def notes(self) -> Notes:
        """Return what happened along the way so far."""
        if not self.folder.notes.exists():
            return Notes()
        document = read_json(self.folder.notes)
        return from_json(document, Notes, str(self.folder.notes), RunFolderError)

    def note(self, step: str, seconds: float, warnings: Sequence[str]) -> None:
        """Add the seconds of a step to the run's notes, and put its warnings for older ones."""
        known = self.notes()
        spent = {**known.seconds, step: known.seconds.get(step, 0.0) + seconds}
        reused = tuple(dict.fromkeys((*known.reused, *self.reused)))
        by_step = {**known.step_warnings, step: tuple(warnings)}
        write_json(self.folder.notes, to_json(Notes(spent, by_step, reused)))

    def reuse(self, what: str) -> None:
        """Say that finished work is reused."""
        self.reused.append(what)
        self.progress.message(f"reused: {what}")

    def job_dir(self, kind: str, models: Sequence[ModelFile]) -> Path:
        """Return the folder of the job that runs these models: the same models, the same folder."""
        keys = canonical([(model.key, model.sha256) for model in models])
        return self.folder.jobs / f"{kind}-{hashlib.sha256(keys.encode()).hexdigest()[:12]}"
