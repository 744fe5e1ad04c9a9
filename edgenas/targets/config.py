"""Target files: TOML to `TargetConfig`, and from what the user typed to a `Target`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from edgenas.core import plugins
from edgenas.core.errors import InputError, nearest
from edgenas.core.files.toml import read_toml
from edgenas.core.records import from_json
from edgenas.hardware.devices import FpgaSetup
from edgenas.int8.engines.scheme import Scheme, default_scheme
from edgenas.targets.base import MeasureSettings, Target
from edgenas.targets.remote.address import Connection, parse_address

FPGA = "fpga"  # the kind of target that is estimated
_PACKAGE = Path(__file__).resolve().parent
_SHIPPED_FOLDERS = (_PACKAGE / "shipped", _PACKAGE.parents[1] / "targets")  # wheel, checkout


@dataclass(frozen=True)
class BoardSetup:
    """What is used on a board.

    python : its Python, 3.8 or newer. packages : "sent", the engine comes from the host, or "own",
    it is installed there. engine_version : of what is sent; empty for the host's.
    cache_dir : where things are kept; empty for the user's cache folder.
    silence_s : without a whole answer, after which the link is made again. reconnect_s : without a
    link, after which the board is given up. answer_mb : length of an answer, and of what a shell
    says at login. slowest_kb_s : least speed of files, below which the link counts as lost.
    """

    python: str = "python3"
    packages: Literal["sent", "own"] = "sent"
    engine_version: str = ""
    cache_dir: str = ""
    silence_s: float = 20.0
    reconnect_s: float = 300.0
    answer_mb: float = 1.0
    slowest_kb_s: float = 2.0

    def __post_init__(self) -> None:
        """Raise `ValueError` for a limit that is none."""
        for name in ("silence_s", "answer_mb", "slowest_kb_s"):
            _require_limit(name, getattr(self, name))


@dataclass(frozen=True)
class Access:
    """What the user allows a remote target beyond its target file.

    ask_password : returns a secret for a prompt; None where nobody can be asked.
    offline : nothing is downloaded. told : takes messages, such as an accepted host key.
    """

    accept_new_host_key: bool = False
    ask_password: Callable[[str], str] | None = None
    offline: bool = False
    told: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Measuring:
    """What a target file may say about the protocol; see `MeasureSettings`. None: the default."""

    warmup_ms: float | None = None
    run_ms: float | None = None
    min_runs: int | None = None
    min_passes: int | None = None
    max_passes: int | None = None
    relative_ci: float | None = None
    busy_tolerance: float | None = None
    clock_tolerance: float | None = None
    heat_tolerance: float | None = None
    energy_s: float | None = None


@dataclass(frozen=True)
class Limits:
    """After which measuring stops. None: the default of `MeasureSettings`.

    budget_s : device time. timeout_s : silence of a model. stalled_s : of a job at work, without a
    new record in its journal. journal_mb : length of a job's journal, and of all its logits.
    """

    budget_s: float | None = None
    timeout_s: float | None = None
    stalled_s: float = 1800.0
    journal_mb: float = 256.0

    def __post_init__(self) -> None:
        """Raise `ValueError` for a limit that is none."""
        for name in ("stalled_s", "journal_mb"):
            _require_limit(name, getattr(self, name))


def _require_limit(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is {value}: it must be above 0")


@dataclass(frozen=True)
class TargetConfig:
    """What a target file says.

    scheme : None for what suits the machine. affinity : cores to run on; empty for all.
    fpga : of a target of kind "fpga" alone.
    any_engine : no engine is named, so that a run takes the fastest; `engine` is the usual one.
    """

    name: str
    kind: str
    source: str  # the file it was read from, for messages
    engine: str = "onnxruntime"
    threads: int = 1
    affinity: tuple[int, ...] = ()
    scheme: Scheme | None = None
    connection: Connection = field(default_factory=Connection)
    board: BoardSetup = field(default_factory=BoardSetup)
    measuring: Measuring = field(default_factory=Measuring)
    limits: Limits = field(default_factory=Limits)
    fpga: FpgaSetup | None = None
    any_engine: bool = False

    def settings(self, asked: MeasureSettings) -> MeasureSettings:
        """Return `asked` with the file's values wherever the caller left the default."""
        default = vars(MeasureSettings())
        said = {
            name: value
            for table in (self.measuring, self.limits)
            for name, value in vars(table).items()
            if value is not None and name in default and getattr(asked, name) == default[name]
        }
        return MeasureSettings(**{**vars(asked), **said})


