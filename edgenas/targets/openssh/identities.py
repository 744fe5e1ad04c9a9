"""The keys with which one may log in, in the order in which ssh offers them."""

from __future__ import annotations

import base64
import contextlib
import copy
import os
import socket
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko
from paramiko.agent import AgentSSH

from edgenas.targets.openssh import wire
from edgenas.targets.remote.ssh_config import Endpoint

ENCRYPTED = " (encrypted)"  # behind the name of a key that nobody was there to unlock
_AGENT_S = 60.0  # somebody may have to touch a security key
_MAX_KEY_FILE_BYTES = 1 << 20
_PRIVATE = b"openssh-key-v1\0"


@dataclass
class Identities:
    """Yields keys, each with a name for messages; `passed_over` says why others are not offered.

    passphrase : returns a secret for a prompt, or None if nobody can be asked. wrong : is told the
    prompt whose secret was wrong.
    """

    server: Endpoint
    passphrase: Callable[[str], str | None]
    wrong: Callable[[str], None]
    passed_over: list[str] = field(default_factory=list)

    def offered(self) -> Generator[tuple[str, Any], None, None]:
        """Yield those of the named files that the agent holds, its others, then the other files."""
        with _agent(self.server.agent) as held:
            by_file: dict[str, Any] = {}
            for path in self._files():
                public = _public_key(Path(path))
                match = next((key for key in held if key.blob == public), None)
                if match is not None:
                    by_file[path] = match
            for path, key in by_file.items():
                yield from self._with_certificates(f"{path} (agent)", key, path)
            if not self.server.only_these_keys:
                for key in held:
                    if key not in by_file.values():
                        name = f"agent key {key.get_name()}"
                        yield from self._with_certificates(name, key, "")
            others = [path for path in self._files() if path not in by_file]
            for path, key in self._private_keys(others):
                yield from self._with_certificates(path, key, path)

    def _files(self) -> list[str]:
        usual = [path for path in self.server.usual_keys if Path(path).exists()]
        return list(dict.fromkeys((*self.server.key_files, *usual)))

    def _with_certificates(self, name: str, key: Any, path: str) -> Iterator[tuple[str, Any]]:
        """Yield the key with each certificate of it that is at hand, then the key alone."""
        beside = [f"{path}-cert.pub"] if path else []
        for file in (*self.server.certificates, *beside):
            certified = key.copy() if isinstance(key, _HeldKey) else copy.copy(key)
            try:
                certified.load_certificate(file)
                blob = certified.public_blob.key_blob
            except (OSError, ValueError, AttributeError, paramiko.SSHException):
                continue
            if _certified_key(blob) == key.asbytes():
                yield f"{name} with {file}", certified
        yield name, key

    def _private_keys(self, paths: list[str]) -> Iterator[tuple[str, paramiko.PKey]]:
        """Yield the keys of files; a passphrase is asked for when no other file has helped."""
        encrypted: list[str] = []
        for path in paths:
            try:
                if _is_public(Path(path)):
                    self.passed_over.append(f"{path} (public; no agent holds its private key)")
                    continue
                key = paramiko.PKey.from_path(path)
            except (TypeError, paramiko.PasswordRequiredException):  # TypeError: it is encrypted
                encrypted.append(path)
            except FileNotFoundError:
                self.passed_over.append(f"{path} (missing)")
            except (OSError, ValueError, paramiko.SSHException, paramiko.UnknownKeyType) as bad:
                self.passed_over.append(f"{path} ({str(bad)[:60]})")
            else:
                yield path, key
        for path in encrypted:
            unlocked = self._unlocked(path)
            if unlocked is not None:
                yield path, unlocked

    def _unlocked(self, path: str) -> paramiko.PKey | None:
        prompt = f"Passphrase of {path}: "
        secret = self.passphrase(prompt)
        if secret is None:
            self.passed_over.append(f"{path}{ENCRYPTED}")
            return None
        try:
            return paramiko.PKey.from_path(path, secret.encode())
        except (OSError, ValueError, TypeError, paramiko.SSHException):
            self.wrong(prompt)
            self.passed_over.append(f"{path} (wrong passphrase)")
            return None


class _SocketAgent(AgentSSH):
    """The agent at a socket; paramiko's own looks at SSH_AUTH_SOCK only."""

    def __init__(self, path: str) -> None:
        super().__init__()
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(_AGENT_S)
        try:
            made.connect(path)
            self._connect(made)
        except BaseException:
            made.close()
            raise

    def close(self) -> None:
        self._close()


class _HeldKey(paramiko.AgentKey):
    """A key in an agent that may refuse to sign: then the board refuses it; the next is tried.

    An exception would end the whole connection.
    """

    def copy(self) -> _HeldKey:
        return _HeldKey(self.agent, self.blob, self.comment)

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> bytes:
        try:
            return bytes(super().sign_ssh_data(data, algorithm))
        except (OSError, paramiko.SSHException):
            refused = paramiko.Message()
            refused.add_string(algorithm or self.get_name())
            refused.add_string(bytes(64))
            return bytes(refused.asbytes())


@contextlib.contextmanager
def _agent(path: str) -> Iterator[tuple[Any, ...]]:
    """Give the keys that the agent holds; none if there is no agent, or it does not answer."""
    agent = None
    try:
        if sys.platform == "win32":
            agent = paramiko.Agent()
        elif path:
            agent = _SocketAgent(os.path.expanduser(path))  # noqa: PTH111
    except (OSError, ValueError, paramiko.SSHException):
        agent = None
    try:
        keys = agent.get_keys() if agent else ()
        yield tuple(_HeldKey(key.agent, key.blob, key.comment) for key in keys)
    finally:
        if agent:
            agent.close()


def _is_public(path: Path) -> bool:
    with path.open("rb") as file:
        return wire.line_key(file.read(_MAX_KEY_FILE_BYTES)) is not None


def _public_key(path: Path) -> bytes | None:
    """Return the public key of a file or of the .pub beside it; no passphrase is needed."""
    for candidate in (path, Path(f"{path}.pub")):
        try:
            with candidate.open("rb") as file:
                content = file.read(_MAX_KEY_FILE_BYTES)
        except OSError:
            continue
        found = wire.line_key(content) or _public_part(content)
        if found is not None:
            return found
    return None


def _public_part(content: bytes) -> bytes | None:
    """Return the public key that stands unencrypted in a private key of OpenSSH's own form."""
    lines = [line.strip() for line in content.splitlines()]
    if not lines or lines[0] != b"-----BEGIN OPENSSH PRIVATE KEY-----":
        return None
    try:
        reader = wire.Reader(base64.b64decode(b"".join(lines[1:-1])))
        if reader.take(len(_PRIVATE)) != _PRIVATE:
            return None
        for _ in range(3):  # cipher, how the passphrase is used, its settings
            reader.string()
        reader.number(4)
        return reader.string()
    except ValueError:
        return None


def _certified_key(blob: bytes) -> bytes | None:
    try:
        return wire.certified_key(blob)
    except wire.WireError:
        return None
