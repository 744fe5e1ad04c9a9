"""Defaults of options from `edgenas.toml`: in the working folder, and in the user's own.

The file in the working folder may be another's: it may have come with a folder that was sent. So it
can only say what harms nobody, and nothing that is run, connected to or downloaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edgenas.cli.terminal import is_quiet, say
from edgenas.core.errors import InputError, nearest
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.run_options import OPTIONS, option_of, taken_by

NAME = "edgenas.toml"
_LIBERTIES = {"strict": ("search", "verify", "report", "submit"), "offline": ("search", "measure")}


@dataclass(frozen=True)
class Default:
    """One value of a file, as it stands there."""

    value: Any
    file: Path


def apply(command: str, parameters: list[click.Parameter], values: dict[str, Any]) -> None:
    """Put the files' defaults into `values` where the command line gave nothing, and say so.

    Only what begins a run takes them: a run that is there has its own.

    Raises
    ------
    InputError : a file cannot be read, or has a wrong key or value; names it.
    """
    taken = set(_taken(command, values))
    said: dict[Path, list[str]] = {}
    for name, default in _read().items() if taken else ():
        if name not in taken:
            continue
        for parameter in parameters:
            is_it = isinstance(parameter, click.Option) and name in _names(parameter)
            if is_it and values.get(parameter.name or "") in (None, (), False):
                values[parameter.name or ""] = _converted(parameter, name, default)
                said.setdefault(default.file, []).append(f"{name} {_text(default.value)}")
    for file, texts in said.items():
        if not is_quiet():
            say(f"defaults of {file}: {', '.join(texts)}", err=True)


def _taken(command: str, values: dict[str, Any]) -> Iterator[str]:
    """Return the options that a command takes from files, by their long names."""
    yield from (name for name, commands in _LIBERTIES.items() if command in commands)
    run = values.get("run") or values.get("out")
    folder = None if run is None else RunFolder(Path(run))
    is_begun = folder is not None and (folder.config.exists() or folder.boards.exists())
    if command == "profile":
        yield from ("target", "engine")
    if is_begun or values.get("resume"):
        return
    if command in ("search", "measure") or (command == "train" and run is not None):
        yield from _settable()
    elif command == "train":
        yield from (_long(name) for name in taken_by("train -o"))


def _settable() -> list[str]:
    return [*map(_long, OPTIONS)]


def _long(name: str) -> str:
    return option_of(name).removeprefix("--")


def _names(parameter: click.Parameter) -> list[str]:
    return [name.removeprefix("--") for name in parameter.opts]


def _read() -> dict[str, Default]:
    """Return the values of both files; those of the working folder count before the user's."""
    from edgenas.core.files.toml import read_toml

    known = [*_settable(), *_LIBERTIES]
    defaults: dict[str, Default] = {}
    here, own = Path(NAME), _own_folder() / NAME
    for file in (own, here):
        if not file.exists() or (file is here and own.exists() and own.samefile(here)):
            continue
        for key, value in read_toml(file).items():
            if key not in known:
                raise InputError(f"{file} has an unknown key '{key}'.", nearest(key, known))
            if file is here:
                _require_harmless(file, key, value)
            defaults[key] = Default(value, file)
    return defaults


def _own_folder() -> Path:
    given = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(given) if given.startswith("/") else Path.home() / ".config") / "edgenas"


def _require_harmless(file: Path, key: str, value: Any) -> None:
    """Raise `InputError` for what a folder of somebody else's must not decide."""
    why = ""
    for text in value if isinstance(value, list) else [value]:
        if key == "space" and str(text).endswith(".py"):
            why = "code is run only where you name it"
        elif key == "target" and re.search(r"[@:/]|\.toml$", str(text)):
            why = "a board is reached only where you name it"
        elif key == "data" and not re.match(r"digits$|imagefolder:", str(text)):
            why = "data is downloaded only where you name it"
    if why:
        raise InputError(
            f"{file} cannot say {key} = {_text(value)}: {why}.",
            f"Give --{key} on the command line, or say it in {_own_folder() / NAME}.",
        )


def _converted(parameter: click.Parameter, name: str, default: Default) -> Any:
    values = default.value if isinstance(default.value, list) else [default.value]
    is_flag = getattr(parameter, "is_flag", False)
    try:
        if is_flag != isinstance(values[0] if values else "", bool):
            raise click.BadParameter("it is true or false" if is_flag else "it is no true or false")
        if len(values) != 1 and not parameter.multiple:
            raise click.BadParameter("it has one value")
        if is_flag:
            return values[0]
        read = [parameter.type.convert(str(value), parameter, None) for value in values]
    except click.BadParameter as problem:
        raise InputError(f"{default.file}: {name}: {problem.message}.") from problem
    return tuple(read) if parameter.multiple else read[0]


def _text(value: Any) -> str:
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)