_NOT_KEYS = ("source", "any_engine")  # of TargetConfig, that no file sets
_TABLES: dict[str, type[Any]] = {
    "connection": Connection,
    "board": BoardSetup,
    "measuring": Measuring,
    "limits": Limits,
    "fpga": FpgaSetup,
}


def shipped_files() -> dict[str, Path]:
    """Return the target files that come with edgenas: name -> path."""
    found: dict[str, Path] = {}
    for folder in _SHIPPED_FOLDERS:
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return found


def resolve(
    name: str,
    access: Access | None = None,
    machine: str = "",
    engine: str | None = None,
    scheme: Scheme | None = None,
) -> Target:
    """Return the target called `name`.

    name : a shipped name, the path of a .toml file, `user@host[:port]`, or a host of the user's
        SSH configuration.
    machine : what an earlier probe called its processor ("aarch64"), so that a board need not be
        asked for it.
    engine : in place of the file's; the target is then called after both, and the scheme that the
        file gives for its own engine does not count.
    scheme : in place of the file's, and of the one that is usual on such a machine.

    Raises
    ------
    InputError : there is none of that name, or its file has a wrong key or value.
    """
    config = find(name)
    if engine is not None:
        kept = config.scheme if engine == config.engine else None
        config = replace(
            config, name=f"{config.name}-{engine}", engine=engine, scheme=kept, any_engine=False
        )
    if scheme is not None:
        config = replace(config, scheme=scheme)
    if machine and config.scheme is None:
        config = replace(config, scheme=default_scheme(machine, config.engine))
    return open_target(config, access)


def find(name: str) -> TargetConfig:
    """Return what is known of the target called `name`; see `resolve`."""
    known = shipped_files()
    if name.endswith(".toml"):
        return read(Path(name))
    if name in known:
        return read(known[name])
    from edgenas.targets.remote import ssh_config  # loads paramiko

    if not ssh_config.is_host(name):
        names = {*known, *ssh_config.aliases()}
        raise InputError(
            f"There is no target '{name}'.",
            f"{nearest(name, names)} Or give user@host, or the path of a target file (.toml).",
        )
    address = parse_address(name)
    return TargetConfig(name, "ssh", "the command line", connection=address, any_engine=True)


def is_fpga(name: str) -> bool:
    """Return whether a shipped name, or a target file that is there, is of kind "fpga"."""
    path = Path(name) if name.endswith(".toml") else shipped_files().get(name)
    return path is not None and path.exists() and read_toml(path).get("kind") == FPGA


def open_target(config: TargetConfig, access: Access | None = None) -> Target:
    """Return the target that `config` describes; `PluginError` if its kind is unknown."""
    create = plugins.load("targets", config.kind).create
    target: Target = create(config, access or Access())
    return target


def read(path: Path) -> TargetConfig:
    """Return the target file `path`; `InputError` names the file and the first wrong key."""
    document = read_toml(path)
    if document.get("kind") == "table":
        raise InputError(
            f"{path} is a measured table: there is no machine behind it to run models on.",
            f"Search it with: edgenas search --target {path}",
        )
    _check_keys(document, TargetConfig, f"The target file {path}")
    any_engine = "engine" not in document and document.get("kind") != FPGA
    if "fpga" in document and document.get("kind") != FPGA:
        raise InputError(
            f"The target file {path} has a table [fpga], but is of kind '{document.get('kind')}'.",
            'Write kind = "fpga", or remove the table.',
        )
    given = {"name": path.stem, **document, "source": str(path), "any_engine": any_engine}
    for table, kind in _TABLES.items():
        if isinstance(given.get(table), dict):
            _check_keys(given[table], kind, f"The target file {path}, table [{table}],")
    return from_json(given, TargetConfig, f"The target file {path}")


def _check_keys(given: dict[str, Any], kind: type[Any], where: str) -> None:
    known = [item.name for item in fields(kind) if item.name not in _NOT_KEYS]
    for key in given:
        if key not in known:
            raise InputError(f"{where} has an unknown key '{key}'.", nearest(key, known))
