"""What a run's frontier gives for every latency limit, so that a page can answer without a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from edgenas.core.records import Architecture, Int8Layers, Layer
from edgenas.core.records.goals import Limit
from edgenas.reporting.document import (
    BudgetChoice,
    Budgets,
    DrawnBlock,
    DrawnNetwork,
    MarginalEffect,
)
from edgenas.runs.frontier.choice import reason
from edgenas.runs.frontier.pick import pick
from edgenas.runs.frontier.stored import Front, FrontPoint
from edgenas.spaces.base import MobileSpace

MOST_DRAWN = 40  # networks that the page can draw


def budgets(
    front: Front,
    response: str,
    winner: str,
    changes: Callable[[FrontPoint], Sequence[str]],
    limit: float | None,
) -> Budgets | None:
    """Return what `pick` gives for every limit on a response, None where that is not predicted.

    What it gives changes only at the limits where another network's bound is within, so that the
    answers at these are those of every limit.

    response : less of it is better. winner : what the others are compared with. changes : what a
    network has otherwise than the winner, in words. limit : the run's own.
    """
    points = (*front.points, *front.proposed)
    bounds = {point.predicted[response].upper for point in points if response in point.predicted}
    if response not in front.points[0].predicted:
        return None
    choices: list[BudgetChoice] = []
    for bound in sorted(bounds):
        picked = pick(front, {response: Limit(response, at_most=bound)})
        name, told = picked.point.name, (bound, reason(front, picked.choice))
        if choices and choices[-1].network == name:
            choices[-1] = replace(choices[-1], reasons=(*choices[-1].reasons, told))
            continue
        choices.append(
            BudgetChoice(
                bound,
                name,
                dict(picked.point.predicted),
                picked.measured.get(response),
                name in front.passed,
                (told,),
                tuple(changes(picked.point)),
            )
        )
    kinds = {name: front.known[name] for name in front.points[0].predicted}
    run = str(front.run)
    return Budgets(run, response, kinds, winner, limit, tuple(choices), front.how)


def drawn_networks(
    space: MobileSpace,
    wanted: Sequence[tuple[str, Architecture]],
    breakdown: Iterable[MarginalEffect] = (),
    int8: Int8Layers | None = None,
) -> tuple[DrawnNetwork, ...]:
    """Return networks as blocks, each once; the first is the winner if its role says so.

    wanted : role and architecture. breakdown : what each stage of the winner adds to its latency.
    int8 : what int8 costs its layers.
    """
    found: dict[str, DrawnNetwork] = {}
    for role, architecture in wanted:
        name = str(architecture)
        if name in found or len(found) == MOST_DRAWN:
            continue
        is_winner = role == "winner"
        stages = {one.change: one.effect for one in breakdown} if is_winner else {}
        noise = int8.noise_shares if is_winner and int8 is not None else {}
        blocks = _blocks(space.layers(architecture), stages, noise)
        found[name] = DrawnNetwork(name, role, blocks)
    return tuple(found.values())


def _blocks(
    layers: Sequence[Layer], stages: dict[str, float], noise: dict[str, float]
) -> tuple[DrawnBlock, ...]:
    grouped: dict[tuple[int, int, str], list[Layer]] = {}
    for layer in layers:
        inside = layer.stage >= 0
        place = (layer.stage, layer.block, "" if inside else layer.name)
        grouped.setdefault(place, []).append(layer)
    of_stage: dict[int, int] = {}
    for layer in layers:
        of_stage[layer.stage] = of_stage.get(layer.stage, 0) + layer.macs
    blocks = []
    for (stage, block, name), parts in grouped.items():
        macs = sum(layer.macs for layer in parts)
        adds = stages.get(f"stage {stage + 1}")
        known = [noise[layer.name] for layer in parts if layer.name in noise]
        blocks.append(
            DrawnBlock(
                name or f"stage {stage + 1}, block {block + 1}",
                stage,
                (parts[0].in_channels, *(layer.out_channels for layer in parts)),
                max(layer.kernel_size for layer in parts),
                parts[-1].out_size,
                macs,
                sum(layer.params for layer in parts),
                sum(known) if known else None,
                None if adds is None or not macs else adds * macs / of_stage[stage],
            )
        )
    return tuple(blocks)
