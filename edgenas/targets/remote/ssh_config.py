"""From what the user typed to where and how to connect, by the user's own SSH configuration."""

from __future__ import annotations

import os
import re
import shlex
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgenas.core.errors import InputError
from edgenas.targets.openssh import client, config_file, patterns, tokens
from edgenas.targets.openssh.known_hosts_command import KnownHostsCommand
from edgenas.targets.openssh.options import FAMILIES, Options
from edgenas.targets.remote import address
from edgenas.targets.remote.address import Connection, parse_address

_MAX_JUMPS = 8
_USUAL_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_GLOBAL_FILES = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True)
class Endpoint:
    """One SSH server. `alias` is what the user calls it; jump : the one to go through first.

    key_files : those that are named; usual_keys : those that are tried if they are there.
    agent : the socket of the agent; empty for none. key_alias : the name of its key in
    known_hosts. keys_command : prints more lines of such files.
    hash_names : new keys are stored under a hash of the host's name.
    strict : what is done with unknown keys ("yes", "no", "ask", "accept-new").
    methods : how one may log in, in this order. prompts : how often a password is asked for.
    """

    alias: str
    host: str
    port: int
    user: str
    key_files: tuple[str, ...] = ()
    only_these_keys: bool = False
    known_hosts: tuple[Path, ...] = ()
    jump: Endpoint | None = None
    proxy_command: str | None = None
    usual_keys: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    agent: str = ""
    key_alias: str = ""
    global_known_hosts: tuple[Path, ...] = _GLOBAL_FILES
    keys_command: KnownHostsCommand | None = None
    strict: str = "ask"
    hash_names: bool = False
    trust_localhost: bool = False
    methods: tuple[str, ...] = ("publickey", "keyboard-interactive", "password")
    prompts: int = 3
    batch: bool = False
    family: socket.AddressFamily = socket.AF_UNSPEC
    bind_address: str = ""
    connect_s: float | None = None

    @property
    def known_name(self) -> str:
        """The name in known_hosts: port 22 has no brackets, an alias no port."""
        if self.key_alias:
            return self.key_alias
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"

    @property
    def for_ssh(self) -> str:
        """What to type after `ssh`, for messages: the configuration counts there, too."""
        return f"-p {self.port} {shlex.quote(f'{self.user}@{self.alias}')}"

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


def aliases() -> list[str]:
    """Return the hosts that the user's SSH configuration names, without patterns."""
    named = config_file.hosts(matched=False)
    return sorted({host for host in named if not any(sign in host for sign in "*?!")})


def is_host(name: str) -> bool:
    """Return whether `ssh NAME` would find a host: by its form, the configuration or the network.

    A pattern of the configuration that every name matches says nothing of `name`.
    """
    if address.is_address(name):
        return True
    for pattern in config_file.hosts():
        if not patterns.is_universal(pattern) and patterns.matches(name, pattern):
            return True
    if _HOST_NAME.fullmatch(name) is None:
        return False
    try:
        return bool(socket.getaddrinfo(name, None))
    except (OSError, UnicodeError):
        return False


def endpoint(connection: Connection, told: Callable[[str], None] = lambda text: None) -> Endpoint:
    """Return where `connection` leads, completed by the user's SSH configuration.

    told : is told once what of the configuration is not understood.

    Raises
    ------
    InputError : a value cannot be used, or the jump hosts go round in a circle.
    """
    warnings: list[str] = []
    found = _endpoint(connection, warnings, 0)
    if warnings:
        told(f"SSH configuration: {'; '.join(dict.fromkeys(warnings))}. This is passed over.")
    return found


