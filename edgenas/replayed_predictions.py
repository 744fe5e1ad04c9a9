"""Replay: what a verdict's networks were predicted to do, by the predictors in the evidence."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgenas.challenges import evidence
from edgenas.challenges.figures import Check, number
from edgenas.config import read_config
from edgenas.errors import EdgeNasError
from edgenas.progress import Silent
from edgenas.records import Candidate, VerifiedModel
from edgenas.run_context import RunContext
from edgenas.run_folder import RunFolder
from edgenas.search_problem import Predictors

_SLACK = 1e-9  # of sums in another order


def prediction_checks(path: Path) -> tuple[Check, ...]:
    """Return a check of every prediction, and of its interval, that the bundle's verdict states.

    Those of a network that passed in an earlier round are unknown: the predictors were refitted.

    Raises
    ------
    RunFolderError : the bundle is damaged, or was changed after it was made.
    """
    files = evidence.read(path)
    models = evidence.verification_of(files).models
    with tempfile.TemporaryDirectory() as place:
        try:
            predictors = _predictors(RunFolder(Path(place)), files)
        except EdgeNasError as problem:
            why = f"The bundle's predictors cannot be used: {problem.message}"
            return tuple(check for model in models for check in _unknown(model, why))
    return tuple(check for model in models for check in _of_model(model, predictors))


def _predictors(folder: RunFolder, files: Mapping[str, bytes]) -> Predictors:
    for name in evidence.of_predictors(files):
        file = folder.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(files[name])
    return RunContext(folder, read_config(folder), Silent()).predictors()


def _of_model(verified: VerifiedModel, predictors: Predictors) -> Iterator[Check]:
    if verified.from_earlier_round:
        yield from _unknown(verified, "The predictors were refitted after it was predicted.")
        return
    stated = verified.model.candidate
    (again,) = predictors.candidates([stated.architecture])
    replayed = dict(_figures(again))
    for figure, value in _figures(stated):
        if figure in replayed:
            slack = _SLACK * max(abs(value), 1.0)
            yield number(verified.model.int8_file, figure, value, replayed[figure], slack)


def _unknown(verified: VerifiedModel, why: str) -> Iterator[Check]:
    for figure, value in _figures(verified.model.candidate):
        yield Check(verified.model.int8_file, figure, "unknown", value, None, why)


def _figures(candidate: Candidate) -> Iterator[tuple[str, float]]:
    names = ("latency_ms", "accuracy", *candidate.responses)
    for name in names:
        interval = candidate.response(name)
        if interval is not None:
            yield f"predicted {name}", interval.mean
            yield f"predicted {name}, lower", interval.lower
            yield f"predicted {name}, upper", interval.upper
