"""Spaces from a file: FILE.py, which defines `create`, FILE.toml, a stage table, or FILE.json.

A FILE.py is code. It is run only where the user named it in this process, as `--space FILE.py`, and
only with the content that it had then: what a run folder says of a file runs nothing.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

from edgenas.core import plugins
from edgenas.core.contracts import SpaceMember
from edgenas.core.errors import InputError, PluginError
from edgenas.core.files.regular import require_regular
from edgenas.spaces.base import MobileSpace
from edgenas.spaces.imported import ImportedNetwork, read_imported
from edgenas.spaces.stage_table import StageTable, read_stage_table

SUFFIXES = (".py", ".toml", ".json")
MOST_BYTES = 2**20
_named: set[str] = set()  # SHA-256 of each FILE.py that the user named


class Member(Protocol):
    """A member of the family "spaces"."""

    @property
    def create(self) -> Callable[[int, int, int], MobileSpace]: ...

    @property
    def purpose(self) -> str:
        """What the space is for, in a sentence; "" where it does not say."""
        ...


@dataclass(frozen=True)
class _Installed:
    module: ModuleType

    @property
    def purpose(self) -> str:
        return (self.module.__doc__ or "").split("\n")[0].partition(": ")[2]

    def create(self, num_classes: int, in_channels: int, image_size: int) -> MobileSpace:
        space: MobileSpace = self.module.create(num_classes, in_channels, image_size)
        return space


@dataclass(frozen=True)
class SpaceFile:
    """A file that defines a space, as it was read: its content and what that hashes to."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def is_code(self) -> bool:
        return self.path.suffix == ".py"


def is_file(space: str) -> bool:
    """Return whether `space`, as of --space, names a file; else it names a plug-in."""
    return space.endswith(SUFFIXES)


def read(path: Path) -> SpaceFile:
    """Return a file; `InputError` if it cannot be read."""
    require_regular(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as problem:
        reason = problem.strerror or problem
        raise InputError(
            f"Cannot read the space {path}: {reason}.", "Name a file that is there with --space."
        ) from problem
    if len(content) > MOST_BYTES:
        raise InputError(f"The space {path} is too large: {MOST_BYTES >> 20} MiB are allowed.")
    return SpaceFile(path, content)


def name(path: Path) -> SpaceFile:
    """Return a file that the user names, so that it may be run in this process."""
    file = read(path)
    _named.add(file.sha256)
    return file


def find(space: str) -> Member:
    """Return the space that the user names: a plug-in's name, or a file, which may be run.

    Raises
    ------
    PluginError : no such plug-in, or it cannot be used. InputError : the file cannot be used.
    """
    return of_file(name(Path(space))) if is_file(space) else find_installed(space)


def find_installed(space: str) -> Member:
    """Return the space that is a plug-in of that name; `PluginError` if there is none."""
    return _Installed(plugins.load("spaces", space))


def of_file(file: SpaceFile) -> Member:
    """Return the space that a file defines.

    Raises
    ------
    InputError : it is code that the user did not name, or no space; the message says in which line.
    """
    if file.path.suffix == ".json":
        return _Checked(file, read_imported(file.path, file.content))
    if not file.is_code:
        return _Checked(file, read_stage_table(file.path, file.content))
    if file.sha256 not in _named:
        raise PluginError(
            f"The space of this run is Python code, {file.path}, which is run only where you name "
            "it.",
            f"Read it, then add: --space {file.path}",
        )
    module = ModuleType(f"edgenas_space_{file.sha256[:12]}")
    module.__file__ = str(file.path)
    with _told(file):
        exec(compile(file.content, str(file.path), "exec"), module.__dict__)
    missing = plugins.lacks(SpaceMember, module)
    if missing:
        raise PluginError(f"The space {file.path} cannot be used: {'; '.join(missing)}.")
    return _Checked(file, _Installed(module))


@dataclass(frozen=True)
class _Checked:
    """A member from a file, whose space must be one and not take the name of an installed one."""

    file: SpaceFile
    member: _Installed | StageTable | ImportedNetwork

    @property
    def purpose(self) -> str:
        return self.member.purpose

    def create(self, num_classes: int, in_channels: int, image_size: int) -> MobileSpace:
        with _told(self.file):
            space = self.member.create(num_classes, in_channels, image_size)
        if not isinstance(space, MobileSpace):
            raise PluginError(
                f"The space {self.file.path} cannot be used: create() returns a "
                f"{type(space).__name__}.",
                "Return a MobileSpace of edgenas.spaces.base.",
            )
        if space.name in plugins.names("spaces"):
            raise PluginError(
                f"The space {self.file.path} calls itself '{space.name}', as an installed one is.",
                "Give it a name of its own.",
            )
        return space


class _told:  # noqa: N801 - used as a function
    """Say in one line what the user's code raised, and in which line of the file."""

    def __init__(self, file: SpaceFile) -> None:
        self.file = file

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, problem: BaseException | None, _: object) -> None:
        if problem is None or isinstance(problem, (InputError, KeyboardInterrupt)):
            return
        line: int | None = None
        if isinstance(problem, SyntaxError):
            line = problem.lineno
        for frame in traceback.extract_tb(problem.__traceback__):
            if frame.filename == str(self.file.path):
                line = frame.lineno
        where = f"{self.file.path}, line {line}" if line else str(self.file.path)
        why = f"{type(problem).__name__}: {problem}".splitlines()[0]
        raise PluginError(f"The space {where}: {why}.", "Mend the file.") from problem