def _endpoint(connection: Connection, warnings: list[str], depth: int) -> Endpoint:
    if depth > _MAX_JUMPS:
        raise InputError(f"The jump hosts of '{connection.host}' do not end.", "See ~/.ssh/config.")
    address.check_host(connection.host)
    said = _options(connection, warnings)
    host, port = said["hostname"][0], int(said["port"][0])
    address.check_host(host)
    user = said["user"][0]
    if not all(text.isprintable() for text in (host, user)):
        raise InputError(f"The name {host!r} or its user {user!r} is not text in UTF-8.")
    alias = said.get("hostkeyalias", ("",))[0].lower()
    jump = said.get("proxyjump", ("",))[0]
    known = tokens.Tokens(connection.host, host, port, user, alias, _last_host(jump))
    return Endpoint(
        alias=connection.host,
        host=host,
        port=port,
        user=user,
        **_keys(connection, said, known),
        only_these_keys=said["identitiesonly"][0] == "yes",
        agent=_agent(said),
        known_hosts=tuple(Path(name) for name in said["userknownhostsfile"]),
        global_known_hosts=tuple(Path(name) for name in said["globalknownhostsfile"]),
        keys_command=_keys_command(said, known, warnings),
        key_alias=alias,
        strict=said["stricthostkeychecking"][0],
        hash_names=said["hashknownhosts"][0] == "yes",
        trust_localhost=said["nohostauthenticationforlocalhost"][0] == "yes",
        jump=_jump(jump, warnings, depth),
        proxy_command=_command(said, known),
        methods=_methods(said),
        prompts=int(said["numberofpasswordprompts"][0]),
        batch=said["batchmode"][0] == "yes",
        family=FAMILIES.get(said["addressfamily"][0], socket.AF_UNSPEC),
        bind_address=said.get("bindaddress", ("",))[0],
        connect_s=float(said["connecttimeout"][0]) if "connecttimeout" in said else None,
    )


def _options(connection: Connection, warnings: list[str]) -> Options:
    """Ask ssh; where it cannot be asked, or refuses its own configuration, read that here."""
    said, why = client.ask(connection)
    if said is not None:
        return said
    said, problems = config_file.read(connection)
    warnings += problems or ([f"ssh says: {why.rstrip('.')}"] if why else [])
    return said


def _jump(jump: str, warnings: list[str], depth: int) -> Endpoint | None:
    """Several are gone through in their order: the last one is the next to the board."""
    if not jump:
        return None
    before, _, last = jump.rpartition(",")
    hop = parse_address(last.strip(), services=True)
    return _endpoint(Connection(hop.host, hop.user, hop.port, "", before), warnings, depth + 1)


def _last_host(jump: str) -> str:
    return parse_address(jump.rpartition(",")[2].strip(), services=True).host if jump else ""


def _keys(
    connection: Connection, said: Options, known: tokens.Tokens
) -> dict[str, tuple[str, ...]]:
    """Return the files of keys; one that the target file or command line names is the only one."""
    values = known.values()

    def files(names: tuple[str, ...], what: str) -> tuple[str, ...]:
        named = [name for name in names if name.lower() != "none"]
        return tuple(tokens.file_name(name, values, what) for name in named)

    usual: tuple[str, ...] = ()
    if connection.key_file:
        named: tuple[str, ...] = (str(Path(connection.key_file).expanduser()),)
    else:
        named = files(said.get("identityfile", ()), "IdentityFile")
    if connection.key_file or "identityfile" not in said:
        folder = Path("~/.ssh").expanduser()
        usual = tuple(str(folder / name) for name in _USUAL_KEYS)
    certificates = files(said.get("certificatefile", ()), "CertificateFile")
    return {"key_files": named, "usual_keys": usual, "certificates": certificates}


def _agent(said: Options) -> str:
    """Return the agent's socket: a file, or the name of the variable that holds it."""
    named = said.get("identityagent", ("SSH_AUTH_SOCK",))[0]
    if named.lower() == "none":
        return ""
    if named == "SSH_AUTH_SOCK" or named.startswith("$"):
        return os.environ.get(named.lstrip("$"), "")
    return named


def _command(said: Options, known: tokens.Tokens) -> str | None:
    if "proxycommand" not in said or "proxyjump" in said:
        return None
    return tokens.command(said["proxycommand"][0], known, known.values(), "ProxyCommand")


def _keys_command(
    said: Options, known: tokens.Tokens, warnings: list[str]
) -> KnownHostsCommand | None:
    """Return what prints keys of hosts, if ssh would run it."""
    if "knownhostscommand" not in said:
        return None
    command = KnownHostsCommand(said["knownhostscommand"][0], known)
    problem = command.problem()
    if problem:
        warnings.append(f"KnownHostsCommand '{command.text}': {problem}")
    return None if problem else command


def _methods(said: Options) -> tuple[str, ...]:
    by_option = {
        "publickey": "pubkeyauthentication",
        "keyboard-interactive": "kbdinteractiveauthentication",
        "password": "passwordauthentication",
    }
    preferred = said.get("preferredauthentications", (",".join(by_option),))[0].split(",")
    known = [method for method in preferred if method in by_option]
    return tuple(method for method in known if said[by_option[method]][0] != "no")
