"""Grow a run's network towards its limits, hold that against other ways, export the best."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.core.counted import counted
from edgenas.core.errors import DataError, InfeasibleError, InputError, PredictorError
from edgenas.core.goals import parse_constraint
from edgenas.core.progress import Progress
from edgenas.core.records import Answers, Architecture, Limit, to_json
from edgenas.core.records.growth import Contender, Growth, GrowthRound, Start, Way
from edgenas.optimize.growth import most_valuable, widest_scaled
from edgenas.optimize.layout import Predictors
from edgenas.predictors.base import Additive
from edgenas.runs import search
from edgenas.runs.growing import grown
from edgenas.runs.open import open_run
from edgenas.runs.run import RunContext
from edgenas.spaces.hidden_blocks import hidden_blocks
from edgenas.spaces.imported import ImportedSpace
from edgenas.spaces.resizing import scaled, wider

if TYPE_CHECKING:
    from edgenas.runs.growing.rounds import Growing
    from edgenas.supernet.blocks import Subnet
    from edgenas.supernet.network import Supernet
    from edgenas.supernet.settings import TrainSettings
    from edgenas.targets.config import Access

PRUNED_FROM = 2.0  # times the channels of the grown network
TRAININGS = 4.5  # what all ways take, in trainings of the uniform network


def grow(
    path: Path,
    asked: Mapping[str, Any],
    progress: Progress,
    access: Access | None = None,
    *,
    start: Start = "winner",
    epochs: int | None = None,
    time_s: float | None = None,
) -> dict[str, Any]:
    """Grow a network of the run `path`, and export and verify the best of all ways.

    asked : `max_latency_ms` and `max_energy_mj`, None for the run's own limits. start : what
    grows, the verified winner, the smallest network of the space, or the network that the run
    imported, with its own weights. epochs : of each way; by
    default those of a training on so many images, or as many as fit in `time_s`.

    The document is that of a search, with `growth`.

    Raises
    ------
    InputError : the run has no winner, the network cannot grow, or the limits say nothing.
    NotVerifiedError : something is newer than the winner. InfeasibleError : the limits are below
    what the network takes, or what it would at the least.
    """
    with open_run(path, {}, progress, resume=True, create=False, access=access) as context:
        seed = _seed(context, start)
        options = _options(context, asked)
        limits = _limits(context, options)
        _check(context, seed, start, limits)
        began, said = time.perf_counter(), len(progress.warnings)
        supernet = context.supernet()
        growing = _growing(context, seed, limits, _recipe(context, start, epochs), time_s)
        growth, best = _compared(context, growing, supernet, seed, start)
        if best is not None:
            grown.save(context, best, growth.best.network)
        context.settle(**options)
        context.write(growth)
        for sentence in sentences(growth):
            progress.message(sentence)
        context.note("grow", time.perf_counter() - began, progress.warnings[said:])
        document = search.conclude(context, added=1)
        return {**document, "growth": {**to_json(growth), "says": list(sentences(growth))}}


def sentences(growth: Growth) -> tuple[str, ...]:
    """Return what came of growing, in words: which way is kept, and how the others did."""
    best = growth.best
    others = ", ".join(
        f"{one.way} {one.answers.accuracy:.2%}" for one in growth.contenders if one is not best
    )
    n = best.answers.n_images
    said = [f"Best on {n:,} validation images: {best.way}, {best.answers.accuracy:.2%} ({others})."]
    alike = [
        one.way
        for one in growth.contenders
        if one is not best and not best.answers.measurably_ahead_of(one.answers)
    ]
    if alike:
        said.append(f"Not measurably behind: {', '.join(alike)}.")
    if growth.kept not in ("grown", "unchanged"):
        said.append("Growing did not pay here: what is exported was not grown.")
    if growth.kept == "unchanged":
        said.append("Nothing is better than the network that was there: it stays.")
    return tuple(said)


def _seed(context: RunContext, start: Start) -> Architecture:
    if "export" not in context.source.steps:
        raise InputError(
            "A measured table has no networks to grow: it has neither weights nor images.",
            "Grow a network of a run on a board or on this machine.",
        )
    if start == "imported" and not _is_own(context):
        raise InputError(
            f"{context.folder.path} has no imported network that can grow.",
            "Grow one of your own: edgenas grow MODEL.onnx --data imagefolder:DIR",
        )
    if start != "winner":
        return context.space.smallest()
    network: Architecture = context.verified_winner().model.candidate.architecture
    return network


def _is_own(context: RunContext) -> bool:
    """Whether the run's smallest network is one that it imported to grow it."""
    return isinstance(context.space, ImportedSpace) and context.space.widens


