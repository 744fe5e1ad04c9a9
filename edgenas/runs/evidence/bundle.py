"""Evidence: what a run's verdict rests on, as one file, and the verdict worked out from it again.

A bundle is a zip: verification.json, search.json, run.json, and unless it is to be anonymous
profile.json and the models' cards, the predictors that the search used, the journals of the jobs
that timed and ran them with raw samples, the logits from the target, from the host's engine and of
the int8 reference, the float file's classes, the test labels, and SHA256SUMS. Replaying needs no
board, no images and no model.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from device_runtime.json_text import read_json_text
from device_runtime.protocol import JOB_FILE, JOURNAL_FILE, Job, ProtocolError, parse_job
from edgenas.challenges.anonymity import anonymous
from edgenas.core.errors import RunFolderError
from edgenas.core.files.archive import MOST_BYTES, read_archive
from edgenas.core.files.arrays import read_array
from edgenas.core.files.run_folder import RunFolder, write_bytes
from edgenas.core.records import PredictedBy, Record, SearchResult, Verification, from_json

SUMS = "SHA256SUMS"
LABELS = "labels.npy"
HOST = "host_logits"
REFERENCE = "reference_logits"
FLOAT = "fp32_classes"
_VERDICT, _SEARCH = RunFolder.verification.name, RunFolder.search.name
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the only date in a zip that makes the same bytes every time


@dataclass(frozen=True, eq=False)
class Computed:
    """What this computer made of the test images, to hold the target's logits against.

    host : of the int8 file in the host's engine, reference : of its graph by the int8 reference,
        float32 [n, classes]. fp32_classes : that the float file chose, integer [n].
    """

    host: np.ndarray
    reference: np.ndarray
    fp32_classes: np.ndarray


def collect(
    folder: RunFolder,
    labels: np.ndarray,
    computed: Mapping[str, Computed],
    private: set[str] | None = None,
) -> dict[str, bytes]:
    """Return the files of a bundle by name.

    labels : of the test images, integer [n]. computed : by int8 file's SHA-256.
    private : `anonymity.private_words`, which the bundle is then without; None keeps all.

    Raises
    ------
    RunFolderError : the run is not verified, or its files cannot be read.
    """
    path = folder.require(folder.verification, "verify")
    files = {
        file.relative_to(folder.path).as_posix(): _read(file)
        for file in (
            *(path, folder.search, folder.config, folder.profile),
            *folder.models.glob("*.json"),
        )
        if file.exists()
    }
    verification, search = verification_of(files), search_of(files)
    used = [verified.predicted_by for verified in verification.models]
    files |= _predictors(folder, [*used, None if search is None else search.predicted_by])
    hashes = {verified.model.sha256 for verified in verification.models}
    for job_file in sorted(folder.jobs.rglob(JOB_FILE)):
        try:
            job = _job(_read(job_file), job_file.name)
        except RunFolderError:  # of an earlier edgenas: what rests on it is unknown when replayed
            continue
        if hashes & {model.sha256 for model in job.models}:
            for file in (job_file, *_results(job_file.parent)):
                files[file.relative_to(folder.path).as_posix()] = _read(file)
    files[LABELS] = _array(labels)
    for sha, made in computed.items():
        files[f"{HOST}/{sha}.npy"] = _array(made.host)
        files[f"{REFERENCE}/{sha}.npy"] = _array(made.reference)
        files[f"{FLOAT}/{sha}.npy"] = _array(made.fp32_classes)
    if private is not None:
        files = anonymous(files, private)
    sums = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return {**files, SUMS: "".join(sums).encode()}


def write(files: Mapping[str, bytes], path: Path) -> Path:
    """Write `files` as a bundle, the same bytes for the same files; return `path`."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name in sorted(files):
            bundle.writestr(zipfile.ZipInfo(name, _EARLIEST), files[name], zipfile.ZIP_DEFLATED, 6)
    write_bytes(path, stream.getvalue())
    return path


