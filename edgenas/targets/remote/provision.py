"""What a board needs to measure: the runtime and its engine, sent once, named by their content."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from device_runtime import protocol
from device_runtime.board_files import content_digest
from edgenas.core.errors import InputError, MeasurementError, TargetError
from edgenas.core.files.cache import cache_folder
from edgenas.core.files.run_folder import read_json, write_bytes, write_json
from edgenas.core.progress import Progress
from edgenas.core.records import from_json, to_json
from edgenas.targets.jobs.runtime import RUNTIME
from edgenas.targets.remote import wheels
from edgenas.targets.remote.board import Board
from edgenas.targets.remote.connection import LONG_S, Connection, make_room
from edgenas.targets.remote.wheels import Platform

_FORMAT = 2  # of the archives: another one makes others of the same wheels
_UNPACKED_SHARE = 5  # an unpacked archive takes at most so many times its size
# What only developers need, and half of all files: unpacking them on a slow card takes minutes.
_LEFT_OUT = re.compile(
    r"/tests?/|\.pyi$|\.h$|^numpy/(f2py|distutils)/|"
    r"^onnxruntime/(backend|datasets|quantization|tools|transformers)/"
)


@dataclass(frozen=True)
class Stock:
    """What is on the board: answer to `have`."""

    blobs: dict[str, int]
    packages: list[str]
    free_bytes: int


@dataclass(frozen=True)
class Done:
    """An answer without content."""


@dataclass(frozen=True)
class Checked:
    status: int
    errors: str


@dataclass(frozen=True)
class Wanted:
    """What shall run. own : engine and numpy are the board's. offline : nothing is downloaded.

    runtime : folder of the `device_runtime` package. engine_version : empty for the host's.
    """

    engine: str
    own: bool
    offline: bool
    runtime: Path = RUNTIME
    engine_version: str = ""


@dataclass(frozen=True)
class Packages:
    """What the runtime is started with. own : engine and numpy are the board's."""

    names: tuple[str, ...]
    own: bool


@dataclass(frozen=True)
class Archive:
    """A package as sent. name : ends in the hash of the files in it, by which the board knows it.

    kept : the .tar.gz, made once and kept on the host. sha256 : of its content.
    """

    name: str
    kept: Path
    sha256: str


def archive(label: str, sources: Sequence[Path]) -> Archive:
    """Return the archive of wheels, or of the folder of the runtime; it is made if need be."""
    folder = cache_folder() / "archives"
    key = f"{label}-{_digest(sources)}"
    about = folder / f"{key}.json"
    try:
        known = from_json(read_json(about), _Kept, "A kept archive")
    except InputError:
        known = None
    if known is not None:
        found = Archive(known.package, folder / f"{key}.tar.gz", known.sha256)
        if found.kept.exists() and _sha256(found.kept.read_bytes()) == found.sha256:
            return found
    files = list(_contents(sources))
    content = _packed(files)
    name = f"{label}-{content_digest((path, _sha256(inside)) for path, inside in files)}"
    write_bytes(folder / f"{key}.tar.gz", content)
    write_json(about, to_json(_Kept(name, _sha256(content))))
    return Archive(name, folder / f"{key}.tar.gz", _sha256(content))


@dataclass(frozen=True)
class _Kept:
    """What is known of a kept archive: its package's name, and the SHA-256 of its content."""

    package: str
    sha256: str


def provision(board: Board, wanted: Wanted, platform: Platform, progress: Progress) -> Packages:
    """Send what is missing, and check that the engine runs there.

    Raises
    ------
    TargetError : no wheels, no space, or the engine cannot be imported on the board.
    """
    archives = [archive("runtime", [wanted.runtime])]
    if not wanted.own:
        files = wheels.for_board(wanted.engine, platform, wanted.offline, wanted.engine_version)
        said = wheels.other_than_hosts(wanted.engine, files, platform, wanted.engine_version)
        if said:
            progress.warning(said)
        archives.append(archive(wanted.engine, files))
    packages = Packages(tuple(one.name for one in archives), wanted.own)
    stock, _ = board.ask("have", Stock, blobs=[], packages=packages.names, timeout_s=LONG_S)
    missing = [one for one in archives if one.name not in stock.packages]
    for one in missing:
        blobs = {one.sha256: one.kept.read_bytes()}
        send(board, blobs, progress, f"Sending {one.name.split('-')[0]}")
        board.ask("unpack", Done, blob=one.sha256, package=one.name, timeout_s=LONG_S)
    if missing:
        try:
            check(board, wanted.engine, packages)
        except TargetError:
            for one in missing:
                board.ask("drop", Done, package=one.name)
            raise
    return packages


