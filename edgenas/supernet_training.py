"""Train a supernet outside a run: the work of `edgenas train -o FILE`."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgenas import plugins
from edgenas.errors import DataError, InputError
from edgenas.open_run import locked_file
from edgenas.progress import Progress, Silent

CHECKPOINT_SUFFIX = ".checkpoint"


def train(  # noqa: PLR0917 - where to, from what, how
    output: Path,
    data: str,
    space: str,
    augmentation: str,
    chosen: dict[str, Any],
    progress: Progress,
    resume: bool,
) -> dict[str, Any]:
    """Train a supernet and write it to `output`; return the JSON document of `edgenas train`.

    data, space : as of --data and --space. chosen : fields of `TrainSettings` that the user gave.
    Under `torchrun` only the first process writes and reports; the others return {}.
    The checkpoint is `output` with ".checkpoint" added; it goes when the supernet is written.

    Raises
    ------
    InputError : `output` is there already, or an interrupted training without `resume`.
    """
    from edgenas.data import base
    from edgenas.supernet.parallel import started_here
    from edgenas.supernet.settings import default_settings
    from edgenas.supernet.train import train as trained

    checkpoint = output.with_name(output.name + CHECKPOINT_SUFFIX)
    first = started_here()
    lock = output.with_name(f".{output.name}.lock")
    with locked_file(lock, output, "-o") if first else contextlib.nullcontext():
        progress = progress if first else Silent()
        _require_free(output, checkpoint, resume)
        dataset = base.load(data, seed=chosen.get("seed", 0), progress=progress)
        created = plugins.load("spaces", space).create(
            len(dataset.class_names), len(dataset.mean), dataset.image_size
        )
        if dataset.excerpt_of:
            raise DataError(f"{data} has too few images to train on.", "Name all with --data.")
        settings = default_settings(dataset, augmentation, **chosen)
        report = trained(created, dataset, settings, checkpoint, output, progress, watch=True)
        if not first:
            return {}
        checkpoint.unlink(missing_ok=True)
    return {
        "supernet": str(output),
        "sha256": hashlib.sha256(output.read_bytes()).hexdigest(),
        "bytes": output.stat().st_size,
        "data": data,
        "space": space,
        "settings": asdict(settings),
        "report": asdict(report),
        "n_train": len(dataset.train),
        "n_val": len(dataset.val),
    }


def _require_free(output: Path, checkpoint: Path, resume: bool) -> None:
    if output.exists():
        raise InputError(f"{output} exists already.", "Choose another file with -o, or remove it.")
    if checkpoint.exists() and not resume:
        raise InputError(
            f"{checkpoint} holds an interrupted training.",
            "Go on with --resume, or remove it to start again.",
        )
