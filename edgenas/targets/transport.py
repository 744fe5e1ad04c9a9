"""An SSH connection through paramiko: checked, authenticated, never silent for long."""

from __future__ import annotations

import logging
import shlex
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from edgenas.errors import TargetError
from edgenas.targets import host_keys
from edgenas.targets.ssh_config import Endpoint

_CONNECT_S = 10.0
_KEEPALIVE_S = 5
_PASSWORD_TRIES = 3
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")

# Its threads would write to stderr about every link that drops; that is told by our errors.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class LinkLostError(TargetError):
    """The board does not answer, now: trying again may help."""


class LoginError(TargetError):
    """The board answers, and does not let us in."""


@dataclass
class Login:
    """How to get in. ask_password : returns a secret for a prompt; None if nobody can be asked.

    What was asked for is kept while the program runs, for when the link must be made again.
    silence_s : without an answer, after which the server counts as gone.
    """

    accept_new_host_key: bool = False
    ask_password: Callable[[str], str] | None = None
    told: Callable[[str], None] = lambda text: None
    silence_s: float = 20.0
    _secrets: dict[str, str] = field(default_factory=dict, repr=False)

    def secret(self, prompt: str, again: bool = False) -> str | None:
        if prompt not in self._secrets or again:
            if self.ask_password is None:
                return None
            self._secrets[prompt] = self.ask_password(prompt)
        return self._secrets[prompt]

    def forget(self, prompt: str) -> None:
        self._secrets.pop(prompt, None)


class Link:
    """An authenticated connection, through its jump hosts if there are any."""

    def __init__(self, transports: list[paramiko.Transport], silence_s: float) -> None:
        self.transports = transports
        self._silence_s = silence_s

    def run(self, command: str) -> paramiko.Channel:
        """Start `command` and return its channel; whoever calls has quoted every argument."""
        try:
            channel = self.transports[-1].open_session(timeout=self._silence_s)
            channel.settimeout(self._silence_s)
            channel.exec_command(command)
        except (OSError, EOFError, paramiko.SSHException) as problem:
            raise LinkLostError(f"The link was lost: {_text(problem)}.") from problem
        return channel

    def close(self) -> None:
        for transport in reversed(self.transports):
            transport.close()
            transport.sock.close()  # which `close` leaves open where no session was made


def connect(server: Endpoint, login: Login) -> Link:
    """Return a link to `server`.

    Raises
    ------
    LinkLostError : it cannot be reached. HostKeyError : it is not who it should be.
    LoginError : it refuses the user.
    """
    before = connect(server.jump, login).transports if server.jump else []
    transport = None
    try:
        transport = paramiko.Transport(_socket(server, before, login.silence_s))
        transport.banner_timeout = transport.handshake_timeout = login.silence_s
        transport.auth_timeout = login.silence_s
        _prefer(transport, host_keys.known_types(server))
        transport.start_client(timeout=login.silence_s)
        told = host_keys.check(server, transport.get_remote_server_key(), login.accept_new_host_key)
        if told:
            login.told(told)
        _authenticate(transport, server, login)
        transport.set_keepalive(_KEEPALIVE_S)
        return Link([*before, transport], login.silence_s)
    except BaseException as problem:
        Link([*before, *([transport] if transport else [])], 0).close()
        if isinstance(problem, (OSError, EOFError, paramiko.SSHException)):
            raise LinkLostError(
                f"{server} cannot be reached: {_text(problem)}.",
                f"Is it switched on and in this network? Try: ssh -v -p {server.port} "
                f"{shlex.quote(f'{server.user}@{server.host}')}",
            ) from problem
        raise


def _socket(server: Endpoint, before: list[paramiko.Transport], silence_s: float) -> socket.socket:
    if before:
        there, here = (server.host, server.port), ("127.0.0.1", 0)
        return before[-1].open_channel("direct-tcpip", there, here, timeout=_CONNECT_S)
    if server.proxy_command:
        return paramiko.ProxyCommand(server.proxy_command)
    made = socket.create_connection((server.host, server.port), _CONNECT_S)
    # paramiko leaves Nagle's algorithm on: 40 ms a round trip
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: a link that swallows packets is a dead one
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silence_s * 1e3))
    return made


