"""Target files: TOML to `TargetConfig`, and from what the user typed to a `Target`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from edgenas import plugins
from edgenas.errors import InputError, nearest
from edgenas.records import from_json
from edgenas.targets.base import MeasureSettings, Target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

Scheme = Literal["u8s8", "s8s8"]
_PACKAGE = Path(__file__).resolve().parent
_SHIPPED_FOLDERS = (_PACKAGE / "shipped", _PACKAGE.parents[1] / "targets")  # wheel, checkout


@dataclass(frozen=True)
class Connection:
    """How to reach the target; the rest comes from the user's SSH configuration. No secrets."""

    host: str = ""
    user: str = ""
    port: int = 22
    key_file: str = ""
    jump_host: str = ""


@dataclass(frozen=True)
class Measuring:
    """What a target file may say about the protocol; see `MeasureSettings`. None: the default."""

    warmup_ms: float | None = None
    run_ms: float | None = None
    min_runs: int | None = None
    min_passes: int | None = None
    max_passes: int | None = None
    relative_ci: float | None = None


@dataclass(frozen=True)
class Limits:
    """Device time and silence after which measuring stops, in seconds. None: the default."""

    budget_s: float | None = None
    timeout_s: float | None = None


@dataclass(frozen=True)
class TargetConfig:
    """What a target file says.

    scheme : None for what suits the machine. affinity : cores to run on; empty for all.
    """

    name: str
    kind: str
    source: str  # the file it was read from, for messages
    engine: str = "onnxruntime"
    threads: int = 1
    affinity: tuple[int, ...] = ()
    scheme: Scheme | None = None
    connection: Connection = field(default_factory=Connection)
    measuring: Measuring = field(default_factory=Measuring)
    limits: Limits = field(default_factory=Limits)

    def settings(self, asked: MeasureSettings) -> MeasureSettings:
        """Return `asked` with the file's values wherever the caller left the default."""
        default = MeasureSettings()
        said = {
            name: value
            for table in (self.measuring, self.limits)
            for name, value in vars(table).items()
            if value is not None and getattr(asked, name) == getattr(default, name)
        }
        return MeasureSettings(**{**vars(asked), **said})


def shipped_files() -> dict[str, Path]:
    """Return the target files that come with edgenas: name -> path."""
    found: dict[str, Path] = {}
    for folder in _SHIPPED_FOLDERS:
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return found


def resolve(name_or_path: str) -> Target:
    """Return the target called `name_or_path`: a shipped name, or the path of a .toml file.

    Raises
    ------
    InputError : no such name or file, or a file with a wrong key or value.
    """
    if name_or_path.endswith(".toml"):
        return open_target(read(Path(name_or_path)))
    known = shipped_files()
    if name_or_path not in known:
        raise InputError(
            f"There is no target '{name_or_path}'.",
            f"{nearest(name_or_path, known)} Or give the path of a target file (.toml).",
        )
    return open_target(read(known[name_or_path]))


def open_target(config: TargetConfig) -> Target:
    """Return the target that `config` describes; `PluginError` if its kind is unknown."""
    target: Target = plugins.load("targets", config.kind).create(config)
    return target


def read(path: Path) -> TargetConfig:
    """Return the target file `path`; `InputError` names the file and the first wrong key."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"Cannot read the target file {path}: {problem}.") from problem
    except tomllib.TOMLDecodeError as problem:
        raise InputError(f"The target file {path} is not TOML: {problem}.") from problem
    _check_keys(document, TargetConfig, f"The target file {path}")
    given = {"name": path.stem, **document, "source": str(path)}
    for table, kind in (("connection", Connection), ("measuring", Measuring), ("limits", Limits)):
        if isinstance(given.get(table), dict):
            _check_keys(given[table], kind, f"The target file {path}, table [{table}],")
    return from_json(given, TargetConfig, f"The target file {path}")


def _check_keys(given: dict[str, Any], kind: type[Any], where: str) -> None:
    known = [item.name for item in fields(kind) if item.name != "source"]
    for key in given:
        if key not in known:
            raise InputError(f"{where} has an unknown key '{key}'.", nearest(key, known))
