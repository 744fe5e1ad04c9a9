"""Where a model's time goes on a target: a run's deployable model, or any model file."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from edgenas.core.errors import InputError
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.progress import Progress
from edgenas.core.records import OperatorProfile
from edgenas.runs.config import read_config
from edgenas.runs.run import RunContext
from edgenas.targets.base import ModelFile
from edgenas.targets.config import Access, resolve
from edgenas.targets.jobs.job_target import JobTarget

_ENGINES = {".onnx": "onnxruntime", ".tflite": "litert"}


def profile(
    what: Path,
    target: str | None,
    runs: int,
    access: Access,
    progress: Progress,
    *,
    engine: str | None = None,
) -> OperatorProfile:
    """Return the time of each operator of `what`, a run folder or a model file.

    Of a run it is the int8 model that passed, or else the first candidate's, on the run's target
    and engine unless others are named; of a file, in an engine that takes such files.

    Raises
    ------
    InputError : there is no such model, or the target runs none.
    MeasurementError : the engine offers no timing by operator, or the model does not run.
    """
    path, usual, usual_engine = deployable(what, progress)
    if engine is None and target is None:
        engine = usual_engine
    machine = resolve(target or usual, access, engine=engine)
    if not isinstance(machine, JobTarget):
        raise InputError(f"Target '{machine.name}' runs no models, so it has no operators to time.")
    wanted = ".onnx" if machine.engine in ("onnxruntime", "tensorrt") else ".tflite"
    if path.suffix != wanted:
        raise InputError(
            f"The engine {machine.engine} of target '{machine.name}' runs {wanted} files, not "
            f"{path.name}.",
            f"Name an engine that does: --engine {_ENGINES[path.suffix]}.",
        )
    content = path.read_bytes()
    key = re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem).lstrip(".-")[:100] or "model"
    model = ModelFile(key, path, hashlib.sha256(content).hexdigest())
    with tempfile.TemporaryDirectory() as folder:
        return machine.profile(model, runs, Path(folder), progress)


def deployable(what: Path, progress: Progress) -> tuple[Path, str, str | None]:
    """Return the file of a run's model or a model file, and where it runs if nothing is named.

    That is its target and its engine.

    Raises
    ------
    InputError : there is no such model.
    """
    if what.is_dir():
        folder = RunFolder(what)
        context = RunContext(folder, read_config(folder), progress)
        models = context.exported_models()
        if (winner := context.winner()) is not None:
            models = [winner.model]
        return folder.models / models[0].int8_file, context.config.target, context.config.engine
    if what.suffix not in _ENGINES or not what.is_file():
        raise InputError(
            f"There is no run folder and no model {what}.",
            f"Name a run folder, or a file that ends in {' or '.join(_ENGINES)}.",
        )
    return what, "local", None if what.suffix == ".onnx" else _ENGINES[what.suffix]
