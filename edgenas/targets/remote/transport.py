"""An SSH connection through paramiko: checked, authenticated, never silent for long."""

from __future__ import annotations

import logging
import socket

import paramiko

from edgenas.core.errors import TargetError
from edgenas.targets.login import Login, LoginError, SshTransport, authenticate
from edgenas.targets.openssh.proxy import CommandSocket
from edgenas.targets.remote import host_keys
from edgenas.targets.remote.ssh_config import Endpoint

__all__ = ["Link", "LinkLostError", "Login", "LoginError", "connect"]

_CONNECT_S = 10.0
_KEEPALIVE_S = 5

# Its threads would write to stderr about every link that drops; that is told by our errors.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class LinkLostError(TargetError):
    """The board does not answer, now: trying again may help."""


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
    transport = made = None
    try:
        made = _socket(server, before, login.silence_s)
        transport = SshTransport(made)
        transport.banner_timeout = transport.handshake_timeout = login.silence_s
        transport.auth_timeout = login.silence_s
        offered = tuple(transport.get_security_options().key_types)
        transport.host_key_algorithms = host_keys.preferred(server, offered)
        transport.start_client(timeout=login.silence_s)
        if not transport.initial_kex_done:  # it ends without an error when the time is over
            raise TimeoutError
        shown = transport.get_remote_server_key()
        verdict = host_keys.check(server, shown, login.accept_new_host_key)
        if verdict.told:
            login.told(verdict.told)
        authenticate(transport, server, login, verdict.proven)
        transport.set_keepalive(_KEEPALIVE_S)
        return Link([*before, transport], login.silence_s)
    except BaseException as problem:
        said = made.last_words() if isinstance(made, CommandSocket) else ""
        Link([*before, *([transport] if transport else [])], 0).close()
        if made is not None:
            made.close()
        if isinstance(problem, (OSError, EOFError, paramiko.SSHException)):
            raise LinkLostError(
                f"{server} cannot be reached: {_text(problem)}"
                f"{f' (its ProxyCommand says: {said})' if said else ''}.",
                f"Is it switched on and in this network? Try: ssh -v {server.for_ssh}",
            ) from problem
        raise


def _socket(server: Endpoint, before: list[paramiko.Transport], silence_s: float) -> socket.socket:
    patience_s = server.connect_s or _CONNECT_S
    if before:
        there, here = (server.host, server.port), ("127.0.0.1", 0)
        return before[-1].open_channel("direct-tcpip", there, here, timeout=patience_s)
    if server.proxy_command:
        return CommandSocket(server.proxy_command)
    made = _connected(server, patience_s)
    # paramiko leaves Nagle's algorithm on: 40 ms a round trip
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: a link that swallows packets is a dead one
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silence_s * 1e3))
    return made


def _connected(server: Endpoint, patience_s: float) -> socket.socket:
    """Return a connection to the first address of the server that takes one."""
    refusal: OSError | None = None
    for family, kind, protocol, _, there in socket.getaddrinfo(
        server.host, server.port, server.family, socket.SOCK_STREAM
    ):
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(patience_s)
            if server.bind_address:
                made.bind((server.bind_address, 0))
            made.connect(there)
            return made
        except OSError as problem:
            made.close()
            refusal = problem
    raise refusal or OSError("it has no address")


def _text(problem: BaseException) -> str:
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, EOFError):
        return "it closed the connection"
    if isinstance(problem, socket.gaierror):
        return "its name is not known (check the spelling, or use its address)"
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
