"""Replay of predictions: what networks were predicted to do, by the predictors in the evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from device_runtime.json_text import read_json_text
from edgenas.core import plugins
from edgenas.core.counted import counted
from edgenas.core.errors import EdgeNasError, PredictorError
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.metrics import REGISTRY
from edgenas.core.records import Candidate, Interval, PredictedBy
from edgenas.core.records.goals import SCORE
from edgenas.optimize.layout import Predictors, load_predictor
from edgenas.predictors.base import FittedPredictor
from edgenas.runs.evidence import bundle
from edgenas.runs.evidence.figures import Check, Status, number
from edgenas.spaces.base import MobileSpace
from edgenas.spaces.files import is_file

_SLACK = 1e-9  # of sums in another order
_OLD = "It was made before predictors were kept."
_SEARCH = RunFolder.search.name


class _CannotPredictError(Exception):
    """The evidence does not give the predictors: it contradicts itself, or it is of another age."""

    def __init__(self, why: str, status: Status = "differs") -> None:
        super().__init__(why)
        self.status: Status = status


def prediction_checks(path: Path) -> tuple[Check, ...]:
    """Return a check of every prediction in the bundle: of the verdict's networks, by figure, and
    of search.json, one for each response, which shows the figure that is farthest off.

    Raises
    ------
    RunFolderError : the bundle is damaged, or was changed after it was made.
    """
    files = bundle.read(path)
    verdict, search = bundle.verification_of(files), bundle.search_of(files)
    checks: list[Check] = []
    for one in verdict.models:
        name, candidates = one.model.int8_file, (one.model.candidate,)
        checks += _checks(name, candidates, one.predicted_by, verdict.confidence, files)
    if search is not None:
        every = (*search.candidates, *search.frontier)
        found = _checks(_SEARCH, every, search.predicted_by, search.confidence, files)
        checks += _worst(list(found), len(every))
    return tuple(checks)


def _checks(
    name: str,
    stated: Sequence[Candidate],
    by: PredictedBy | None,
    confidence: float,
    files: Mapping[str, bytes],
) -> Iterator[Check]:
    try:
        predicted = _predicted(stated, by, confidence, files)
    except _CannotPredictError as problem:
        for candidate in stated:
            for figure, value in _figures(candidate):
                yield Check(name, figure, problem.status, value, None, str(problem))
        return
    for candidate, again in zip(stated, predicted, strict=True):
        replayed = dict(_figures(again))
        for figure, value in _figures(candidate):
            if figure in replayed:
                slack = _SLACK * max(abs(value), 1.0)
                yield number(name, figure, value, replayed[figure], slack)
            else:
                yield Check(name, figure, "differs", value, None, "No predictor of it is named.")


def _predicted(
    stated: Sequence[Candidate],
    by: PredictedBy | None,
    confidence: float,
    files: Mapping[str, bytes],
) -> tuple[Candidate, ...]:
    """Return the predictions of the same networks, made again."""
    if by is None:
        raise _CannotPredictError(_OLD, "unknown")
    fitted = {name: _fitted(name, sha256, files) for name, sha256 in by.predictors.items()}
    if not {"latency_ms", SCORE} <= fitted.keys():
        raise _CannotPredictError("It does not name a predictor of latency and one of accuracy.")
    latency, accuracy = fitted.pop("latency_ms"), fitted.pop(SCORE)
    space = _space(by)
    try:
        predictors = Predictors(space, latency, accuracy, confidence, fitted)
    except PredictorError as problem:  # terms that this edgenas does not make
        raise _CannotPredictError(problem.message, "unknown") from problem
    try:
        return predictors.candidates([candidate.architecture for candidate in stated])
    except EdgeNasError as problem:
        raise _CannotPredictError(problem.message) from problem


def _space(by: PredictedBy) -> MobileSpace:
    if min(by.num_classes, by.in_channels, by.image_size) < 1:
        raise _CannotPredictError("It names a space that cannot be.")
    if is_file(by.space):
        why = f"It searched the space of a file, {by.space}, which is not in the bundle."
        raise _CannotPredictError(why, "unknown")
    try:
        space: MobileSpace = plugins.load("spaces", by.space).create(
            by.num_classes, by.in_channels, by.image_size
        )
    except EdgeNasError as problem:
        raise _CannotPredictError(problem.message, "unknown") from problem
    return space


def _fitted(response: str, sha256: str, files: Mapping[str, bytes]) -> FittedPredictor:
    if response not in REGISTRY:
        raise _CannotPredictError(f"This edgenas knows no response '{response}'.", "unknown")
    content = files.get(bundle.predictor_name(sha256))
    if content is None:
        why = f"The predictor of {response} that it names is not in the bundle."
        raise _CannotPredictError(why)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _CannotPredictError(f"The predictor of {response} is not the one that it names.")
    try:
        return load_predictor(read_json_text(content))
    except (EdgeNasError, ValueError) as problem:
        why = problem.message if isinstance(problem, EdgeNasError) else str(problem)
        raise _CannotPredictError(f"The predictor of {response} cannot be used: {why}") from problem


def _worst(checks: Sequence[Check], n_networks: int) -> Iterator[Check]:
    """Yield one check a figure for those of all networks: the one that is farthest off."""
    by_figure: dict[str, list[Check]] = {}
    for check in checks:
        by_figure.setdefault(check.figure, []).append(check)
    for figure, found in by_figure.items():
        worst = max(found, key=_badness)
        yield replace(worst, figure=f"{figure}, of {counted(n_networks, 'network')}")


def _badness(check: Check) -> tuple[bool, bool, float]:
    off = 0.0
    if check.stated is not None and check.replayed is not None:
        off = abs(check.stated - check.replayed)
    return check.status == "differs", check.status == "unknown", off


def _figures(candidate: Candidate) -> Iterator[tuple[str, float]]:
    for name in ("latency_ms", SCORE, *candidate.responses):
        interval = candidate.response(name)
        assert interval is not None
        yield from _of_interval(f"predicted {name}", interval)


def _of_interval(figure: str, interval: Interval) -> Iterator[tuple[str, float]]:
    yield figure, interval.mean
    yield f"{figure}, lower", interval.lower
    yield f"{figure}, upper", interval.upper
