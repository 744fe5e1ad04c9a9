"""What targets that give jobs to a runtime have in common: models in, outcomes and logits out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from device_runtime import protocol
from edgenas.core.progress import Progress
from edgenas.core.records import OperatorProfile, Outcome
from edgenas.targets.base import Inference, MeasureSettings, ModelFile, Preprocess
from edgenas.targets.config import TargetConfig
from edgenas.targets.jobs import job, journal, logits, operators


@dataclass(frozen=True)
class DoneJob:
    """A job whose journal is whole. fetch : returns the content of a file that the job wrote.

    forget : is called once all of the job is here.
    """

    state: journal.JobState
    fetch: Callable[[str], bytes]
    forget: Callable[[], None] = lambda: None


class JobTarget(ABC):
    """The part of `base.Target` that is the same wherever the runtime is."""

    def __init__(self, config: TargetConfig) -> None:
        self.name = config.name
        self.engine = config.engine
        self._config = config

    @property
    @abstractmethod
    def scheme(self) -> str:
        """The int8 scheme: the target file's, or what suits the machine."""

    @abstractmethod
    def _do(self, what: protocol.Job, folder: Path, total: int, progress: Progress) -> DoneJob:
        """Do what is left of the job in `folder`; total : models or images, for the progress."""

    def measure(
        self,
        models: Sequence[ModelFile],
        settings: MeasureSettings,
        job_dir: Path,
        progress: Progress,
    ) -> dict[str, Outcome]:
        """Time `models`; see `base.Target.measure`.

        Raises
        ------
        TargetError : the target cannot be reached, provisioned or used.
        MeasurementError : the runtime stopped early, or its journal cannot be used.
        """
        if not models:
            return {}
        what = job.measure_job(self._config, models, settings)
        folder = job.prepare(what, job_dir, models)
        done = self._do(what, folder, len(models), progress)
        done.forget()
        return {model.key: journal.outcome(done.state, model.key) for model in models}

    def profile(
        self, model: ModelFile, runs: int, job_dir: Path, progress: Progress
    ) -> OperatorProfile:
        """Time each operator of `model` over `runs` inferences, apart from any latency.

        Raises
        ------
        TargetError : the target cannot be reached, provisioned or used.
        MeasurementError : the engine offers no timing by operator, or the model does not run.
        """
        what = job.profile_job(self._config, model, runs)
        folder = job.prepare(what, job_dir, [model])
        done = self._do(what, folder, 1, progress)
        done.forget()
        return operators.profile_of(done.state, model.key, self.name)

    def infer(
        self,
        model: ModelFile,
        images: np.ndarray,
        preprocess: Preprocess | None,
        job_dir: Path,
        progress: Progress,
    ) -> Inference:
        """Run `model` on `images`; see `base.Target.infer`."""
        what = job.infer_job(self._config, model, images, preprocess)
        folder = job.prepare(what, job_dir, [model], images)
        done = self._do(what, folder, len(images), progress)
        outcome = journal.outcome(done.state, model.key)
        values = None
        if outcome.status == "ok":
            values = logits.read(done.state, done.fetch, len(images), self.name)
        done.forget()
        return Inference(outcome, values)
