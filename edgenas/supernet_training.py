"""Train a supernet outside a run: the work of `edgenas train -o FILE`."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgenas import plugins
from edgenas.errors import InputError
from edgenas.open_run import locked_file
from edgenas.progress import Progress

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
    The checkpoint is `output` with ".checkpoint" added; it goes when the supernet is written.

    Raises
    ------
    InputError : `output` is there already, or an interrupted training without `resume`.
    """
    from edgenas.data import base
    from edgenas.supernet.settings import default_settings
    from edgenas.supernet.train import train as trained

    checkpoint = output.with_name(output.name + CHECKPOINT_SUFFIX)
    with locked_file(output.with_name(f".{output.name}.lock"), output, "-o"):
        _require_free(output, checkpoint, resume)
        dataset = base.load(data, seed=chosen.get("seed", 0), progress=progress)
        created = plugins.load("spaces", space).create(
            len(dataset.class_names), len(dataset.mean), dataset.image_size
        )
        settings = default_settings(dataset, augmentation, **chosen)
        report = trained(created, dataset, settings, checkpoint, output, progress, watch=True)
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
