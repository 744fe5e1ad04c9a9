"""What a board needs to measure: the runtime and its engine, sent once, named by their content."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from device_runtime import protocol
from edgenas.errors import MeasurementError, TargetError
from edgenas.progress import Progress
from edgenas.records import from_json
from edgenas.run_folder import write_bytes
from edgenas.targets import wheels
from edgenas.targets.board import Board
from edgenas.targets.connection import LONG_S, Connection
from edgenas.targets.runtime import RUNTIME
from edgenas.targets.wheels import Platform

_FORMAT = 1  # of the archives: another one makes others of the same wheels
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

    runtime : folder of the `device_runtime` package.
    """

    engine: str
    own: bool
    offline: bool
    runtime: Path = RUNTIME


@dataclass(frozen=True)
class Packages:
    """What the runtime is started with. own : engine and numpy are the board's."""

    names: tuple[str, ...]
    own: bool


@dataclass(frozen=True)
class Archive:
    """A package as sent: its name holds the hash of its content."""

    name: str
    files: tuple[Path, ...]  # wheels, or the folder of the runtime itself

    def content(self) -> bytes:
        """Return the .tar.gz, made once and kept on the host."""
        path = wheels.cache_folder() / "archives" / f"{self.name}.tar.gz"
        if not path.exists():
            write_bytes(path, _packed(_contents(self.files)))
        return path.read_bytes()


def provision(board: Board, wanted: Wanted, platform: Platform, progress: Progress) -> Packages:
    """Send what is missing, and check that the engine runs there.

    Raises
    ------
    TargetError : no wheels, no space, or the engine cannot be imported on the board.
    """
    runtime = wanted.runtime
    archives = [Archive(f"runtime-{_digest(runtime.rglob('*.py'), runtime)}", (runtime,))]
    if not wanted.own:
        files = wheels.resolve(wanted.engine, platform, wanted.offline)
        name = f"{wanted.engine}-{_digest(files, files[0].parent)}"
        archives.append(Archive(name, tuple(files)))
    packages = Packages(tuple(archive.name for archive in archives), wanted.own)
    stock, _ = board.ask("have", Stock, blobs=[], packages=packages.names)
    missing = [archive for archive in archives if archive.name not in stock.packages]
    for archive in missing:
        content = archive.content()
        blob = hashlib.sha256(content).hexdigest()
        send(board, {blob: content}, progress, f"Sending {archive.name.split('-')[0]}")
        board.ask("unpack", Done, blob=blob, package=archive.name, timeout_s=LONG_S)
    if missing:
        try:
            check(board, wanted.engine, packages)
        except TargetError:
            for archive in missing:
                board.ask("drop", Done, package=archive.name)
            raise
    return packages


def check(board: Board, engine: str, packages: Packages) -> str:
    """Return the version of `engine` that the board can import with these packages."""
    answer, content = board.ask(
        "check", Checked, packages=packages.names, own=packages.own, engine=engine, timeout_s=LONG_S
    )
    if answer.status != 0:
        raise TargetError(
            f"The runtime does not start on target '{board.name}': {answer.errors or 'silently'}.",
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
            raise TargetError(
                f"Target '{board.name}' has {free >> 20} MiB of disk free; "
                f"{_UNPACKED_SHARE * len(payload) >> 20} MiB are needed.",
                f"Make room there, for example: edgenas target clean '{board.name}'",
            )
        with progress.task(title, len(payload)) as task:
            connection.put(payload, {"blobs": wanted}, task.advance)

    board.retrying(attempt)


def _digest(files: Iterable[Path], root: Path) -> str:
    whole = hashlib.sha256(f"{_FORMAT} {_LEFT_OUT.pattern}".encode())
    for path in sorted(files):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(root).as_posix()} {digest}\n".encode())
    return whole.hexdigest()[:32]


def _contents(files: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield what a package consists of: path and content."""
    for path in files:
        if path.is_dir():
            for source in sorted(path.rglob("*.py")):
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