def _prefer(transport: paramiko.Transport, known: list[str]) -> None:
    """Ask for a key of a type that is known, so that another type does not look like a change."""
    options = transport.get_security_options()
    wanted = [
        *(type_ for type_ in options.key_types if type_ in known),
        *(type_ for type_ in options.key_types if type_.startswith("rsa-") and "ssh-rsa" in known),
    ]
    options.key_types = (*wanted, *(t for t in options.key_types if t not in wanted))


def _authenticate(transport: paramiko.Transport, server: Endpoint, login: Login) -> None:
    tried: list[str] = []
    try:
        for name, key in _keys(server, login, tried):
            tried.append(name)
            try:
                if not transport.auth_publickey(server.user, key):
                    return
            except paramiko.AuthenticationException:
                continue
        _ask_for_password(transport, server, login, tried)
    except paramiko.AuthenticationException as problem:
        raise LoginError(
            f"{server} refuses the user '{server.user}' (tried: {', '.join(tried) or 'nothing'}).",
            f"Put a key on the board: ssh-copy-id -p {server.port} "
            f"{shlex.quote(f'{server.user}@{server.host}')}",
        ) from problem


def _keys(server: Endpoint, login: Login, tried: list[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield the named keys, the agent's and the usual ones, each with a name for messages."""
    for path in server.key_files:
        key = _key_from(Path(path), login, tried)
        if key is not None:
            yield path, key
    if server.only_these_keys:
        return
    agent = paramiko.Agent()
    try:
        for key in agent.get_keys():
            yield f"agent key {key.get_name()}", key
    finally:
        agent.close()
    for usual in (Path("~/.ssh").expanduser() / name for name in _DEFAULT_KEYS):
        if usual.exists() and str(usual) not in server.key_files:
            key = _key_from(usual, login, tried)
            if key is not None:
                yield str(usual), key


def _key_from(path: Path, login: Login, tried: list[str]) -> paramiko.PKey | None:
    prompt = f"Passphrase of {path}: "
    try:
        try:
            return paramiko.PKey.from_path(path)
        except (TypeError, paramiko.PasswordRequiredException):  # TypeError: it is encrypted
            secret = login.secret(prompt)
            if secret is None:
                tried.append(f"{path} (encrypted)")
                return None
            try:
                return paramiko.PKey.from_path(path, secret.encode())
            except (ValueError, paramiko.SSHException):
                login.forget(prompt)
                tried.append(f"{path} (wrong passphrase)")
                return None
    except FileNotFoundError:
        tried.append(f"{path} (missing)")
    except (OSError, ValueError, TypeError, paramiko.SSHException, paramiko.UnknownKeyType) as bad:
        tried.append(f"{path} ({str(bad)[:60]})")
    return None


def _ask_for_password(
    transport: paramiko.Transport, server: Endpoint, login: Login, tried: list[str]
) -> None:
    prompt = f"Password of {server.user}@{server.host}: "
    allowed = _allowed(transport, server.user)
    if not {"password", "keyboard-interactive"} & set(allowed):
        raise paramiko.AuthenticationException
    for attempt in range(_PASSWORD_TRIES):
        secret = login.secret(prompt, again=attempt > 0)
        if secret is None:
            break
        tried.append("password")
        try:
            transport.auth_password(server.user, secret)
            return
        except paramiko.AuthenticationException:
            login.forget(prompt)
    raise paramiko.AuthenticationException


def _allowed(transport: paramiko.Transport, user: str) -> list[str]:
    try:
        transport.auth_none(user)
    except paramiko.BadAuthenticationType as problem:
        return list(problem.allowed_types)
    return []


def _text(problem: BaseException) -> str:
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, EOFError):
        return "it closed the connection"
    if isinstance(problem, socket.gaierror):
        return "its name is not known (check the spelling, or use its address)"
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
