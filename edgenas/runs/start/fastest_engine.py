"""Which engine and int8 scheme a run takes where its user names none: one network timed on each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgenas.core.errors import EdgeNasError
from edgenas.core.records import Architecture, DeviceProfile, EngineDecision, EngineTrial
from edgenas.int8.engines.facts import find_engine
from edgenas.int8.engines.precheck import precheck
from edgenas.int8.engines.scheme import Scheme, default_scheme
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.runs.models.latency import latency_model
from edgenas.targets.base import MeasureSettings, Target
from edgenas.targets.config import find, resolve

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext

# The usual engine first: another is taken only where it is clearly faster.
CANDIDATES = ("onnxruntime", "litert")
# Times as fast that another engine must be, so that a second probe decides the same.
CLEARLY_FASTER = 1.25
# A second or two on each engine; figures that a limit stands on are measured later, for longer.
_SETTINGS = MeasureSettings(max_passes=8, relative_ci=0.05, energy_s=0.0, budget_s=20.0)


def decide(context: RunContext, profile: DeviceProfile) -> tuple[EngineDecision, Target] | None:
    """Return the engine to take, and the target with it; None where there is nothing to decide.

    The user's own word counts: `--engine`, or the engine in a target file. So does that of a run
    that has begun. profile : of the run's target with its usual engine.
    """
    config = find(context.config.target)
    if context.config.engine is not None or not config.any_engine:
        return None
    able = [
        (engine, scheme)
        for engine in CANDIDATES
        if _can_be_had(profile, engine)
        for scheme in schemes_to_try(engine, profile.machine, config.scheme)
    ]
    if len(able) < 2:
        return None
    network = context.anchor()
    targets: dict[tuple[str, str], Target] = {
        one: _with_engine(context, profile, *one) for one in able
    }
    listed = " and ".join(f"{engine} ({scheme})" for engine, scheme in able)
    context.progress.message(f"timing one network on {listed}, to take the fastest")
    trials = tuple(_timed(context, targets[one], network, profile.machine) for one in able)
    taken, reason = choose(trials, context.config.target)
    decision = EngineDecision(taken.engine, taken.scheme, str(network), trials, reason)
    return decision, targets[taken.engine, taken.scheme]


def on_other_engines(context: RunContext, network: Architecture) -> tuple[EngineTrial, ...]:
    """Return how long a network takes in int8 on each other engine that can be had."""
    profile = context.profile()
    if profile is None:
        return ()
    names = [x for x in CANDIDATES if x != context.target.engine and _can_be_had(profile, x)]
    if names:
        listed = " and ".join(names)
        context.progress.message(f"int8 is not faster than float: timing it on {listed}, too")
    return tuple(
        _timed(context, _with_engine(context, profile, name, None), network, profile.machine)
        for name in names
    )


def choose(trials: tuple[EngineTrial, ...], target: str) -> tuple[EngineTrial, str]:
    """Return the trial of the engine to take, and the reason in a sentence.

    trials : the usual engine's first; it is taken unless another is clearly faster. One that has a
        reason why not is none to take, whatever time it has.
    """
    usual = trials[0]
    times = {one: one.median_ms for one in trials if one.median_ms is not None and not one.why_not}
    failed = "".join(f"; {_refused(one)}" for one in trials if one not in times)
    if not times:
        return usual, f"{usual.engine} is taken on {target}, as usual{failed}."
    fastest = min(times, key=lambda one: times[one])
    taken = fastest if usual not in times or _clearly_faster(fastest, usual) else usual
    against = "".join(
        f", against {ms:.3g} ms of {one.engine} ({one.scheme})"
        for one, ms in times.items()
        if one is not taken
    )
    near = ", which is not clearly faster within the intervals" if taken is not fastest else ""
    return taken, (
        f"{taken.engine} ({taken.scheme}) is taken on {target}: {times[taken]:.3g} ms for one "
        f"network of the space{against}{near}{failed}. Another one: --engine NAME."
    )


def _refused(trial: EngineTrial) -> str:
    named = f"{trial.engine} ({trial.scheme})"
    if trial.median_ms is None:
        return f"{named} could not be timed ({trial.why_not})"
    return f"{named} takes {trial.median_ms:.3g} ms, but not in int8 alone ({trial.why_not})"


def _clearly_faster(fast: EngineTrial, slow: EngineTrial) -> bool:
    """Whether `fast` is faster by the margin, and their intervals lie apart."""
    if fast.median_ms is None or slow.median_ms is None:
        return False
    apart = fast.ci95_ms is None or slow.ci95_ms is None or fast.ci95_ms[1] < slow.ci95_ms[0]
    return apart and fast.median_ms * CLEARLY_FASTER <= slow.median_ms


def _can_be_had(profile: DeviceProfile, engine: str) -> bool:
    offer = profile.offers.get(engine)
    return offer is not None and bool(offer.installed or offer.can_be_sent)


def schemes_to_try(engine: str, machine: str, wanted: Scheme | None) -> list[Scheme]:
    """Return the schemes to try, the usual one of such a processor first.

    wanted : by the target file, which counts for its own engine, the usual one.
    """
    if wanted is not None and engine == CANDIDATES[0]:
        return [wanted]
    about = find_engine(engine)
    usual = default_scheme(machine, engine)
    return list(dict.fromkeys((usual, about.x86_scheme, about.other_scheme)))


def _with_engine(
    context: RunContext, profile: DeviceProfile, engine: str, scheme: Scheme | None
) -> Target:
    own = context.target
    if engine == own.engine and scheme in (None, own.scheme):
        return own
    return resolve(context.config.target, context.access, profile.machine, engine, scheme)


def _timed(context: RunContext, target: Target, network: Architecture, machine: str) -> EngineTrial:
    """Return how long a network takes; with the reason why such a target is none to take."""
    trial = EngineTrial(target.engine, target.scheme)
    layers = context.space.layers(network)
    graph = lower(layers, random_state(layers, context.config.seed))
    effects = {one.effect: one.problem for one in precheck(graph, *_of(target), machine)}
    if "refused" in effects:
        return replace(trial, why_not=effects["refused"])
    trial = replace(trial, why_not=effects.get("float", ""))
    model = latency_model(context, network, target)
    settings = replace(_SETTINGS, seed=context.config.seed)
    try:
        job_dir = context.job_dir("-".join(("engine", *_of(target))), [model])
        outcome = target.measure([model], settings, job_dir, context.progress)[model.key]
    except EdgeNasError as problem:
        return replace(trial, why_not=problem.message)
    if outcome.latency is None:
        return replace(trial, why_not=outcome.reason)
    latency = outcome.latency
    return replace(trial, median_ms=latency.median_ms, ci95_ms=latency.ci95_ms)


def _of(target: Target) -> tuple[str, str]:
    return target.engine, target.scheme
