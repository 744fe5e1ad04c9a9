"""Where a model's time goes on a target: a run's deployable model, or any model file."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from edgenas.config import read_config
from edgenas.errors import InputError
from edgenas.progress import Progress
from edgenas.records import OperatorProfile
from edgenas.run_context import RunContext
from edgenas.run_folder import RunFolder
from edgenas.targets.base import ModelFile
from edgenas.targets.config import Access, resolve
from edgenas.targets.job_target import JobTarget

_MODELS = (".onnx", ".tflite")


def profile(
    what: Path, target: str | None, runs: int, access: Access, progress: Progress
) -> OperatorProfile:
    """Return the time of each operator of `what`, a run folder or a model file.

    Of a run it is the int8 model that passed, or else the first candidate's, on the run's target
    unless another is named.

    Raises
    ------
    InputError : there is no such model, or the target runs none.
    MeasurementError : the engine offers no timing by operator, or the model does not run.
    """
    path, usual = _model(what, progress)
    machine = resolve(target or usual, access)
    if not isinstance(machine, JobTarget):
        raise InputError(f"Target '{machine.name}' runs no models, so it has no operators to time.")
    wanted = ".onnx" if machine.engine in ("onnxruntime", "tensorrt") else ".tflite"
    if path.suffix != wanted:
        raise InputError(
            f"The engine {machine.engine} of target '{machine.name}' runs {wanted} files, not "
            f"{path.name}.",
            "Name a target whose engine fits, or the other file.",
        )
    content = path.read_bytes()
    key = re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem).lstrip(".-")[:100] or "model"
    model = ModelFile(key, path, hashlib.sha256(content).hexdigest())
    with tempfile.TemporaryDirectory() as folder:
        return machine.profile(model, runs, Path(folder), progress)


def _model(what: Path, progress: Progress) -> tuple[Path, str]:
    """Return the model's file, and the target on which it runs if none is named."""
    if what.is_dir():
        folder = RunFolder(what)
        context = RunContext(folder, read_config(folder), progress)
        models = context.exported_models()
        if folder.verification.exists() and (winner := context.verified().winner) is not None:
            models = [winner.model]
        return folder.models / models[0].int8_file, context.config.target
    if what.suffix not in _MODELS or not what.is_file():
        raise InputError(
            f"There is no run folder and no model {what}.",
            f"Name a run folder, or a file that ends in {' or '.join(_MODELS)}.",
        )
    return what, "local"
