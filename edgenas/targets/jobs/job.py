"""Job folders: what a target sends to the runtime, by name and content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from device_runtime import protocol
from edgenas.core.errors import InputError, RunFolderError
from edgenas.core.files.regular import require_regular
from edgenas.core.files.run_folder import write_bytes
from edgenas.targets.base import MeasureSettings, ModelFile, Preprocess
from edgenas.targets.config import TargetConfig


def measure_job(
    config: TargetConfig, models: Sequence[ModelFile], settings: MeasureSettings
) -> protocol.Job:
    """Return the job that times `models`; `InputError` if settings or keys cannot be right."""
    return _job(config, "measure", models, config.settings(settings), None)


def infer_job(
    config: TargetConfig, model: ModelFile, images: np.ndarray, preprocess: Preprocess | None
) -> protocol.Job:
    """Return the job that runs `model` on `images`, uint8 [n, channels, height, width].

    preprocess : None for float32 [n, …], which the model takes as it is.
    """
    if preprocess is None:
        if images.dtype != np.float32 or images.ndim < 2 or len(images) == 0:
            raise InputError(f"Inputs must be float32 [n, …], not {images.dtype} {images.shape}.")
    elif images.dtype != np.uint8 or images.ndim != 4 or len(images) == 0:
        raise InputError(f"Images must be uint8 [n, channels, height, width], not {images.shape}.")
    digest = _Sha256Writer()
    np.save(digest, images, allow_pickle=False)
    how = preprocess or Preprocess((), ())
    sent = protocol.Images(digest.hexdigest(), how.mean, how.std)
    return _job(config, "infer", [model], config.settings(MeasureSettings()), sent)


def profile_job(config: TargetConfig, model: ModelFile, runs: int) -> protocol.Job:
    """Return the job that times each operator of `model` over `runs` inferences."""
    settings = replace(config.settings(MeasureSettings()), min_runs=runs)
    return _job(config, "profile", [model], settings, None)


def _job(
    config: TargetConfig,
    kind: str,
    models: Sequence[ModelFile],
    settings: MeasureSettings,
    images: protocol.Images | None,
) -> protocol.Job:
    try:
        written = protocol.Job(
            version=protocol.VERSION,
            kind=kind,
            engine=config.engine,
            threads=config.threads,
            affinity=config.affinity,
            models=tuple(_job_model(model) for model in models),
            settings=protocol.Settings(**asdict(settings)),
            images=images,
        )
        return protocol.parse_job(written.to_json())  # as the runtime reads it: 1 becomes 1.0
    except protocol.ProtocolError as problem:
        raise InputError(
            f"Target '{config.name}' cannot be given this job: {problem}."
        ) from problem


def _job_model(model: ModelFile) -> protocol.JobModel:
    shapes = None if not model.shapes else dict(model.shapes)
    return protocol.JobModel(model.key, model.sha256, shapes)


def prepare(
    job: protocol.Job, job_dir: Path, models: Sequence[ModelFile], images: np.ndarray | None = None
) -> Path:
    """Write the folder of `job` below `job_dir` and return it; the same job has the same folder.

    Raises
    ------
    RunFolderError : the folder cannot be written. InputError : a model cannot be read.
    """
    folder = job_dir / f"{job.kind}-{job.job_id[:16]}"
    for model in models:
        _place(model.path, folder / protocol.MODELS_FOLDER / model.key)
    if images is not None:
        _write_array(folder / protocol.IMAGES_FILE, images)
    write_bytes(folder / protocol.JOB_FILE, job.to_json().encode())
    return folder


def _place(source: Path, path: Path) -> None:
    """Hard-link a model into the folder, or copy it where links cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.unlink(missing_ok=True)
        os.link(source, part)
        part.replace(path)
        part.unlink(missing_ok=True)  # replacing a link to the same file leaves it
    except OSError:
        write_bytes(path, _read(source))


def _read(path: Path) -> bytes:
    require_regular(path)
    try:
        return path.read_bytes()
    except OSError as problem:
        raise InputError(f"Cannot read the model {path}: {problem.strerror}.") from problem


def _write_array(path: Path, values: np.ndarray) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream:
            np.save(stream, values, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as problem:
        part.unlink(missing_ok=True)
        raise RunFolderError(
            f"Cannot write {path}: {problem.strerror}.", "Free some space, then run with --resume."
        ) from problem


class _Sha256Writer:
    """A file object that only hashes."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def write(self, content: Any) -> int:
        self._hash.update(content)
        return len(content)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
