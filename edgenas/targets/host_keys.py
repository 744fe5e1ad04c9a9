"""Who a server is: its key against known_hosts. An unknown key is shown; a changed one refused."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from pathlib import Path

import paramiko

from edgenas.errors import RunFolderError, TargetError
from edgenas.targets.ssh_config import Endpoint

_SYSTEM = Path("/etc/ssh/ssh_known_hosts")


class HostKeyError(TargetError):
    """The server's key is unknown, changed or revoked: nothing was sent to it."""


def fingerprint(key: paramiko.PKey) -> str:
    """Return the key's type and SHA-256 fingerprint, as ssh prints them."""
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"{key.get_name()} SHA256:{digest}"


def known_types(server: Endpoint) -> list[str]:
    """Return the key types that are known of `server`: the server is asked for one of these."""
    return [type_ for type_, _ in _known(server)]


def check(server: Endpoint, key: paramiko.PKey, accept_new: bool) -> str:
    """Return an empty text if `key` is known, or what was done to make it known.

    Raises
    ------
    HostKeyError : it is revoked, changed, or unknown and not `accept_new`.
    """
    if any(key.asbytes() == revoked for revoked in _revoked(server)):
        raise HostKeyError(
            f"The host key of {server} is marked as revoked in known_hosts.",
            "Do not connect; ask whoever set up the board.",
        )
    known = _known(server)
    if any(key.asbytes() == content for _, content in known):
        return ""
    if known:
        raise HostKeyError(
            f"The host key of {server} has CHANGED: it is now {fingerprint(key)}. Either the board "
            "was set up anew, or something pretends to be it. Nothing was sent.",
            f"If you know why it changed: ssh-keygen -R '{server.known_name}', then run again.",
        )
    if not accept_new:
        raise HostKeyError(
            f"The host key of {server} is not known yet: {fingerprint(key)}.",
            "If that is the board's (on it: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), "
            "run again with --accept-new-host-key.",
        )
    _add(server, key)
    return f"Accepted the host key of {server}: {fingerprint(key)}."


def _lines(server: Endpoint) -> list[str]:
    files = [path for path in (*server.known_hosts, _SYSTEM) if path.exists()]
    try:
        return [line for path in files for line in path.read_text("utf-8", "replace").splitlines()]
    except OSError as problem:
        raise HostKeyError(f"Cannot read known_hosts: {problem}.") from problem


def _known(server: Endpoint) -> list[tuple[str, bytes]]:
    keys = paramiko.HostKeys()
    for line in _lines(server):
        if line.strip() and not line.startswith(("#", "@")):
            with contextlib.suppress(paramiko.SSHException, paramiko.hostkeys.InvalidHostKey):
                entry = paramiko.hostkeys.HostKeyEntry.from_line(line)
                for name in entry.hostnames if entry else ():
                    keys.add(name, entry.key.get_name(), entry.key)
    known = keys.lookup(server.known_name) or {}
    return [(type_, key.asbytes()) for type_, key in known.items()]


def _revoked(server: Endpoint) -> list[bytes]:
    marked = [line.split() for line in _lines(server) if line.startswith("@revoked")]
    return [base64.b64decode(words[3] + "===") for words in marked if len(words) >= 4]


def _add(server: Endpoint, key: paramiko.PKey) -> None:
    path = server.known_hosts[0]
    line = f"{server.known_name} {key.get_name()} {key.get_base64()}\n"
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
