"""How far a run's network is from its machine's limits, kept as models/NAME.roofline.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.core.records.roofline import Roofline
from edgenas.runs.models.int8_layers import shown

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext


def keep(context: RunContext, found: Roofline) -> None:
    """Keep what was found of the run's network; nothing of another file, target or engine."""
    model, target = shown(context), context.target
    if model is None or model.sha256 != found.sha256:
        return
    if (target.name, target.engine) == (found.roof.target, found.roof.engine):
        context.write(found, model.candidate.architecture.short_name)


def stored(context: RunContext) -> Roofline | None:
    """Return what was found of the network that the run shows; None where nothing was."""
    model = shown(context)
    if model is None:
        return None
    found = context.find(Roofline, model.candidate.architecture.short_name)
    return found if found is not None and found.sha256 == model.sha256 else None
