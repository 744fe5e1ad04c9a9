"""The frontier that a run stored, with what was measured and evaluated of its networks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgenas.core.errors import RunFolderError
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.metrics import REGISTRY, ResponseKind, observed, of_column
from edgenas.core.records import (
    Answers,
    Architecture,
    Candidate,
    DeviceProfile,
    Evaluation,
    Interval,
    RunVerdict,
    SearchResult,
)
from edgenas.core.records.goals import SCORE
from edgenas.core.records.tables import LookedUpRows, TableCard
from edgenas.runs import artifacts
from edgenas.runs.config import RunConfig, read_config
from edgenas.runs.store import Store
from edgenas.runs.verdict.verdicts import read_verification, verdict


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
class Evaluated:
    """What a network has of the objective. answers : it counts these; None where it is exact."""

    value: float
    answers: Answers | None = None


@dataclass(frozen=True)
class Front:
    """The frontier of a run, and what was measured in it.

    objective : the response that decides, with its direction. searched : responses that the
    frontier is a trade-off between. how, how_evaluated : where its measured
    values and those of the objective come from.
    verdict : the run's own. passed : names of the networks that passed, by that verdict.
    evaluated : by network's name, where the objective is accuracy or was looked up in a table.
    proposed : networks off the frontier that the search proposed and that were evaluated.
    cost : the response that decides between networks that are alike; "" if there is none.
    """

    run: Path
    points: tuple[FrontPoint, ...]
    measured: tuple[MeasuredPoint, ...]
    known: Mapping[str, ResponseKind]
    objective: ResponseKind
    searched: frozenset[str]
    confidence: float
    verdict: RunVerdict
    how: str = "measured"
    how_evaluated: str = "evaluated"
    passed: frozenset[str] = frozenset()
    evaluated: Mapping[str, Evaluated] = field(default_factory=dict)
    proposed: tuple[FrontPoint, ...] = ()
    cost: str = "latency_ms"


def read_front(path: Path) -> Front:
    """Return the frontier stored in a run folder.

    Raises
    ------
    RunFolderError : not a run folder, or one without a frontier.
    """
    folder = RunFolder(path)
    config = read_config(folder)
    result = artifacts.read(folder, SearchResult)
    now = verdict(folder, config)
    _check_frontier(folder, result.frontier)
    if folder.table.exists():
        return _table_front(folder, result, now)
    objective = config.known[result.objectives[0]]
    evaluated = _evaluated(folder, now) if objective.name == SCORE else {}
    points = tuple(map(_front_point, result.frontier))
    return Front(
        run=path,
        points=points,
        measured=_measured(folder, now),
        known=config.known,
        objective=objective,
        searched=_searched(result, config),
        confidence=result.confidence,
        verdict=now,
        passed=_passed(folder, now),
        evaluated=evaluated,
        proposed=_proposed(map(_front_point, result.candidates), points, evaluated),
    )


def _table_front(folder: RunFolder, result: SearchResult[Any], now: RunVerdict) -> Front:
    """Return the frontier of a run on a measured table."""
    card = artifacts.read(folder, TableCard)
    kinds = {one.name: replace(of_column(one.name), goal=one.goal) for one in card.responses}
    looked_up = artifacts.find(folder, LookedUpRows)
    rows = () if looked_up is None else looked_up.rows
    objective = kinds[result.objectives[0]]
    evaluated = {
        str(row.network): Evaluated(row.values[objective.name])
        for row in rows
        if objective.name in row.values
    }
    points = tuple(map(_front_point, result.frontier))
    return Front(
        run=folder.path,
        points=points,
        measured=tuple(MeasuredPoint(str(row.network), row.values) for row in rows if row.values),
        known=kinds,
        objective=objective,
        searched=frozenset(result.traded),
        confidence=result.confidence,
        verdict=now,
        how="looked up",
        how_evaluated="looked up",
        passed=_passed(folder, now),
        evaluated=evaluated,
        proposed=_proposed(map(_front_point, result.candidates), points, evaluated),
        cost=result.cost,
    )


def _passed(folder: RunFolder, now: RunVerdict) -> frozenset[str]:
    verified = _verified(folder, now)
    return frozenset(str(one.candidate.architecture) for one in verified if one.passed)


def _check_frontier(folder: RunFolder, frontier: Sequence[Any]) -> None:
    if not frontier:
        raise RunFolderError(
            f"{folder.search} has no frontier.", f"Search again: edgenas optimize {folder.path}"
        )


def _proposed(
    candidates: Iterable[FrontPoint],
    points: Iterable[FrontPoint],
    evaluated: Mapping[str, Evaluated],
) -> tuple[FrontPoint, ...]:
    known = {point.name for point in points}
    return tuple(one for one in candidates if one.name in evaluated and one.name not in known)


def _searched(result: SearchResult, config: RunConfig) -> frozenset[str]:
    # accuracy against latency is on every frontier: it takes no search
    return frozenset({SCORE, "latency_ms", *result.objectives, *config.responses})


def _front_point(candidate: Candidate[Any]) -> FrontPoint:
    network = candidate.architecture
    of_space = network if isinstance(network, Architecture) else None
    return FrontPoint(str(network), candidate.predicted, of_space)


def _verified(folder: RunFolder, now: RunVerdict) -> tuple[Any, ...]:
    """Return what was verified; nothing where something is newer."""
    if now.status == "not verified":
        return ()
    return read_verification(folder).models if folder.verification.exists() else ()


def _measured(folder: RunFolder, now: RunVerdict) -> tuple[MeasuredPoint, ...]:
    """Return what the run measured, with the accuracies that its supernet was evaluated to have."""
    found: dict[Architecture, dict[str, float]] = {}
    store = Store(folder.store)
    profile = artifacts.find(folder, DeviceProfile)
    if folder.store.exists() and profile is not None:
        measurements = store.measurements(profile.target)
        for name, kind in REGISTRY.items():
            for architecture, (value, _) in observed(kind, measurements).items():
                found.setdefault(architecture, {})[name] = value
    for architecture, evaluation in _evaluations(folder).items():
        if architecture in found:
            found[architecture][SCORE] = evaluation.int8_accuracy
    for model in _verified(folder, now):
        here = found.setdefault(model.model.candidate.architecture, {})
        here.update(model.measured)
        if model.device_accuracy is not None:
            here[SCORE] = model.device_accuracy
    return tuple(MeasuredPoint(str(architecture), found[architecture]) for architecture in found)


def _evaluations(folder: RunFolder) -> dict[Architecture, Evaluation]:
    """Return what was evaluated with the supernet that is there now."""
    if not (folder.store.exists() and folder.supernet.exists()):
        return {}
    sha256 = hashlib.sha256(folder.supernet.read_bytes()).hexdigest()
    return Store(folder.store).evaluations(sha256)


def _evaluated(folder: RunFolder, now: RunVerdict) -> dict[str, Evaluated]:
    """Return the right answers on the validation images; of verified networks, of their files."""
    answers = {a: evaluation.answers for a, evaluation in _evaluations(folder).items()}
    for verified in _verified(folder, now):
        if verified.model.answers is not None:
            answers[verified.model.candidate.architecture] = verified.model.answers
    return {str(a): Evaluated(one.accuracy, one) for a, one in answers.items()}
