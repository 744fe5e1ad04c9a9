"""The one place that decides whether a run's verification still holds, and what its verdict is."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edgenas.core.errors import RunFolderError
from edgenas.core.files.run_folder import RunFolder, read_json
from edgenas.core.goals import limit_text
from edgenas.core.records import (
    DeviceProfile,
    ExportedModel,
    RunVerdict,
    SearchResult,
    Verification,
    VerifiedFrom,
    VerifiedModel,
    VerifiedRow,
    to_json,
)
from edgenas.core.records.codec import canonical
from edgenas.core.records.goals import SCORE, Limit
from edgenas.core.records.tables import TableCard
from edgenas.core.records.verdicts import seal, search_sha256
from edgenas.core.run_options import OPTIONS, option_of
from edgenas.runs import artifacts
from edgenas.runs.config import RunConfig
from edgenas.runs.verdict.reservations import broken_promises, of_score, reservations

# Of a verification by an edgenas that kept no hashes.
WITHOUT_HASHES = (
    "It was verified by an earlier edgenas, which kept no hashes: that its float file and its "
    "images are those of then cannot be checked."
)


def verified_from(
    folder: RunFolder, config: RunConfig, models: Iterable[ExportedModel] = ()
) -> VerifiedFrom:
    """Return what a verification of now is made of; models : those of a board's candidates.

    Raises
    ------
    RunFolderError : there is no search yet, or a file cannot be read.
    """
    paths = [folder.supernet, folder.data, folder.table, *folder.predictors.glob("*.json")]
    for model in models:
        name = model.candidate.architecture.short_name
        paths += [folder.models / file for file in (model.int8_file, model.fp32_file)]
        paths += [folder.card(name), folder.graph(name)]
    files = {path.relative_to(folder.path).as_posix(): path for path in paths if path.exists()}
    return VerifiedFrom(
        search_sha256(read_json(folder.require(folder.search, "optimize"))),
        _asked(config),
        {name: _sha256(files[name]) for name in sorted(files)},
        _fixed(config),
    )


def write(folder: RunFolder, verification: Verification[Any]) -> None:
    """Write verification.json, sealed: an edit of it is noticed."""
    known = verification.verified_from
    if known is not None:
        sealed = replace(known, seal=seal(to_json(verification)))
        verification = replace(verification, verified_from=sealed)
    artifacts.write(folder, verification)


def verdict(folder: RunFolder, config: RunConfig) -> RunVerdict:
    """Return a run's verdict: its verification's, unless anything that it was made of is newer.

    Raises
    ------
    RunFolderError : a file of the run is damaged.
    """
    if not folder.verification.exists():
        return RunVerdict("not verified", next_command=_next(folder, []))
    verification = read_verification(folder)
    known, winner = verification.verified_from, verification.winner
    if _edited(read_json(folder.verification), known):
        return _outdated(folder, [("edited", "verification.json was changed by something else.")])
    if known is not None:
        changed = list(_changed(folder, config, known))
    else:
        changed = list(_unlike_the_search(folder, config, verification))
    if changed:
        return _outdated(folder, changed)
    if winner is None:
        return RunVerdict("fail", next_command=_next(folder, []))
    if isinstance(winner, VerifiedRow):
        broken = broken_promises(winner, config.responses, config.known)
        return RunVerdict("looked up", tuple(broken))
    promised = {"latency_ms", SCORE, *config.responses}
    searched = verification if known is not None else artifacts.read(folder, SearchResult)
    limit_ms = searched.limit_ms
    said = reservations(verification.target, winner, limit_ms, promised, config.known)
    said += tuple(of_score(verification, winner, config.score))
    unhashed = () if known is not None else (WITHOUT_HASHES,)
    again = f"edgenas verify {shlex.quote(str(folder.path))}" if unhashed else ""
    return RunVerdict("pass", (*said, *unhashed), next_command=again)


def _edited(document: Any, known: VerifiedFrom | None) -> bool:
    """Whether verification.json is not as it was written: its seal, or all hashes, are others.

    Without a seal there are no options; an edgenas that kept no hashes had no key for them.
    """
    if known is None:
        return "verified_from" in document
    if not known.seal:
        return bool(known.options)
    return known.seal != seal(document)


def read_verification(folder: RunFolder) -> Verification[Any]:
    """Return the verification that is stored.

    Raises
    ------
    RunFolderError : it is damaged.
    """
    path = str(folder.verification)
    stored = artifacts.read(folder, Verification)
    if not stored.models and not folder.table.exists():
        again = f"Verify it again: edgenas verify {shlex.quote(str(folder.path))}"
        raise RunFolderError(f"{path} is not valid: it has no model.", again)
    if stored.objective or not folder.search.exists():
        return stored
    # of a table, by an earlier edgenas, which left the objective to search.json
    objective = artifacts.read(folder, SearchResult).objectives[0]
    goal = artifacts.read(folder, TableCard).response(objective).goal
    return replace(stored, objective=objective, goal=goal)


def _outdated(folder: RunFolder, changed: list[tuple[str, str]]) -> RunVerdict:
    texts = tuple(text for _, text in changed)
    return RunVerdict("not verified", (), texts, _next(folder, [kind for kind, _ in changed]))


def _changed(
    folder: RunFolder, config: RunConfig, known: VerifiedFrom
) -> Iterator[tuple[str, str]]:
    """Yield (kind, sentence) of everything that is not as it was verified."""
    if not folder.search.exists():
        yield "gone", "search.json, which was verified, is gone."
    elif search_sha256(read_json(folder.search)) != known.search:
        yield "search", "The search was repeated since: its candidates are not those verified."
    if _asked(config) != known.limits:
        yield "limits", f"The limits were changed since: {_limits_text(config)}."
    now = _fixed(config)
    for name in sorted(known.options):
        if known.options[name] != now.get(name):
            said = f"{option_of(name)} was changed in run.json since it was verified: it was "
            yield "options", said + f"{known.options[name]}."
    if text := _other_machine(folder):
        yield "machine", text
    retrained = []
    for name, sha256 in known.files.items():
        path = folder.path / name
        if not path.exists():
            yield "gone", f"{name}, which was verified, is gone."
        elif _sha256(path) != sha256:
            if path.parent == folder.predictors:
                retrained.append(path.stem)
            else:
                kind = "models" if path.parent == folder.models else "file"
                yield kind, f"{name} was changed since it was verified."
    if retrained:
        yield "predictors", f"Predictors were fitted again since: {', '.join(retrained)}."


def _other_machine(folder: RunFolder) -> str:
    """Return that profile.json is of another machine than the winner was measured on, or ""."""
    winner = read_verification(folder).winner
    if not isinstance(winner, VerifiedModel):
        return ""
    seen = winner.outcome.environment.get("machine") or {}
    if not folder.profile.exists():
        return f"{folder.profile.name}, which says what was measured on, is gone." if seen else ""
    return artifacts.read(folder, DeviceProfile).other_machine(seen)


def _unlike_the_search(
    folder: RunFolder, config: RunConfig, verification: Verification[Any]
) -> Iterator[tuple[str, str]]:
    """Yield the same of a verification without hashes, as far as its records tell."""
    if not folder.search.exists():
        yield "gone", "search.json, which was verified, is gone."
        return
    search = artifacts.read(folder, SearchResult)
    now = [one for one in verification.models if not one.from_earlier_round]
    known = [one.candidate for one in verification.models]
    repeated = "The search was repeated since: its candidates are not those verified."
    if folder.table.exists():
        if any(one not in known for one in search.candidates):
            yield "search", repeated
        asked_now, limits = _asked(config), _as_asked(search.limits)
        if asked_now and asked_now != limits:
            yield "limits", f"The limits were changed since: {_limits_text(config)}."
        return
    if (
        [one.candidate for one in now] != list(search.candidates)
        or search.limit_ms != verification.limit_ms
        or search.confidence != verification.confidence
        or any(one.predicted_by != search.predicted_by for one in now)
    ):
        yield "search", repeated
    latency = config.limits().get("latency_ms")
    asked = None if latency is None else latency.at_most
    if asked not in (None, verification.limit_ms) or (
        verification.winner is not None and _breaks(verification.winner, config.limits())
    ):
        yield "limits", f"The limits were changed since: {_limits_text(config)}."
    for one in verification.models:
        file = folder.models / one.model.int8_file
        if not file.exists():
            yield "gone", f"models/{file.name}, which was verified, is gone."
        elif _sha256(file) != one.model.sha256:
            yield "models", f"models/{file.name} was changed since it was verified."
    hashes = {one.model.supernet_sha256 for one in now}
    if folder.supernet.exists() and hashes and _sha256(folder.supernet) not in hashes:
        yield "file", "supernet.safetensors was changed since it was verified."
    used = {} if search.predicted_by is None else search.predicted_by.predictors
    retrained = [
        name
        for name, sha256 in used.items()
        if (file := folder.predictor(name)).exists() and _sha256(file) != sha256
    ]
    if retrained:
        yield "predictors", f"Predictors were fitted again since: {', '.join(retrained)}."


def _breaks(winner: VerifiedModel, limits: Mapping[str, Limit]) -> bool:
    """Whether a measured response of the winner is outside the limits of now."""
    known = winner.measured
    return any(
        name in known and not limit.holds(known[name], known[name])
        for name, limit in limits.items()
    )


def _next(folder: RunFolder, changed: list[str]) -> str:
    """Return the shortest command that verifies what is there now."""
    run = shlex.quote(str(folder.path))
    exported = {"search", "models"} & set(changed) and _exported(folder)
    if exported and set(changed) <= {"search", "models", "predictors", "limits"}:
        return f"edgenas verify {run}"
    return f"edgenas search --out {run} --resume"


def _exported(folder: RunFolder) -> bool:
    """Whether every candidate of the search has its int8 file, as its card says."""
    if folder.table.exists() or not folder.search.exists():
        return folder.table.exists() and folder.search.exists()
    for candidate in artifacts.read(folder, SearchResult).candidates:
        model = artifacts.find(folder, ExportedModel, candidate.architecture.short_name)
        if model is None:
            return False
        file = folder.models / model.int8_file
        if not file.exists() or _sha256(file) != model.sha256:
            return False
    return True


def _asked(config: RunConfig) -> dict[str, tuple[float | None, float | None]]:
    return _as_asked(config.limits().values())


def _as_asked(limits: Iterable[Limit]) -> dict[str, tuple[float | None, float | None]]:
    ordered = sorted(limits, key=lambda limit: limit.response)
    return {limit.response: (limit.at_most, limit.at_least) for limit in ordered}


def _fixed(config: RunConfig) -> dict[str, str]:
    """Return the options that the search and what it began with depend on, each as JSON."""
    return {
        name: canonical(value)
        for name, value in sorted(asdict(config).items())
        if name not in OPTIONS or OPTIONS[name].is_verified
    }


def _limits_text(config: RunConfig) -> str:
    texts = [limit_text(limit, config.known) for limit in config.limits().values()]
    return f"now {' and '.join(texts)}" if texts else "now none is asked for"


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as problem:
        raise RunFolderError(f"Cannot read {path}: {problem.strerror}.") from problem
