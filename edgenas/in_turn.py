"""Several boards at once: the boards work side by side, the host works for one at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgenas.progress import Progress
from edgenas.records import DeviceProfile, Outcome
from edgenas.targets.base import Inference, MeasureSettings, ModelFile, Preprocess, Target


class InTurn:
    """A target that passes the turn on while it works, so that other boards are worked for.

    The steps are not made for several threads (plots, warnings and random numbers have state that
    is shared): only one holds the turn at a time.
    """

    def __init__(self, target: Target, turn: threading.Lock) -> None:
        self.name = target.name
        self.engine = target.engine
        self._target = target
        self._turn = turn

    @property
    def scheme(self) -> str:
        return self._target.scheme

    def probe(self) -> DeviceProfile:
        with self._passed_on():
            return self._target.probe()

    def clean(self) -> str:
        with self._passed_on():
            return self._target.clean()

    def measure(
        self,
        models: Sequence[ModelFile],
        settings: MeasureSettings,
        job_dir: Path,
        progress: Progress,
    ) -> dict[str, Outcome]:
        with self._passed_on():
            return self._target.measure(models, settings, job_dir, progress)

    def infer(
        self,
        model: ModelFile,
        images: np.ndarray,
        preprocess: Preprocess,
        job_dir: Path,
        progress: Progress,
    ) -> Inference:
        with self._passed_on():
            return self._target.infer(model, images, preprocess, job_dir, progress)

    @contextlib.contextmanager
    def _passed_on(self) -> Iterator[None]:
        self._turn.release()
        try:
            yield
        finally:
            self._turn.acquire()
