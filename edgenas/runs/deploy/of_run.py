"""A network as a folder that classifies images, without edgenas: the winner of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgenas.core.errors import InputError
from edgenas.core.progress import Progress
from edgenas.core.records import VerifiedModel
from edgenas.runs.deploy.deliver import place_of, put
from edgenas.runs.deploy.folder import (
    SELF_TEST_IMAGES,
    Application,
    Deployed,
    SelfTest,
    packed_images,
)
from edgenas.runs.models.exported import require_one_class
from edgenas.runs.models.fed import run_input
from edgenas.runs.models.parity_gate import reference_logits
from edgenas.runs.open import open_run
from edgenas.runs.run import RunContext
from edgenas.targets.config import Access


def deploy(path: Path, to: str, progress: Progress, access: Access | None = None) -> Deployed:
    """Write the winner of the run in `path` as an application to `to`, and test it there.

    to : see `deliver.place_of`.

    Raises
    ------
    InputError, RunFolderError, TargetError : see `deliver`. Others : see `_application`.
    """
    place = place_of(to)
    application = _application(path, progress, access)
    return put(application, place, access or Access(), progress)


def _application(path: Path, progress: Progress, access: Access | None) -> Application:
    """Return the winner of the run in `path` as an application.

    Raises
    ------
    InputError : no candidate passed, or the run is of a measured table or of images that may have
        several classes.
    NotVerifiedError : something is newer than the verification.
    """
    with open_run(path, {}, progress, resume=True, create=False, access=access) as context:
        winner, reservations = _verified_winner(context)
        model, outcome = winner.model, winner.outcome
        return Application(
            format=model.format,
            content=(context.folder.models / model.int8_file).read_bytes(),
            engine=outcome.engine,
            engine_version=outcome.engine_version,
            threads=outcome.environment.get("threads", 1),
            input=run_input(context, model),
            network=str(model.candidate.architecture),
            class_names=model.class_names,
            verified={
                "target": context.target.name,
                "engine_version": outcome.engine_version,
                "accuracy": winner.device_accuracy,
                "n_images": winner.n_images,
                "median_ms": outcome.latency.median_ms if outcome.latency else None,
            },
            self_test=_self_test(context, winner),
            reservations=reservations,
        )


def _verified_winner(context: RunContext) -> tuple[VerifiedModel, tuple[str, ...]]:
    if "export" not in context.source.steps:
        raise InputError(
            f"{context.folder.path} searched a measured table, which has no networks to run."
        )
    require_one_class(context)
    winner = context.verified_winner()
    if winner.parity is None:
        raise InputError(
            f"The winner of {context.folder.path} was not compared with its reference.",
            f"Verify it again: edgenas verify {context.folder.path}",
        )
    return winner, tuple(context.verdict().reservations)


def _self_test(context: RunContext, winner: VerifiedModel) -> SelfTest:
    """Return validation images, one a class as far as there are, and their logits.

    The logits are those of the integer reference, which the target was held against.
    """
    parity = winner.parity
    assert parity is not None  # `_verified_winner` saw to it
    split = context.dataset.val
    first = [int(np.flatnonzero(split.labels == label)[0]) for label in np.unique(split.labels)]
    chosen = (first + [n for n in range(len(split)) if n not in first])[:SELF_TEST_IMAGES]
    packed = split.take(np.array(chosen, np.int64))
    size = run_input(context, winner.model).size
    logits = reference_logits(context, winner.model, packed.resized(size))
    return SelfTest(
        packed_images(packed.images, packed.files),
        logits,
        parity.scale,
        parity.most_mean_steps,
        parity.reason,
    )