def _options(context: RunContext, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the run that the limits asked for change."""
    options: dict[str, Any] = {}
    if (most_ms := asked.get("max_latency_ms")) is not None:
        if not most_ms > 0:
            raise InputError("--max-latency must be above 0 ms.")
        options["max_latency_ms"] = most_ms
    if (most_mj := asked.get("max_energy_mj")) is not None:
        if not most_mj > 0:
            raise InputError("--max-energy must be above 0 mJ.")
        known = context.config.known
        others = [
            text
            for text in context.config.constraints
            if parse_constraint(text, known).response != "energy_mj"
        ]
        options["constraints"] = (*others, f"energy_mj<={most_mj:g}mJ")
    return options


def _limits(context: RunContext, options: Mapping[str, Any]) -> dict[str, Limit]:
    limits = {limit.response: limit for limit in context.search_result().limits}
    limits |= replace(context.config, **options).limits()
    if not any(limit.at_most is not None for limit in limits.values()):
        raise InputError(
            "Nothing says how far the network may grow.", "Give a limit: --max-latency 2ms"
        )
    return limits


def _check(
    context: RunContext, seed: Architecture, start: Start, limits: Mapping[str, Limit]
) -> None:
    """Refuse, before anything is trained, what cannot be grown; images, which take long, last."""
    space = context.space
    if isinstance(space, ImportedSpace) and not space.widens:
        raise InputError(
            f"'{space.name}' is your own network to be shrunk, which has all of its channels "
            "already: there is nothing to split.",
            f"Ask for a larger part of it: edgenas pick {context.folder.path} --max-latency 2ms; "
            "or for more channels: edgenas grow MODEL.onnx",
        )
    if context.pipeline is not None:
        raise InputError(
            f"'{context.target.name}' is an FPGA, where the folding of all layers says what one "
            "more channel takes: no cost of it alone is known to grow by.",
            "Let a search choose the widths: edgenas search --space mbv3-tiny-free.",
        )
    predictors = context.predictors()
    if not hidden_blocks(space.layers(seed)):
        raise InputError(
            f"The blocks of '{space.name}' have no hidden channels with batch norm to split.",
            "Search a space of inverted bottlenecks, such as --space mbv3-tiny-free.",
        )
    for name, limit in limits.items():
        kind = context.config.known[name]
        if kind.counted is None and not isinstance(predictors.fitted.get(name), Additive):
            raise PredictorError(
                f"What a channel costs in {kind.label} is not known: it has no linear predictor.",
                f"Measure it, and fit again with --predictor regression: edgenas fit "
                f"{context.folder.path}",
            )
        (candidate,) = predictors.candidates([seed])
        bounds = candidate[name]
        if limit.at_most is not None and bounds.upper > limit.at_most:
            instead = " Or grow the smallest network: --from smallest." if start == "winner" else ""
            if _is_own(context):
                instead = " Or make the network smaller: edgenas shrink MODEL.onnx"
            raise InfeasibleError(
                f"The limit of {kind.shown(limit.at_most)} on {kind.label} is below what the "
                f"network takes before it grows: {kind.shown(bounds.upper)} at most is predicted.",
                f"Ask for more than that.{instead}",
            )
    choices = wider(space, seed)
    if all(len(of) == 1 for of in choices):
        raise InputError(
            f"The network is the largest of '{space.name}' in every block: it cannot grow.",
            "Search a space with wider blocks: hidden_widths in a space's file, see edgenas space.",
        )
    if _least_growth(predictors, seed, limits) is None:
        raise InfeasibleError(
            "Nothing wider than the network keeps the limits.", "Ask for more, as --max-latency."
        )
    if context.data_card.synthetic or context.dataset.excerpt_of:
        raise DataError(
            f"{context.data_card.name} has too few images to train on.",
            "Name the images that the supernet was trained on with --data.",
        )


def _least_growth(
    predictors: Predictors, seed: Architecture, limits: Mapping[str, Limit]
) -> Architecture | None:
    """Return some network that the seed can grow into within the limits; None if there is none."""
    larger = most_valuable(
        predictors,
        seed.resolution,
        wider(predictors.space, seed),
        lambda stage, choice: float(choice != seed.stages[stage]),
        limits,
    )
    return None if larger == seed else larger


def _recipe(context: RunContext, start: Start, epochs: int | None) -> TrainSettings:
    """Return how a network is trained that begins as `start` says, or from nothing."""
    from edgenas.supernet.settings import default_settings, transfer_settings

    config = context.config
    # weights whose batch norms do nothing do not bear the rate of a training from nothing
    recipe = transfer_settings if start == "imported" else default_settings
    return recipe(context.dataset, epochs=epochs, batch_size=config.batch_size, seed=config.seed)


def _growing(
    context: RunContext,
    seed: Architecture,
    limits: Mapping[str, Limit],
    settings: TrainSettings,
    time_s: float | None,
) -> Growing:
    from edgenas.runs.growing.rounds import Growing, timed_epoch_s

    growing = Growing(context.predictors(), limits, context.dataset, settings, context.progress)
    if time_s is None:
        return growing
    uniform = widest_scaled(growing.predictors, seed, limits)
    epoch_s = timed_epoch_s(uniform, growing)
    planned = max(1, int(time_s / (TRAININGS * epoch_s)))
    context.say_plan(f"Plan for {time_s / 60:.1f} min: {counted(planned, 'epoch')} of each way.")
    return replace(growing, settings=replace(settings, epochs=planned))


def _compared(
    context: RunContext, growing: Growing, supernet: Supernet, seed: Architecture, start: Start
) -> tuple[Growth, Subnet | None]:
    """Return what came of every way, and the weights of the best; None where it is as it was."""
    from edgenas.runs.growing import rounds as ways
    from edgenas.supernet.recalibrate import calibrated_subnet

    afresh = replace(growing, settings=_recipe(context, "smallest", growing.settings.epochs))
    subnets: dict[Way, Subnet] = {}
    contenders: list[Contender] = []

    def enter(way: Way, train: Callable[[], tuple[Subnet, Architecture] | None]) -> None:
        began = time.perf_counter()
        trained = train()
        if trained is None:  # nothing of its kind keeps the limits
            return
        subnet, network = trained
        epochs = 0 if way == "unchanged" else growing.settings.epochs
        spent_s = time.perf_counter() - began
        (candidate,) = growing.predictors.candidates([network])
        answers = _answers(context, subnet, network)
        subnets[way] = subnet
        contenders.append(
            Contender(way, network, candidate["latency_ms"], answers, epochs, spent_s)
        )
        context.progress.message(f"{way}: int8 {answers.accuracy:.2%} of the validation images")

    rounds: list[GrowthRound] = []

    def grown_network() -> tuple[Subnet, Architecture]:
        first = _start(context, supernet, seed, start)
        subnet, network, of_rounds = ways.grow(first, seed, growing)
        rounds.extend(of_rounds)
        return subnet, network

    enter("unchanged", lambda: (_start(context, supernet, seed, start), seed))
    enter("grown", grown_network)
    shape = rounds[-1].network
    enter(
        "same shape from nothing", lambda: (ways.from_nothing(shape, afresh, "Same shape"), shape)
    )
    uniform = widest_scaled(growing.predictors, seed, growing.limits)
    enter("uniform from nothing", lambda: (ways.from_nothing(uniform, afresh, "Uniform"), uniform))
    twice = [one for factor, one in scaled(growing.space, shape) if factor <= PRUNED_FROM][-1]
    wide = calibrated_subnet(supernet, twice, growing.data)
    enter("pruned", lambda: ways.prune(wide, twice, growing))
    best = max(contenders, key=lambda one: one.answers.right)
    kept = None if grown.of_supernet(start, best.way) else subnets[best.way]
    growth = Growth(
        start, seed, tuple(growing.limits.values()), tuple(rounds), tuple(contenders), best.way
    )
    return growth, kept


def _start(context: RunContext, supernet: Supernet, network: Architecture, start: Start) -> Subnet:
    """Return a network of the run with the weights that it is exported with, for training.

    An imported network has those that it was imported with.
    """
    from edgenas.runs.models.finetuned import tuned_subnet
    from edgenas.supernet.imported.start import own_network
    from edgenas.supernet.recalibrate import calibrated_subnet

    if start == "imported" and isinstance(context.space, ImportedSpace):
        return own_network(context.folder.imported, context.space, context.dataset)
    exported = grown.subnet(context, network, supernet)
    exported = exported or tuned_subnet(context, supernet, network)
    return exported or calibrated_subnet(supernet, network, context.dataset)


def _answers(context: RunContext, subnet: Subnet, network: Architecture) -> Answers:
    from edgenas.supernet.deploy import of_subnet

    data = context.dataset
    ready = of_subnet(subnet, context.space.layers(network), data, context.engine)
    return Answers.of(ready.right(context.target.scheme, data, data.val).tolist())
