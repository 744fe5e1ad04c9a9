"""Who a server is: its key against known_hosts. An unknown key is shown; a changed one refused."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

import paramiko

from edgenas.core.errors import RunFolderError, TargetError
from edgenas.core.printable import printable
from edgenas.targets.openssh import certificate, known_hosts, wire
from edgenas.targets.openssh.known_hosts import KnownKey
from edgenas.targets.openssh.known_hosts_command import CommandError
from edgenas.targets.remote.ssh_config import Endpoint

_NO_KEY = dict.fromkeys(("t", "f", "K"), "NONE")  # none was shown yet
_NOT_IN_A_NAME = set("@?*#|'\"\\ \t")


class HostKeyError(TargetError):
    """The server's key is unknown, changed or revoked: nothing was sent to it."""


@dataclass(frozen=True)
class Verdict:
    """A server that may be gone on with. told : what was done. proven : passwords may be sent."""

    told: str = ""
    proven: bool = True


def fingerprint(key: paramiko.PKey) -> str:
    """Return the key's type and SHA-256 fingerprint, as ssh prints them."""
    return f"{key.get_name()} {_sha256(key)}"


def _sha256(key: paramiko.PKey) -> str:
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def preferred(server: Endpoint, offered: tuple[str, ...]) -> tuple[str, ...]:
    """Return the host key algorithms in the order in which `server` is asked for them.

    A type that is known comes first, so that another type does not look like a change; before it
    certificates, if an authority is known that may have signed them.

    Raises
    ------
    HostKeyError : its KnownHostsCommand fails.
    """
    printed = _printed(server, {**_NO_KEY, "I": "ORDER", "H": server.host})
    known = [key for name in _names(server) for key in _known(server, name)]
    for name in {server.known_name, server.host}:  # ssh looks for the second one
        known += known_hosts.keys_in(name, printed)
    types = {key.key_type for key in known if not key.marker}
    if "ssh-rsa" in types:
        types |= {"rsa-sha2-256", "rsa-sha2-512"}
    first = [algorithm for algorithm in offered if algorithm in types]
    rest = [algorithm for algorithm in offered if algorithm not in types]
    # a command may name authorities only where it is asked for a certificate
    signed = bool(server.keys_command) or any(key.marker == "authority" for key in known)
    certificates = [algorithm + wire.CERTIFICATE for algorithm in offered] if signed else []
    return (*certificates, *first, *rest)


def check(server: Endpoint, key: paramiko.PKey, accept_new: bool) -> Verdict:
    """Return what `key` is worth, if the server may be gone on with.

    Raises
    ------
    HostKeyError : it is revoked, changed, or unknown and not to be accepted, or the server's
    KnownHostsCommand fails.
    """
    if server.trust_localhost and _is_here(server):
        return Verdict()
    in_files = _known(server, server.known_name)
    printed = known_hosts.keys_in(server.known_name, _printed(server, _asked(server, key)))
    known = [*in_files, *printed]
    if _is_revoked(key, known):
        raise HostKeyError(
            f"The host key of {server} is marked as revoked in known_hosts.",
            "Do not connect; ask whoever set up the board.",
        )
    if _is_proof(server, key, known):
        return Verdict()
    if any(_is_proof(server, key, _known(server, name)) for name in _names(server)[1:]):
        return Verdict()
    if any(not one.marker for one in known):
        return _changed(server, key, all(one.marker for one in in_files))
    if not accept_new and server.strict not in ("no", "accept-new"):
        raise HostKeyError(
            f"The host key of {server} is not known yet: {fingerprint(key)}.",
            "If that is the board's (on it: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), "
            "run again with --accept-new-host-key.",
        )
    kept = _add(server, key)
    return Verdict(f"Accepted the host key of {server}: {fingerprint(key)}{kept}.")


def _names(server: Endpoint) -> list[str]:
    """Return what the server is called in known_hosts; ssh looks without the port, too."""
    names = [server.known_name]
    if not server.key_alias and server.port != 22:
        names.append(server.host)
    return names


def _known(server: Endpoint, name: str) -> list[KnownKey]:
    return known_hosts.keys_of(name, (*server.known_hosts, *server.global_known_hosts))


