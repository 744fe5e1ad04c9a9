"""How to reach a board, as a target file or the command line says it; no secrets."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote

from edgenas.core.errors import InputError
from edgenas.targets.openssh.options import port_number

_ADDRESS = re.compile(
    r"(?:(?P<user>.*)@)?(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^@:\[\]]+))(?::(?P<port>[^:@]+))?",
    re.DOTALL,
)
_SCHEME = "ssh://"
_NO_HOST = re.compile(r"-.*|.*[\s\x00-\x1f\x7f'\"`$\\;&<>|(){},/].*", re.DOTALL)


@dataclass(frozen=True)
class Connection:
    """How to reach the target; the rest comes from the user's SSH configuration. No secrets.

    port : 0 for what the SSH configuration says, or else 22.
    """

    host: str = ""
    user: str = ""
    port: int = 0
    key_file: str = ""
    jump_host: str = ""


def parse_address(text: str, services: bool = False) -> Connection:
    """Return `[user@]host[:port]` or `ssh://…` as a connection; what is not said is left open.

    services : the port may be the name of one, as in a `ProxyJump`.

    Raises
    ------
    InputError : it is not of that form.
    """
    uri = text.startswith(_SCHEME)
    rest = text.removeprefix(_SCHEME).removesuffix("/") if uri else text
    user, at, host = rest.rpartition("@")
    if _is_bare_six(host) and not uri:
        return _checked(text, Connection(host, user), at)
    match = _ADDRESS.fullmatch(rest)
    if match is None:
        raise _no_address(text)
    user = match["user"] or ""
    if uri:
        user = unquote(user.partition(";")[0])
    port = _port(match["port"], services) if match["port"] else 0
    if port is None:
        raise _no_address(text)
    return _checked(text, Connection(match["six"] or match["host"], user, port), at)


def is_address(text: str) -> bool:
    """Return whether `text` says by its form that it is an address, and not a name of a target."""
    if text.startswith(_SCHEME) or "@" in text:
        return True
    try:
        typed = parse_address(text)
        return bool(typed.port) or bool(ipaddress.ip_address(typed.host.partition("%")[0]))
    except (InputError, ValueError):
        return False


def check_host(host: str) -> None:
    """Refuse what cannot be the name of a host, as ssh does; `InputError` says so."""
    if _NO_HOST.fullmatch(host):
        raise InputError(f"'{host}' is not the name of a host.", "Write user@host.")


def _checked(text: str, typed: Connection, at: str) -> Connection:
    if _NO_HOST.fullmatch(typed.host) or (at and not typed.user) or typed.user.startswith("-"):
        raise _no_address(text)
    return typed


def _is_bare_six(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _port(text: str, services: bool) -> int | None:
    if text.isascii() and text.isdigit():
        return int(text) if 0 < int(text[:6]) < 1 << 16 else None
    return port_number(text) if services else None


def _no_address(text: str) -> InputError:
    return InputError(
        f"'{text}' is not an address.",
        "Write user@host, user@host:port or ssh://user@host:port; IPv6 in brackets.",
    )