def check(board: Board, engine: str, packages: Packages) -> str:
    """Return the version of `engine` that the board can import with these packages."""
    answer, content = board.ask(
        "check", Checked, packages=packages.names, own=packages.own, engine=engine, timeout_s=LONG_S
    )
    if answer.status != 0:
        printed = " ".join(content[-600:].decode("utf-8", "replace").split())
        said = answer.errors or printed or f"it ended with status {answer.status}, without a word"
        raise TargetError(
            f"The runtime does not start on target '{board.name}': {said}.",
            f"See what it has: edgenas probe --target '{board.name}'",
        )
    try:
        profile = protocol.parse_profile(content.decode("utf-8", "replace"))
    except protocol.ProtocolError as problem:
        raise MeasurementError(
            f"The runtime on target '{board.name}' answered wrongly: {problem}."
        ) from problem
    if engine not in profile.engines:
        raise TargetError(
            f"The engine {engine} cannot be imported on target '{board.name}'"
            f"{': ' + answer.errors if answer.errors else ''}.",
            f"Install it there: python3 -m pip install {engine}"
            if packages.own
            else "Its wheels do not run there: choose another engine in the target file.",
        )
    return profile.engines[engine]


def send(board: Board, blobs: dict[str, bytes], progress: Progress, title: str) -> None:
    """Send blobs, by SHA-256, that the board does not have; a cut link goes on where it was cut."""

    def missing(connection: Connection) -> tuple[list[list[object]], bytes, int]:
        answer, _ = connection.ask("have", b"", LONG_S, {"blobs": list(blobs), "packages": []})
        stock = from_json(answer, Stock, f"The stock of target '{board.name}'", MeasurementError)
        wanted: list[list[object]] = []
        payload = b""
        for name, content in blobs.items():
            arrived = stock.blobs.get(name, 0)
            if arrived >= 0:
                start = arrived if arrived <= len(content) else 0
                wanted.append([name, start, len(content)])
                payload += content[start:]
        return wanted, payload, stock.free_bytes

    def attempt(connection: Connection) -> None:
        wanted, payload, free = missing(connection)
        if not wanted:
            return
        if _UNPACKED_SHARE * len(payload) > free:
            answer, _ = connection.ask("room", b"", LONG_S, {})
            raise TargetError(
                f"Target '{board.name}' has {free / 2**20:.1f} MiB of disk free; "
                f"{_UNPACKED_SHARE * len(payload) / 2**20:.1f} MiB are needed.",
                make_room(board.name, answer.get("folder"), answer.get("kept_bytes")),
            )
        with progress.task(title, len(payload)) as task:
            connection.put(payload, {"blobs": wanted}, task.advance)

    board.retrying(attempt)


def _digest(sources: Iterable[Path]) -> str:
    """Return a hash of what an archive is made from."""
    whole = hashlib.sha256(f"{_FORMAT} {_LEFT_OUT.pattern}".encode())
    for source in sources:
        for path in _files(source):
            digest = _sha256(path.read_bytes())
            whole.update(f"{path.relative_to(source.parent).as_posix()} {digest}\n".encode())
    return whole.hexdigest()[:32]


def _files(source: Path) -> list[Path]:
    return sorted(source.rglob("*.py")) if source.is_dir() else [source]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _contents(files: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield what a package consists of: path and content."""
    for path in files:
        if path.is_dir():
            for source in _files(path):
                yield f"device_runtime/{source.relative_to(path).as_posix()}", source.read_bytes()
            continue
        with zipfile.ZipFile(path) as wheel:
            for entry in sorted(wheel.namelist()):
                inside = entry.split(".data/purelib/")[-1].split(".data/platlib/")[-1]
                if not entry.endswith("/") and not _LEFT_OUT.search(inside):
                    yield inside, wheel.read(entry)


def _packed(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a .tar.gz that is the same for the same files."""
    stream = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", mtime=0, compresslevel=6) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()
