"""From what the user typed to where and how to connect, by the user's own SSH configuration."""

from __future__ import annotations

import fnmatch
import getpass
import io
import re
from dataclasses import dataclass
from pathlib import Path

import paramiko

from edgenas.errors import InputError
from edgenas.targets.address import Connection, parse_address

_MAX_INCLUDES = 16
_MAX_JUMPS = 8


@dataclass(frozen=True)
class Endpoint:
    """One SSH server. `alias` is what the user calls it; jump : the one to go through first."""

    alias: str
    host: str
    port: int
    user: str
    key_files: tuple[str, ...] = ()
    only_these_keys: bool = False
    known_hosts: tuple[Path, ...] = ()
    jump: Endpoint | None = None
    proxy_command: str | None = None

    @property
    def known_name(self) -> str:
        """The name in known_hosts: port 22 has no brackets."""
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


def aliases() -> list[str]:
    """Return the hosts that the user's SSH configuration names, without patterns."""
    hosts = (host for host in _configuration().get_hostnames())
    return sorted(host for host in hosts if not any(sign in host for sign in "*?!"))


def endpoint(connection: Connection, depth: int = 0) -> Endpoint:
    """Return where `connection` leads, completed by the user's SSH configuration.

    Raises
    ------
    InputError : the configuration cannot be read, or its jump hosts go round in a circle.
    """
    if depth > _MAX_JUMPS:
        raise InputError(f"The jump hosts of '{connection.host}' do not end.", "See ~/.ssh/config.")
    said = _configuration().lookup(connection.host)
    keys = [connection.key_file] if connection.key_file else said.get("identityfile", [])
    jump = connection.jump_host or said.get("proxyjump", "")
    # several jumps are gone through in their order: the last one is the next to the board
    before, _, last = jump.rpartition(",")
    through = None
    if jump and jump.lower() != "none":
        hop = parse_address(last.strip())
        hop = Connection(hop.host, hop.user, hop.port, jump_host=before)
        through = endpoint(hop, depth + 1)
    command = said.get("proxycommand")
    return Endpoint(
        alias=connection.host,
        host=said.get("hostname", connection.host),
        port=connection.port or int(said.get("port", 22)),
        user=connection.user or said.get("user") or getpass.getuser(),
        key_files=tuple(str(Path(key).expanduser()) for key in keys),
        only_these_keys=said.get("identitiesonly", "no").lower() == "yes",
        known_hosts=_known_hosts(said.get("userknownhostsfile", "")),
        jump=through,
        proxy_command=command if through is None and command != "none" else None,
    )


def _known_hosts(said: str) -> tuple[Path, ...]:
    files = said.split() or ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]
    return tuple(Path(file).expanduser() for file in files)


def _configuration() -> paramiko.SSHConfig:
    path = Path("~/.ssh/config").expanduser()
    try:
        return paramiko.SSHConfig.from_file(io.StringIO("\n".join(_lines(path, 0))))
    except (OSError, UnicodeDecodeError, paramiko.ConfigParseError, ValueError) as problem:
        raise InputError(f"Cannot read {path}: {problem}.") from problem


def _lines(path: Path, depth: int) -> list[str]:
    """Return the lines of a configuration with what it includes in their place."""
    if not path.exists() or depth > _MAX_INCLUDES:
        return []
    lines: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        words = re.split(r"[\s=]+", line.strip(), maxsplit=1)
        if words[0].lower() != "include" or len(words) < 2:
            lines.append(line)
            continue
        for pattern in words[1].split():
            for file in _matching(pattern.strip('"')):
                lines += _lines(file, depth + 1)
    return lines


def _matching(pattern: str) -> list[Path]:
    whole = Path("~/.ssh").expanduser() / Path(pattern).expanduser()
    names = whole.parent.iterdir() if whole.parent.is_dir() else iter(())
    return sorted(path for path in names if fnmatch.fnmatch(path.name, whole.name))
