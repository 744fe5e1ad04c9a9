"""Pick a network for a new budget from the frontier that a run stored, without a new search."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgenas.config import RunConfig, read_config
from edgenas.errors import InfeasibleError, InputError, RunFolderError
from edgenas.goals import Limit, limit_text
from edgenas.records import (
    Architecture,
    Candidate,
    DeviceProfile,
    Interval,
    SearchResult,
    Verification,
    from_json,
)
from edgenas.records.tables import LookedUp, LookedUpRows, TableCard, TableSearch
from edgenas.responses import REGISTRY, ResponseKind, observed, of_column
from edgenas.run_folder import RunFolder, read_json
from edgenas.store import Store


@dataclass(frozen=True)
class FrontPoint:
    """A network of the frontier and what is predicted of it, by response."""

    name: str
    predicted: Mapping[str, Interval]
    architecture: Architecture | None = None


@dataclass(frozen=True)
class MeasuredPoint:
    """A network and what was measured of it, by response, in its unit."""

    name: str
    measured: Mapping[str, float]


@dataclass(frozen=True)
class Front:
    """The frontier of a run, and what was measured in it.

    objective : the response that decides, with its direction. searched : responses that the
    frontier is a trade-off between. how : where its measured values come from.
    """

    run: Path
    points: tuple[FrontPoint, ...]
    measured: tuple[MeasuredPoint, ...]
    known: Mapping[str, ResponseKind]
    objective: ResponseKind
    searched: frozenset[str]
    confidence: float
    how: str = "measured"


@dataclass(frozen=True)
class Picked:
    """The best network of a frontier within limits.

    below, above : the measured networks nearest to it in the `between` response; None where
    nothing measured has less, or more. measured : of the picked network itself, empty if it was
    not. notes : what the reader must know.
    """

    point: FrontPoint
    between: str
    below: MeasuredPoint | None
    above: MeasuredPoint | None
    measured: Mapping[str, float]
    notes: tuple[str, ...]


def read_front(path: Path) -> Front:
    """Return the frontier stored in a run folder.

    Raises
    ------
    RunFolderError : not a run folder, or one without a frontier.
    """
    folder = RunFolder(path)
    config = read_config(folder)
    document = read_json(folder.require(folder.search, "optimize"))
    if folder.table.exists():
        return _table_front(folder, document)
    result = from_json(document, SearchResult, str(folder.search), RunFolderError)
    _check_frontier(folder, result.frontier)
    return Front(
        run=path,
        points=tuple(map(_front_point, result.frontier)),
        measured=_measured(folder),
        known=REGISTRY,
        objective=REGISTRY[result.objectives[0]],
        searched=_searched(result, config),
        confidence=result.confidence,
    )


def _table_front(folder: RunFolder, document: Any) -> Front:
    """Return the frontier of a run on a measured table."""
    result = from_json(document, TableSearch, str(folder.search), RunFolderError)
    _check_frontier(folder, result.frontier)
    card = from_json(read_json(folder.table), TableCard, str(folder.table), RunFolderError)
    kinds = {one.name: replace(of_column(one.name), goal=one.goal) for one in card.responses}
    rows: tuple[LookedUp, ...] = ()
    if folder.looked_up.exists():
        looked_up = read_json(folder.looked_up)
        rows = from_json(looked_up, LookedUpRows, str(folder.looked_up), RunFolderError).rows
    return Front(
        run=folder.path,
        points=tuple(FrontPoint(str(one.network), one.predicted) for one in result.frontier),
        measured=tuple(MeasuredPoint(str(row.network), row.values) for row in rows if row.values),
        known=kinds,
        objective=kinds[result.objectives[0]],
        searched=frozenset(result.traded),
        confidence=result.confidence,
        how="looked up",
    )


def _check_frontier(folder: RunFolder, frontier: Sequence[Any]) -> None:
    if not frontier:
        raise RunFolderError(
            f"{folder.search} has no frontier.", f"Search again: edgenas optimize {folder.path}"
        )


def pick(front: Front, limits: Mapping[str, Limit]) -> Picked:
    """Return the best point of the frontier whose prediction bounds are within `limits`.

    Raises
    ------
    InputError : no limits, or one on a response that the frontier does not have.
    InfeasibleError : no point of the frontier meets the limits; says what the nearest has.
    """
    if not limits:
        raise InputError(
            "Say what the network must keep.",
            f"Such as: edgenas pick {front.run} --max-latency 3ms",
        )
    missing = [name for name in limits if name not in front.points[0].predicted]
    if missing:
        raise InputError(
            f"The frontier of {front.run} has no {missing[0]}: there was no predictor of it.",
            f"It has: {', '.join(sorted(front.points[0].predicted))}.",
        )
    within = [p for p in front.points if all(_keeps(p, limit) for limit in limits.values())]
    if not within:
        raise _none_within(front, limits)
    best = min(within, key=lambda point: _order(front, point))
    between = next((name for name in limits if name != front.objective.name), front.objective.name)
    return _placed(front, best, between, limits)


def _placed(front: Front, best: FrontPoint, between: str, limits: Mapping[str, Limit]) -> Picked:
    value = best.predicted[between].mean
    others = [m for m in front.measured if between in m.measured and m.name != best.name]
    below = [m for m in others if m.measured[between] <= value]
    above = [m for m in others if m.measured[between] > value]
    own = next((m.measured for m in front.measured if m.name == best.name), {})
    kind = front.known[between]
    notes = []
    if not below or not above:
        side = "less" if not below else "more"
        notes.append(
            f"Nothing was {front.how} with {side} {kind.label}: it lies beyond all that was."
        )
    strangers = [front.known[name].label for name in limits if name not in front.searched]
    if strangers:
        notes.append(
            f"The frontier was not searched for {' and '.join(strangers)}: a network off it may do "
            f"better within these limits. Search: edgenas optimize {front.run} --constraint …"
        )
    return Picked(
        best,
        between,
        max(below, key=lambda m: m.measured[between], default=None),
        min(above, key=lambda m: m.measured[between], default=None),
        own,
        tuple(notes),
    )


def _order(front: Front, point: FrontPoint) -> tuple[float, ...]:
    sign = -1.0 if front.objective.goal == "max" else 1.0
    costs = (
        point.predicted[name].mean * (-1.0 if front.known[name].goal == "max" else 1.0)
        for name in sorted(front.searched)
    )
    return (sign * point.predicted[front.objective.name].mean, *costs)


def _keeps(point: FrontPoint, limit: Limit) -> bool:
    predicted = point.predicted[limit.response]
    return (limit.at_most is None or predicted.upper <= limit.at_most) and (
        limit.at_least is None or predicted.lower >= limit.at_least
    )


def _none_within(front: Front, limits: Mapping[str, Limit]) -> InfeasibleError:
    """Return what the frontier can reach of each limit alone."""
    reached = []
    for name, limit in limits.items():
        kind, bounds = front.known[name], [point.predicted[name] for point in front.points]
        if limit.at_most is not None:
            least = kind.shown(min(bound.upper for bound in bounds))
            reached.append(f"the least upper bound of {kind.label} is {least}")
        if limit.at_least is not None:
            greatest = kind.shown(max(bound.lower for bound in bounds))
            reached.append(f"the greatest lower bound of {kind.label} is {greatest}")
    asked = " and ".join(limit_text(limit, front.known) for limit in limits.values())
    return InfeasibleError(
        f"No network on the frontier of {front.run} has {asked} at {front.confidence:.0%} "
        f"confidence: {', '.join(reached)}.",
        "Loosen a limit, or search for it: edgenas optimize RUN --constraint …",
    )


def _searched(result: SearchResult, config: RunConfig) -> frozenset[str]:
    # accuracy against latency is on every frontier: it takes no search
    return frozenset({"accuracy", "latency_ms", *result.objectives, *config.responses})


def _front_point(candidate: Candidate) -> FrontPoint:
    known = {"accuracy": candidate.accuracy, "latency_ms": candidate.latency_ms}
    name = str(candidate.architecture)
    return FrontPoint(name, {**known, **candidate.responses}, candidate.architecture)


def _measured(folder: RunFolder) -> tuple[MeasuredPoint, ...]:
    """Return what the run measured, with the accuracies that its supernet was evaluated to have."""
    found: dict[Architecture, dict[str, float]] = {}
    store = Store(folder.store)
    if folder.store.exists() and folder.profile.exists():
        profile = from_json(read_json(folder.profile), DeviceProfile, str(folder.profile))
        measurements = store.measurements(profile.target)
        for name, kind in REGISTRY.items():
            for architecture, (value, _) in observed(kind, measurements).items():
                found.setdefault(architecture, {})[name] = value
    if folder.store.exists() and folder.supernet.exists():
        sha256 = hashlib.sha256(folder.supernet.read_bytes()).hexdigest()
        for architecture, evaluation in store.evaluations(sha256).items():
            if architecture in found:
                found[architecture]["accuracy"] = evaluation.int8_accuracy
    if folder.verification.exists():
        document = read_json(folder.verification)
        verification = from_json(document, Verification, str(folder.verification), RunFolderError)
        for model in verification.models:
            if model.device_accuracy is not None:
                here = found.setdefault(model.model.candidate.architecture, {})
                here["accuracy"] = model.device_accuracy
    return tuple(MeasuredPoint(str(architecture), found[architecture]) for architecture in found)
