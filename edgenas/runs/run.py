"""What the steps of one run share: its folder, its configuration, its images, space and target."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas import __version__
from edgenas.core import goals, metrics, plugins
from edgenas.core.errors import DataError, InputError, NotVerifiedError, RunFolderError
from edgenas.core.files.run_folder import RunFolder, read_json
from edgenas.core.progress import Progress
from edgenas.core.readings import Observed
from edgenas.core.records import (
    Architecture,
    DataCard,
    DeviceProfile,
    Evaluation,
    ExportedModel,
    Limit,
    Measurement,
    Notes,
    RunVerdict,
    SearchResult,
    Verification,
    VerifiedModel,
    canonical,
)
from edgenas.core.records.goals import ROBUST, SCORE
from edgenas.int8.engines.facts import Engine, find_engine
from edgenas.int8.engines.scheme import Scheme
from edgenas.runs import artifacts, sources, space_file
from edgenas.runs.artifacts import Record
from edgenas.runs.config import AUTO, RunConfig, write_config
from edgenas.runs.fpga import pipeline as fpga_pipeline
from edgenas.runs.store import Store
from edgenas.runs.verdict import verdicts
from edgenas.spaces.bits import elastic_bits

if TYPE_CHECKING:
    from edgenas.data.base import Dataset
    from edgenas.hardware.devices import FpgaSetup
    from edgenas.hardware.pipeline import Pipeline
    from edgenas.optimize.layout import Predictors
    from edgenas.runs.sources.base import Source
    from edgenas.spaces.base import MobileSpace
    from edgenas.spaces.files import Member
    from edgenas.supernet.network import Supernet
    from edgenas.supernet.packages.package import Package
    from edgenas.targets.base import ModelFile, Target
    from edgenas.targets.config import Access


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
    planned: list[str] = field(default_factory=list)
    images_of: RunContext | None = None

    def read(self, kind: type[Record], network: str = "") -> Record:
        """Return a record of the run; see `artifacts`."""
        return artifacts.read(self.folder, kind, network)

    def find(self, kind: type[Record], network: str = "") -> Record | None:
        """Return a record of the run; None where it is not there."""
        return artifacts.find(self.folder, kind, network)

    def write(self, record: Any, network: str = "") -> None:
        """Write a record of the run."""
        artifacts.write(self.folder, record, network)

    @cached_property
    def store(self) -> Store:
        return Store(self.folder.store)

    @cached_property
    def dataset(self) -> Dataset:
        """The images; refused if they are not those that the run began with."""
        from edgenas.data import base
        from edgenas.supernet.packages.trained_size import normalised_as

        if self.images_of is not None:
            dataset = self.images_of.dataset
        else:
            dataset = base.load(
                self.config.data,
                seed=self.config.seed,
                progress=self.progress,
                image_size=self._trained_size or self.config.image_size or base.USUAL_IMAGE_SIZE,
                fit=self.config.fit,
                class_names=self._known_classes,
                task=self.config.task,
            )
            if self.pretrained is not None:
                dataset = normalised_as(dataset, self.pretrained.metadata())
        card = dataset.card()
        if not self.folder.data.exists():
            self._require_no_work()
            self.write(card)
        elif self.read(DataCard).identity != card.identity:
            raise DataError(
                f"The images of {self.config.data} changed since {self.folder.path} was started.",
                "Name those that it began with by --data, or start a new run with another --out.",
            )
        return dataset

    @cached_property
    def data_card(self) -> DataCard:
        """What the images are, without loading them again."""
        return self.find(DataCard) or self.dataset.card()

    def _require_no_work(self) -> None:
        """Refuse a run with work on images of which it no longer says which they are."""
        folder = self.folder
        done = (folder.supernet, folder.checkpoint, folder.search, folder.verification)
        if any(path.exists() for path in done):
            raise RunFolderError(
                f"{folder.path} has no {folder.data.name}, which says on which images its work is.",
                "Put the file back, or start a new run with another --out.",
            )

    @cached_property
    def space(self) -> MobileSpace:
        """The search space for these images, with the bits that an FPGA lets be chosen."""
        space: MobileSpace = self._space_member.create(*self.space_arguments)
        if self.pipeline is None:
            return space
        setup: FpgaSetup = self.target.setup  # type: ignore[attr-defined]
        bits = (setup.weights, setup.activations)
        return space if bits == ((8,), (8,)) else elastic_bits(space, *bits)

    @cached_property
    def _space_member(self) -> Member:
        config = self.config
        return space_file.member(self.folder, config.space, config.space_sha256)

    @property
    def _known_classes(self) -> Sequence[str]:
        """The classes in the order in which the run began with them, or its supernet knows them."""
        if (card := self.find(DataCard)) is not None:
            return card.class_names
        if self.pretrained is None or self.pretrained.any_size():
            return ()
        names: Sequence[str] = self.pretrained.metadata()["class_names"]
        return names

    @property
    def space_arguments(self) -> tuple[int, int, int]:
        """What the space is made with: number of outputs, number of channels, image size."""
        card = self.data_card
        outputs = plugins.load_task(card.task).outputs(card.class_names)
        return outputs, len(card.mean), self._trained_size or card.image_size

    @cached_property
    def _trained_size(self) -> int | None:
        """The size of the images that a pretrained supernet's space was made for."""
        from edgenas.supernet.packages.trained_size import trained_size

        if self.pretrained is None:
            return None
        return trained_size(self.pretrained, self._space_member.create)

    @cached_property
    def pretrained(self) -> Package | None:
        """The supernet that the run takes instead of training one."""
        from edgenas.supernet.packages.package import Package, find

        if self.folder.imported.exists():  # though the folder was moved
            return Package(self.folder.imported)
        return None if self.config.supernet in (None, AUTO) else find(self.config.supernet)

    @cached_property
    def target(self) -> Target:
        """The machine that measures; what it was probed to be need not be asked again."""
        from edgenas.runs.fpga.calibration import calibrated
        from edgenas.targets.config import resolve

        config = self.config
        machine = self.probed_machine()
        target = resolve(config.target, self.access, machine, config.engine, config.scheme)
        return calibrated(target, config.confidence, config.seed)

    @cached_property
    def source(self) -> Source[Any]:
        """Who answers what the run asks: a board, or a measured table."""
        return sources.source_of(self)

    def profile(self) -> DeviceProfile | None:
        """Return what the target was last seen to be; None before it was probed."""
        return self.find(DeviceProfile)

    def probed_machine(self) -> str:
        """Return what the target's processor was probed to be, "" before."""
        profile = self.profile()
        return "" if profile is None else profile.machine

    def take_target(self, target: Target, scheme: Scheme | None) -> None:
        """Go on with the same machine on another engine or scheme, here and in run.json.

        scheme : of the target; None where it is the usual one there.
        """
        self.settle(engine=target.engine, scheme=scheme)
        self.__dict__.pop("engine", None)
        self.target = target

    def settle(self, **options: Any) -> None:
        """Set what was left open, or what is asked for from now on, here and in run.json."""
        self.config = replace(self.config, **options)
        write_config(self.folder, self.config, __version__)

    def begin_with(self, **options: Any) -> None:
        """Settle what the images are read by; they are read again for it."""
        self.settle(**options)
        self.forget_images()

    def space_for(self, size: int) -> MobileSpace:
        """Return the run's space for images of `size` pixels, of which nothing is known yet."""
        return self._space_member.create(2, 3, size)

    def forget_images(self) -> None:
        """Let the images, and what was made for them, be made again under the options of now."""
        self.folder.data.unlink(missing_ok=True)
        for name in (
            "dataset",
            "data_card",
            "space",
            "_space_member",
            "pretrained",
            "_trained_size",
        ):
            self.__dict__.pop(name, None)

    @cached_property
    def engine(self) -> Engine:
        """What is known of the target's engine."""
        return find_engine(self.target.engine)

    def sampled(self, count: int) -> list[Architecture]:
        """Return the first `count` architectures of the run's one random sequence.

        The smallest and the largest come first, so that no later prediction lies outside them;
        more samples extend the sequence and keep what was measured.
        """
        from edgenas.spaces.base import SAMPLING

        rng = np.random.default_rng([self.config.seed, SAMPLING])
        return list(itertools.islice(self.space.distinct(rng), count))

    def anchor(self) -> Architecture:
        """Return the architecture that every job on the target times, to see the target drift."""
        return self.sampled(3)[-1]

    def measurements(self) -> list[Measurement]:
        """Return the newest measurement of each architecture on the run's target."""
        return self.store.measurements(self.target.name)

    def winners(self) -> list[Architecture]:
        """Return the candidates of the run's search, none if there was no search."""
        found = self.search_result().candidates if self.folder.search.exists() else ()
        return [candidate.architecture for candidate in found]

    def device_seconds(self) -> float:
        """Return the time that the target spent in timed inferences of the run."""
        return sum(
            sum(map(sum, measurement.outcome.latency.samples_ns)) / 1e9
            for measurement in self.measurements()
            if measurement.outcome.latency is not None
        )

    def observed(self, response: str) -> dict[Architecture, Observed]:
        """Return what was measured or evaluated of a response, with its 95 % interval if known."""
        if response in (SCORE, ROBUST):
            return metrics.evaluated(response, self.evaluations())
        return metrics.observed(metrics.REGISTRY[response], self.measurements())

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
        from edgenas.optimize.layout import Predictors, load_predictor

        loaded = {}
        for name in ("latency_ms", SCORE):
            self.folder.require(self.folder.predictor(name), "fit")
        for name in metrics.REGISTRY:
            path = self.folder.predictor(name)
            if path.exists():
                loaded[name] = load_predictor(read_json(path), self.config.predictor)
        latency, accuracy = loaded.pop("latency_ms"), loaded.pop(SCORE)
        confidence, counts = self.config.confidence, self.hardware_counts()
        filled = fpga_pipeline.filled(self.pipeline)
        return Predictors(self.space, latency, accuracy, confidence, loaded, counts, filled)

    @property
    def pipeline(self) -> Pipeline | None:
        """The target's model of an FPGA, at the throughput that is asked for; None of a board."""
        from edgenas.targets.config import is_fpga

        if not is_fpga(self.config.target):
            return None
        return fpga_pipeline.asked_for(self.target.pipeline, self.config)  # type: ignore[attr-defined]

    def hardware_counts(self) -> Mapping[str, metrics.Count]:
        """Return how the responses of hardware follow from layers; {} of a board."""
        pipeline = self.pipeline
        return {} if pipeline is None else pipeline.counts()

    def resolved_limits(self, choose_ms: Callable[[], float] | None) -> dict[str, Limit]:
        """Return the limits that a search goes by, by metric: those asked for, and one on latency
        that is chosen once, by `choose_ms`, where there is none.

        choose_ms : None where a search without a limit on latency is wanted. What an FPGA has
            limits resources, in place of a limit on latency.
        """
        limits = self.config.limits()
        latency = limits.get("latency_ms")
        if (pipeline := self.pipeline) is not None:
            given = (Limit(name, at_most=most) for name, most in pipeline.limits().items())
            return limits | {
                one.response: goals.tightest(limits.get(one.response), one) for one in given
            }
        if choose_ms is None or (latency is not None and latency.at_most is not None):
            return limits
        limit_ms = self._chosen_limit_ms()
        chosen = Limit("latency_ms", at_most=choose_ms() if limit_ms is None else limit_ms)
        return {**limits, "latency_ms": goals.tightest(latency, chosen)}

    def _chosen_limit_ms(self) -> float | None:
        """Return the latency limit that an earlier search of the run chose; None if it had none, or
        it was asked for as a constraint, which is dropped."""
        if not self.folder.search.exists():
            return None
        before = self.search_result()
        asked = goals.parse_constraints(before.constraints, self.config.known).get("latency_ms")
        return before.limit_ms if asked is None or asked.at_most is None else None

    def search_result(self) -> SearchResult:
        """Return what optimize found; `RunFolderError` if it has not run yet."""
        return self.read(SearchResult)

    def exported_models(self) -> list[ExportedModel]:
        """Return the exported candidates of the search, in its order."""
        return [
            replace(self.read(ExportedModel, one.architecture.short_name), candidate=one)
            for one in self.search_result().candidates
        ]

    def verified(self) -> Verification:
        """Return what was verified last; `RunFolderError` if nothing was. See `verdict`."""
        return verdicts.read_verification(self.folder)

    def verdict(self) -> RunVerdict:
        """Return the verdict of now: "not verified" where anything is newer."""
        return verdicts.verdict(self.folder, self.config)

    def winner(self) -> VerifiedModel | None:
        """Return the network that passed; None where none did, or anything is newer."""
        return self.verified().winner if self.verdict().passed else None

    def verified_winner(self) -> VerifiedModel:
        """Return the network that passed.

        Raises
        ------
        NotVerifiedError : something is newer than the verification. InputError : none passed.
        RunFolderError : nothing was verified yet.
        """
        self.folder.require(self.folder.verification, "verify")
        verdict = self.verdict()
        if verdict.status == "not verified":
            raise NotVerifiedError(
                f"{self.folder.path} is not verified: {' '.join(verdict.outdated)}",
                f"Run: {verdict.next_command}",
            )
        winner = self.winner()
        if winner is None:
            raise InputError(
                f"No candidate of {self.folder.path} passed its verification.",
                f"Look at why: edgenas verify {self.folder.path}",
            )
        return winner

    def best(self) -> Architecture | None:
        """Return the winner; the best candidate where none is verified; None before a search."""
        if (winner := self.winner()) is not None:
            return winner.candidate.architecture
        if not self.folder.search.exists():
            return None
        return self.search_result().candidates[0].architecture

    def notes(self) -> Notes:
        """Return what happened along the way so far."""
        return self.find(Notes) or Notes()

    def note(self, step: str, seconds: float, warnings: Sequence[str]) -> None:
        """Add the seconds of a step to the run's notes, and put its warnings for older ones."""
        known = self.notes()
        spent = {**known.seconds, step: known.seconds.get(step, 0.0) + seconds}
        reused = tuple(dict.fromkeys((*known.reused, *self.reused)))
        by_step = {**known.step_warnings, step: tuple(warnings)}
        plan = tuple(dict.fromkeys((*known.plan, *self.planned)))
        self.write(Notes(spent, by_step, reused, plan, known.candidates_s))

    def say_plan(self, sentence: str) -> None:
        """Say what is planned for the time that there is, or what it took; the notes keep it."""
        self.planned.append(sentence)
        self.progress.message(sentence)

    def reuse(self, what: str) -> None:
        """Say that finished work is reused."""
        self.reused.append(what)
        self.progress.message(f"reused: {what}")

    def job_dir(self, kind: str, models: Sequence[ModelFile]) -> Path:
        """Return the folder of the job that runs these models: the same models, the same folder."""
        keys = canonical([(model.key, model.sha256) for model in models])
        return self.folder.jobs / f"{kind}-{hashlib.sha256(keys.encode()).hexdigest()[:12]}"
