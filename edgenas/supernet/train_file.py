"""Train a supernet outside a run: the work of `edgenas train -o FILE`."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgenas.core.errors import DataError, InputError
from edgenas.core.files.lock import locked_file
from edgenas.core.files.outputs import claim, is_there
from edgenas.core.progress import Progress, Silent
from edgenas.core.records import Fit
from edgenas.spaces import files as space_files
from edgenas.supernet.packages.package import metadata

CHECKPOINT_SUFFIX = ".checkpoint"


def train(  # noqa: PLR0917 - where to, from what, how
    output: Path,
    data: str,
    space: str,
    augmentation: str,
    chosen: dict[str, Any],
    progress: Progress,
    resume: bool,
    fit: Fit = "crop",
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train a supernet and write it to `output`; return the JSON document of `edgenas train`.

    data, space, fit : as of --data, --space and --fit. chosen : fields of `TrainSettings` that the
    user gave. overwrite : a file that is there already is replaced.
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
        there = _claimed(output, overwrite)
        if checkpoint.exists() and not resume:
            raise InputError(
                f"{checkpoint} holds an interrupted training.",
                "Go on with --resume, or remove it to start again.",
            )
        dataset = base.load(
            data,
            seed=chosen.get("seed", 0),
            progress=progress,
            fit=fit,
            class_names=_begun_with(checkpoint, fit),
        )
        created = space_files.find(space).create(
            len(dataset.class_names), len(dataset.mean), dataset.image_size
        )
        if dataset.excerpt_of:
            raise DataError(f"{data} has too few images to train on.", "Name all with --data.")
        settings = default_settings(dataset, augmentation, **chosen)
        report = trained(created, dataset, settings, checkpoint, there, progress, watch=True)
        if not first:
            return {}
        checkpoint.unlink(missing_ok=True)
    return {
        "supernet": str(output),
        "sha256": hashlib.sha256(output.read_bytes()).hexdigest(),
        "bytes": output.stat().st_size,
        "data": data,
        "fit": fit,
        "space": space,
        "settings": asdict(settings),
        "report": asdict(report),
        "n_train": len(dataset.train),
        "n_val": len(dataset.val),
    }


def _begun_with(checkpoint: Path, fit: Fit) -> tuple[str, ...]:
    """Return the classes of an interrupted training in their order, () if there is none.

    Raises
    ------
    InputError : it was begun with another `fit`.
    """
    if not checkpoint.exists():
        return ()
    about = metadata(checkpoint)
    before = about.get("fit", "crop")
    if before != fit:
        raise InputError(
            f"{checkpoint} was trained with --fit {before}, not {fit}.",
            f"Go on with --fit {before}, or remove it to start again.",
        )
    return tuple(about.get("class_names", ()))


def _claimed(output: Path, overwrite: bool) -> Path:
    """Return where the supernet is written to; one that took hours is not replaced unasked."""
    there = claim(output, "-o", lambda path: True)
    if is_there(output) and not overwrite:
        raise InputError(
            f"{output} exists already.",
            "Choose another file with -o, or replace it with --overwrite.",
        )
    return there
