"""Options that name a file or folder: stored absolutely, so that a run opens from any folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgenas.core.run_options import OPTIONS

_PREFIXED = ("imagefolder", "hf", "pretrained")  # data sets whose argument may be a path


def absolute(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a command with the paths among them absolute."""
    return _with_paths(asked, _from_here)


def anchored(stored: dict[str, Any], run: Path) -> dict[str, Any]:
    """Return the options of a run folder with the paths among them absolute.

    A run of an earlier edgenas has them relative to the folder that it was started from: that is
    this one, or else a folder that `run` lies in.
    """

    def anchor(path: str) -> str:
        if Path(path).is_absolute() or path.startswith("~/"):
            return _from_here(path)
        folders = (Path.cwd(), *Path(_from_here(str(run))).parents)
        there = (folder / path for folder in folders if (folder / path).exists())
        return _from_here(str(next(there, path)))

    return _with_paths(stored, anchor)


def _with_paths(options: dict[str, Any], absolute_path: Callable[[str], str]) -> dict[str, Any]:
    return {**options, **dict(_paths(options, absolute_path))}


def _paths(
    options: dict[str, Any], absolute_path: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    """Yield (option, value) of those that name a path."""
    for name, option in OPTIONS.items():
        value = options.get(name)
        if isinstance(value, str) and value and value.endswith(option.path_endings):
            yield name, absolute_path(value)
    data = options.get("data")
    if not isinstance(data, str):
        return
    kind, _, argument = data.partition(":")
    if not argument or kind not in _PREFIXED:
        return
    path = absolute_path(argument)
    is_path = {
        "imagefolder": True,
        "hf": Path(path).exists(),
        "pretrained": argument.endswith(".safetensors"),
    }
    if is_path[kind]:
        yield "data", f"{kind}:{path}"


def _from_here(path: str) -> str:
    """Return a path absolute, links not followed; a shell leaves "~" in the middle of a word."""
    home = Path.home() / path[2:] if path.startswith("~/") else Path(path)
    return os.path.normpath(Path.cwd() / home)