def read(path: Path) -> dict[str, bytes]:
    """Return the files of a bundle, each checked against its hash.

    path : of the zip, or of a folder of the same files, as a package has it.

    Raises
    ------
    RunFolderError : it is no bundle, it is damaged, or a file was changed, added or removed.
    """
    if path.exists() and not (path.is_dir() or path.is_file()):
        raise _unusable(path, "it is neither a file nor a folder")
    try:
        files = _folder(path) if path.is_dir() else read_archive(path)
    except (OSError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else problem
        raise _unusable(path, str(why)) from problem
    if SUMS not in files:
        raise _unusable(path, f"it has no {SUMS}")
    lines = files[SUMS].decode("utf-8", "replace").splitlines()
    stated = {line[66:]: line[:64] for line in lines}
    for name in sorted({*stated, *files} - {SUMS}):
        if name not in files or name not in stated:
            raise _unusable(path, f"{name} was added or removed after it was made")
        if hashlib.sha256(files[name]).hexdigest() != stated[name]:
            raise _unusable(path, f"{name} was changed after it was made")
    return files


def _folder(path: Path) -> dict[str, bytes]:
    """Return the files of a bundle's folder, or of a package's."""
    root = path / "evidence" if (path / "evidence" / SUMS).is_file() else path
    found = [x for x in sorted(root.rglob("*")) if x.is_file() and not x.is_symlink()]
    if sum(file.stat().st_size for file in found) > MOST_BYTES:
        raise _unusable(path, "it has more than 1 GiB")
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in found}


def verification_of(files: Mapping[str, bytes]) -> Verification:
    """Return the verdict that a bundle states; `RunFolderError` if it has none."""
    found = _record(files, _VERDICT, Verification)
    if found is None:
        raise RunFolderError(f"The bundle has no {_VERDICT}.", "Make it again from the run.")
    return found


def search_of(files: Mapping[str, bytes]) -> SearchResult | None:
    """Return what the search found; None if the bundle does not have it."""
    return _record(files, _SEARCH, SearchResult)


def predictor_name(sha256: str) -> str:
    """Return what the predictor of that content is called in a bundle."""
    return f"predictors/{sha256}.json"


def jobs_of(files: Mapping[str, bytes], sha256: str, kind: str) -> Iterator[tuple[str, Job]]:
    """Yield the folder and the job of each `kind` of job that had the model `sha256`."""
    for name in sorted(files):
        if name.endswith(f"/{JOB_FILE}"):
            job = _job(files[name], name)
            if job.kind == kind and sha256 in {model.sha256 for model in job.models}:
                yield name.removesuffix(JOB_FILE), job


def array_of(files: Mapping[str, bytes], name: str) -> np.ndarray | None:
    """Return the array `name`, None if the bundle has none; `RunFolderError` if it is broken."""
    if name not in files:
        return None
    try:
        return read_array(files[name])
    except ValueError as problem:
        raise RunFolderError(f"{name} in the bundle is no array: {problem}.") from problem


def _record(files: Mapping[str, bytes], name: str, kind: type[Record]) -> Record | None:
    if name not in files:
        return None
    try:
        document = read_json_text(files[name])
    except ValueError as problem:
        raise RunFolderError(f"{name} in the bundle is not valid: {problem}.") from problem
    return from_json(document, kind, f"{name} in the bundle", RunFolderError)


def _predictors(folder: RunFolder, used: Iterable[PredictedBy | None]) -> dict[str, bytes]:
    """Return the kept predictors that are named, by their names in a bundle."""
    found = {}
    for sha256 in {sha for one in used if one is not None for sha in one.predictors.values()}:
        path = folder.kept_predictor(sha256)
        again = f"Search again: edgenas optimize {folder.path}; then export and verify."
        if not path.exists():
            raise RunFolderError(f"{path} is gone: a search used this predictor.", again)
        found[predictor_name(sha256)] = _read(path)
        if hashlib.sha256(found[predictor_name(sha256)]).hexdigest() != sha256:
            raise RunFolderError(f"{path} was changed since a search used it.", again)
    return found


def _job(content: bytes, name: str) -> Job:
    try:
        return parse_job(content.decode("utf-8"))
    except (UnicodeDecodeError, ProtocolError) as problem:
        raise RunFolderError(f"{name} is no job: {problem}.") from problem


def _results(folder: Path) -> list[Path]:
    files = [*folder.glob(JOURNAL_FILE), *folder.glob("logits-*.npy")]
    return sorted(file for file in files if file.is_file())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise RunFolderError(f"Cannot read {path}: {problem.strerror}.") from problem


def _array(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(values), allow_pickle=False)
    return stream.getvalue()


def _unusable(path: Path, why: str) -> RunFolderError:
    return RunFolderError(
        f"The evidence {path} cannot be used: {why}.", "Ask for the bundle again, or make it anew."
    )
