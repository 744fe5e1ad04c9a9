"""The pre-check in a run: what the engine will not compute in int8, said before it is measured."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from typing import TYPE_CHECKING

from edgenas.core.errors import ExportError
from edgenas.core.records import Outcome
from edgenas.int8.engines.float_islands import float_islands
from edgenas.int8.engines.precheck import Obstacle, check_provider, precheck
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.runs.models.latency import latency_model

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext

# What no figure could mend; the other effects cost time, or a step of the user, and are warned of.
_REFUSED = ("float", "refused")


def check_engine(context: RunContext) -> None:
    """Look at the smallest, the largest and the anchor before the target is asked for anything.

    Raises
    ------
    ExportError : layers would be computed in float, or the engine would not load the model; names
        the layers and the remedy.
    """
    if context.pipeline is not None:
        return  # its networks run in float where they must: that they are right is what counts
    machine = context.probed_machine()
    found: dict[str, list[Obstacle]] = {}
    for architecture in context.sampled(3):
        layers = context.space.layers(architecture)
        graph = lower(layers, random_state(layers, context.config.seed))
        for obstacle in precheck(graph, context.target.engine, context.target.scheme, machine):
            found.setdefault(obstacle.problem, []).append(obstacle)
    if not found and context.target.engine == "onnxruntime" and machine == platform.machine():
        found = _islands(context)
    for same in found.values():
        if same[0].effect in _REFUSED:
            raise ExportError(_sentence(context, same), same[0].remedy)
        context.progress.warning(f"{_sentence(context, same)} {same[0].remedy}")


def warn_of_fallback(context: RunContext, outcomes: Iterable[Outcome]) -> None:
    """Warn, once, if the engine says that something else than it should be ran a model."""
    for provider in dict.fromkeys(one.provider for one in outcomes if _ran(one)):
        obstacle = check_provider(context.target.engine, provider)
        if obstacle is not None:
            context.progress.warning(f"{obstacle.problem}. {obstacle.remedy}")
            return


def _ran(outcome: Outcome) -> bool:
    return outcome.status == "ok" and not outcome.estimated


def _islands(context: RunContext) -> dict[str, list[Obstacle]]:
    """Return the layers that this computer's engine, of the target's kind, computes in float."""
    model = latency_model(context, context.space.largest())
    problem = "onnxruntime leaves it in float in the graph that it optimized on this kind of CPU"
    remedy = "Use another scheme in the target file, or another engine: --engine litert."
    source = "the optimized graph of this computer's onnxruntime"
    islands = [
        Obstacle(layer, "float", problem, remedy, source)
        for layer in float_islands(model.path.read_bytes())
    ]
    return {problem: islands} if islands else {}


def _sentence(context: RunContext, same: list[Obstacle]) -> str:
    target = context.target
    layers = list(dict.fromkeys(obstacle.layer for obstacle in same if obstacle.layer))
    named = ", ".join(layers[:3]) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")
    where = f" at {named}" if named else ""
    return (
        f"Pre-check of '{context.config.space}' on '{target.name}' ({target.engine}, "
        f"{target.scheme}){where}: {same[0].problem}."
    )
