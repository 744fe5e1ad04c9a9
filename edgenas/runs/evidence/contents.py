"""Replay of contents: whether a verification was made of the very files that the evidence has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from device_runtime.json_text import read_json_text
from edgenas.challenges.anonymity import LEFT_OUT
from edgenas.core.errors import RunFolderError
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.records import SearchResult, Verification, VerifiedFrom
from edgenas.core.records.verdicts import search_sha256
from edgenas.runs.evidence import bundle
from edgenas.runs.evidence.figures import Check
from edgenas.runs.evidence.limits import RUN, ReadLimits, limits_asked

_VERDICT, _SEARCH = RunFolder.verification.name, RunFolder.search.name
_SUPERNET = RunFolder.supernet.name
_FIGURE = "content, as verified"


def content_checks(path: Path, read_limits: ReadLimits) -> tuple[Check, ...]:
    """Return a check of what `Verification.verified_from` says of each file that the bundle has.

    Of files that it has not (models, supernet, predictors by name), the hash is held against the
    one that another record states of the same file.

    read_limits : makes the limits of a run.json's options; its errors name the second argument.

    Raises
    ------
    RunFolderError : the bundle is damaged, or was changed after it was made.
    """
    files = bundle.read(path)
    verdict, search = bundle.verification_of(files), bundle.search_of(files)
    known = verdict.verified_from
    if known is None:
        why = "It was verified by an earlier edgenas, which kept no hashes."
        return (Check(_VERDICT, _FIGURE, "unknown", None, None, why),)
    return (
        _of_search(known, files),
        _of_limits(known, files, read_limits),
        *_of_files(known, files),
        *_of_models(known, verdict),
        *_of_predictors(known, search),
    )


def _of_search(known: VerifiedFrom, files: Mapping[str, bytes]) -> Check:
    if _SEARCH not in files:
        return Check(_SEARCH, _FIGURE, "unknown", None, None, "The bundle does not have it.")
    try:
        sha256 = search_sha256(read_json_text(files[_SEARCH]))
    except ValueError as problem:
        raise RunFolderError(f"{_SEARCH} in the bundle is not valid: {problem}.") from problem
    if sha256 == known.search:
        return _same(_SEARCH)
    if LEFT_OUT.encode() in files[_SEARCH]:
        return Check(_SEARCH, _FIGURE, "unknown", None, None, "Names were left out of it.")
    return _other(_SEARCH)


def _of_limits(known: VerifiedFrom, files: Mapping[str, bytes], read_limits: ReadLimits) -> Check:
    if RUN not in files:
        return Check(RUN, _FIGURE, "unknown", None, None, "The bundle does not have it.")
    asked = limits_asked(files, read_limits)
    if {name: (limit.at_most, limit.at_least) for name, limit in asked.items()} == known.limits:
        return _same(RUN)
    why = "What was verified was held to other limits than the run's."
    return Check(RUN, _FIGURE, "differs", None, None, why)


def _of_files(known: VerifiedFrom, files: Mapping[str, bytes]) -> Iterator[Check]:
    for name in sorted(known.files.keys() & files.keys()):
        yield _held(name, known, hashlib.sha256(files[name]).hexdigest())


def _of_models(known: VerifiedFrom, verdict: Verification) -> Iterator[Check]:
    for verified in verdict.models:
        yield _held(f"models/{verified.model.int8_file}", known, verified.model.sha256)
    supernets = {one.model.supernet_sha256 for one in verdict.models if not one.from_earlier_round}
    if _SUPERNET in known.files and supernets:
        same = supernets == {known.files[_SUPERNET]}
        yield _same(_SUPERNET) if same else _other(_SUPERNET)


def _of_predictors(known: VerifiedFrom, search: SearchResult | None) -> Iterator[Check]:
    if search is None or search.predicted_by is None:
        return
    for response, sha256 in sorted(search.predicted_by.predictors.items()):
        yield _held(f"predictors/{response}.json", known, sha256)


def _held(name: str, known: VerifiedFrom, sha256: str) -> Check:
    return _same(name) if known.files.get(name) == sha256 else _other(name)


def _same(name: str) -> Check:
    return Check(name, _FIGURE, "follows", None, None)


def _other(name: str) -> Check:
    return Check(name, _FIGURE, "differs", None, None, "Another file was verified than this one.")
