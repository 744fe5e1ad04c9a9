"""Targets: machines that measure.

A member is a file with `create(config: TargetConfig, access: Access | None = None) -> Target`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from edgenas.core.progress import Progress
from edgenas.core.records import DeviceProfile, Outcome


@dataclass(frozen=True)
class ModelFile:
    """A model to send: `key` is file-name-safe and names it in journals and results.

    shapes : of inputs by name, where the file leaves a size open.
    """

    key: str
    path: Path
    sha256: str
    shapes: Mapping[str, tuple[int, ...]] | None = None


@dataclass(frozen=True)
class MeasureSettings:
    """The measuring protocol: interleaved passes in random order until intervals are narrow.

    run_ms, min_runs : a pass times a model for this long, and this often at least; later passes
        repeat the first one's number of runs, so that every pass weighs the same.
    relative_ci : half-width of the median's 95 % interval over the median at which a model is done.
    busy_tolerance, clock_tolerance, heat_tolerance : fractions beyond which a timing is rejected:
        of the time, in which others had the core; of the usual clock, by which its own differs; by
        which the anchor is slower in a warmer pass.
    energy_s : for which power is sampled after all passes, where there is a sensor; 0 for never.
    budget_s : device time after which measuring stops, whatever the intervals; the result says so.
    timeout_s : silence of the runtime after which a model counts as hanging.
    anchor : key of the model timed in every pass to normalise drift; None for none.
    """

    warmup_ms: float = 5.0
    run_ms: float = 15.0
    min_runs: int = 10
    min_passes: int = 6
    max_passes: int = 30
    relative_ci: float = 0.02
    busy_tolerance: float = 0.1
    clock_tolerance: float = 0.05
    heat_tolerance: float = 0.05
    energy_s: float = 60.0
    budget_s: float = 600.0
    timeout_s: float = 30.0
    anchor: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Preprocess:
    """From stored pixels to the model's input: (uint8 / 255 - mean) / std per channel, NCHW."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Inference:
    """A model's outputs on the target: logits float32 [n_images, n_classes], in image order."""

    outcome: Outcome
    logits: np.ndarray | None


class Target(Protocol):
    """A machine that can be probed and that measures and runs int8 models.

    name : how results call it. engine : runtime backend. scheme : int8 scheme, such as "s8s8".
    """

    name: str
    engine: str

    @property
    def scheme(self) -> str: ...

    def probe(self) -> DeviceProfile:
        """Look at the machine. Raises `TargetError` when it cannot be reached."""
        ...

    def clean(self) -> str:
        """Remove all that edgenas keeps on the target; return what was done, in words."""
        ...

    def measure(
        self,
        models: Sequence[ModelFile],
        settings: MeasureSettings,
        job_dir: Path,
        progress: Progress,
    ) -> dict[str, Outcome]:
        """Time the models; return an outcome for each key.

        `job_dir` keeps the journal: called again with the same models and settings after an
        interruption, it goes on where it stopped and reuses every finished pass.
        """
        ...

    def infer(
        self,
        model: ModelFile,
        images: np.ndarray,
        preprocess: Preprocess | None,
        job_dir: Path,
        progress: Progress,
    ) -> Inference:
        """Run `model` on images, uint8 [n, channels, height, width], one at a time.

        preprocess : None for float32 [n, …], which the model takes as it is.
        """
        ...
