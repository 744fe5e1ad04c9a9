"""A network that the user trained, grown in a run of its own whose smallest network it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.core.errors import InfeasibleError
from edgenas.core.progress import Progress
from edgenas.runs import search
from edgenas.runs.growing import grow as growing
from edgenas.runs.open import open_run
from edgenas.runs.own_models import shrink as importing
from edgenas.runs.own_models.data import Preprocessing
from edgenas.runs.own_models.quantize import input_shape

if TYPE_CHECKING:
    from edgenas.targets.config import Access


def begin(
    model: Path,
    run: Path,
    asked: Mapping[str, Any],
    progress: Progress,
    access: Access | None,
    *,
    preprocessing: Mapping[str, Any],
    shape: str | None,
) -> None:
    """Import the float ONNX file `model` into the new run folder `run`, and measure its space.

    asked : the options of a run, without space and supernet, which are the model's.
    preprocessing : of `Preprocessing`.

    Raises
    ------
    InputError : the file cannot be used, or none of its blocks can be wider.
    InfeasibleError : the network takes longer than the limit before it grows.
    """
    how = Preprocessing(**preprocessing)
    began = importing.begin(model, run, how, input_shape(shape), progress, purpose="grown")
    search.run_step("measure", run, {**asked, **began}, progress, access)
    _refuse_slow(run, progress, access)


def grow(
    run: Path,
    progress: Progress,
    access: Access | None,
    *,
    epochs: int | None,
    time_s: float | None,
) -> dict[str, Any]:
    """Search in the run's space, then grow the imported network; return the document of `grow`.

    epochs : of the supernet, and of each way. time_s : for all; half of it is for the supernet.
    """
    half_s = None if time_s is None else time_s / 2
    chosen = {"epochs": epochs, "time_s": half_s}
    given = {name: value for name, value in chosen.items() if value is not None}
    search.search(run, given, progress, resume=True, access=access)
    return growing.grow(run, {}, progress, access, start="imported", epochs=epochs, time_s=half_s)


def _refuse_slow(run: Path, progress: Progress, access: Access | None) -> None:
    with open_run(run, {}, progress, resume=True, create=False, access=access) as context:
        limit = context.config.limits().get("latency_ms")
        took = context.latencies().get(context.space.smallest())
        if limit is None or limit.at_most is None or took is None:
            return
        if took[0] > limit.at_most:
            kind = context.config.known["latency_ms"]
            raise InfeasibleError(
                f"The network takes {kind.shown(took[0])} before it grows, which is more than "
                f"the limit of {kind.shown(limit.at_most)}.",
                "Ask for more, or make it smaller: edgenas shrink MODEL.onnx",
            )
