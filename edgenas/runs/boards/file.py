"""boards.json: what a run of several boards, or engines, was started with, and its folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgenas import __version__
from edgenas.core.errors import InputError, RunFolderError
from edgenas.core.files.run_folder import RunFolder, read_json
from edgenas.core.records import from_json
from edgenas.runs.config import RunConfig
from edgenas.runs.named_paths import anchored
from edgenas.targets.config import resolve

FORMAT_VERSION = 1
Place = tuple[str, "str | None"]  # a target, and an engine in place of its own


@dataclass(frozen=True)
class BoardsFile:
    """What boards.json says: targets, engines, and the other options that all boards share."""

    edgenas_boards: int
    version: str
    targets: tuple[str, ...]
    asked: dict[str, Any]
    engines: tuple[str, ...] = ()

    @property
    def places(self) -> list[Place]:
        """Every target with every engine; with its own if none was asked for."""
        engines: tuple[str | None, ...] = self.engines or (None,)
        return [(target, engine) for target in self.targets for engine in engines]


def is_several(path: Path) -> bool:
    """Return whether the folder holds a run of several boards."""
    return RunFolder(path).boards.exists()


def stated(
    path: Path, targets: Sequence[str], engines: Sequence[str], asked: dict[str, Any], resume: bool
) -> BoardsFile:
    file = RunFolder(path).boards
    if not file.exists():
        if path.exists() and (not path.is_dir() or RunFolder(path).others()):
            raise RunFolderError(
                f"{path} exists and is not a run of several boards.",
                "Choose an empty or new folder with --out.",
            )
        named = tuple(targets) or (RunConfig.target,)
        return BoardsFile(FORMAT_VERSION, __version__, named, asked, tuple(engines))
    if not resume:
        raise RunFolderError(
            f"{path} holds a run already.", "Go on with --resume, or choose another --out."
        )
    RunFolder(path).require_inside()
    known = from_json(read_json(file), BoardsFile, str(file), RunFolderError)
    began = tuple(anchored({"target": one}, path)["target"] for one in known.targets)
    known = replace(known, targets=began, asked=anchored(known.asked, path))
    if known.edgenas_boards > FORMAT_VERSION:
        raise RunFolderError(
            f"{path} has format {known.edgenas_boards}; this edgenas reads {FORMAT_VERSION}.",
            "Upgrade edgenas, or start a new run with another --out.",
        )
    for option, given, began in (
        ("target", targets, known.targets),
        ("engine", engines, known.engines),
    ):
        if given and set(given) != set(began):
            raise RunFolderError(
                f"This run was started with the {option}s {', '.join(began) or '(none named)'}.",
                f"Leave --{option} out, or start a new run with another --out.",
            )
    return replace(known, version=__version__, asked={**known.asked, **asked})


def board_paths(path: Path, places: Sequence[Place]) -> dict[Place, Path]:
    """Return the run folder of each place; `InputError` if two cannot be told apart."""
    paths: dict[Place, Path] = {}
    for target, engine in places:
        name = resolve(target, engine=engine).name
        folder = path / "boards" / (re.sub(r"[^\w.@+-]+", "_", name).strip(".-") or "board")
        if folder in paths.values():
            raise InputError(
                f"Two of the targets are called '{name}'.",
                'Give each a name of its own in its target file: name = "kitchen pi"',
            )
        paths[target, engine] = folder
    return paths
