"""The predictors that a search used, kept beside its result so that a later fit changes none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from edgenas.core.files.run_folder import RunFolder, write_bytes
from edgenas.core.metrics import REGISTRY
from edgenas.core.records import PredictedBy

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext


def keep(context: RunContext) -> PredictedBy:
    """Copy the run's predictors, each to the name of its content; return what they are."""
    folder, hashes = context.folder, {}
    for response in REGISTRY:
        path = folder.predictor(response)
        if path.exists():
            content = path.read_bytes()
            hashes[response] = hashlib.sha256(content).hexdigest()
            write_bytes(folder.kept_predictor(hashes[response]), content)
    return PredictedBy(context.config.space, *context.space_arguments, hashes)


def drop_others(folder: RunFolder, used: Iterable[PredictedBy | None]) -> None:
    """Remove the kept predictors that nothing in `used` names."""
    named = {sha256 for one in used if one is not None for sha256 in one.predictors.values()}
    for path in folder.kept_predictors.glob("*.json"):
        if path.stem not in named:
            path.unlink()