def _asked(server: Endpoint, key: paramiko.PKey) -> dict[str, str]:
    """Return what a KnownHostsCommand is asked of the key, or of the certificate, if one is shown.

    As ssh asks: not again for the key alone where the certificate proves nothing.
    """
    certified = getattr(key, "public_blob", None)
    return {
        "I": "HOSTNAME",
        "H": server.known_name,
        "t": certified.key_type if certified else key.get_name(),
        "f": _sha256(key),
        "K": base64.b64encode(certified.key_blob if certified else key.asbytes()).decode(),
    }


def _printed(server: Endpoint, asked: dict[str, str]) -> list[str]:
    """Return the lines that the server's KnownHostsCommand prints, if it has one."""
    if server.keys_command is None:
        return []
    try:
        return server.keys_command.lines(asked)
    except CommandError as problem:
        raise HostKeyError(
            f"The host keys of {server} cannot be looked up: KnownHostsCommand "
            f"'{printable(server.keys_command.text)}' {problem}.",
            "ssh connects to nobody then. Mend the command, or take it out of ~/.ssh/config.",
        ) from problem


def _certificate(key: paramiko.PKey) -> certificate.Certificate | None:
    shown = getattr(key, "public_blob", None)
    try:
        return certificate.parse(shown.key_blob) if shown is not None else None
    except wire.WireError:
        return None


def _is_revoked(key: paramiko.PKey, known: list[KnownKey]) -> bool:
    shown = _certificate(key)
    suspects = (key.asbytes(), shown.authority if shown else b"")
    return any(one.marker == "revoked" and one.blob in suspects for one in known)


def _is_proof(server: Endpoint, key: paramiko.PKey, known: list[KnownKey]) -> bool:
    """Return whether the key is a known one, or a known authority says that it is the server's."""
    if _is_revoked(key, known):
        return False
    if any(not one.marker and one.blob == key.asbytes() for one in known):
        return True
    shown = _certificate(key)
    if shown is None or shown.problem(server.key_alias or server.host):
        return False
    return any(one.marker == "authority" and one.blob == shown.authority for one in known)


def _changed(server: Endpoint, key: paramiko.PKey, by_command: bool) -> Verdict:
    said = f"The host key of {server} has CHANGED: it is now {fingerprint(key)}."
    if server.strict == "no":
        return Verdict(
            f"{said} StrictHostKeyChecking is no: it is gone on with, without passwords.", False
        )
    remedy = f"ssh-keygen {_file(server)}-R '{server.known_name}'"
    if by_command:
        remedy = "the old key is one that KnownHostsCommand prints: change it there"
    raise HostKeyError(
        f"{said} Either the board was set up anew, or something pretends to be it. Nothing was "
        "sent.",
        f"If you know why it changed: {remedy}, then run again.",
    )


def _file(server: Endpoint) -> str:
    """Return how ssh-keygen is told of the file, if it is not the one that it would look into."""
    usual = Path("~/.ssh/known_hosts").expanduser()
    if not server.known_hosts or server.known_hosts[0] == usual:
        return ""
    return f"-f {shlex.quote(str(server.known_hosts[0]))} "


def _is_here(server: Endpoint) -> bool:
    if server.key_alias or server.jump or server.proxy_command:
        return False
    try:
        return ipaddress.ip_address(server.host).is_loopback
    except ValueError:
        return server.host == "localhost"


def _add(server: Endpoint, key: paramiko.PKey) -> str:
    """Add the key to the first file; return what is to be said if there is none."""
    if not server.known_hosts or _NOT_IN_A_NAME & set(server.known_name):
        return ", for this time"
    path = server.known_hosts[0]
    name = known_hosts.hashed(server.known_name) if server.hash_names else server.known_name
    line = f"{name} {key.get_name()} {key.get_base64()}\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = path.read_bytes() if path.exists() else b""
        if before and not before.endswith(b"\n"):
            line = "\n" + line
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(file, "a") as stream:
            stream.write(line)
    except OSError as problem:
        raise RunFolderError(f"Cannot write {path}: {problem.strerror}.") from problem
    return ""
