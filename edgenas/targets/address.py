"""How to reach a board, as a target file or the command line says it; no secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgenas.errors import InputError

_ADDRESS = re.compile(
    r"(?:(?P<user>.*)@)?(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^@:]+))(?::(?P<port>\d+))?"
)


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


def parse_address(text: str) -> Connection:
    """Return `user@host[:port]` as a connection; what is not said is left open.

    Raises
    ------
    InputError : it is not of that form.
    """
    match = _ADDRESS.fullmatch(text)
    port = int(match["port"]) if match and match["port"] else 0
    if match is None or port > 65535 or match["user"] == "":
        raise InputError(
            f"'{text}' is not an address.", "Write user@host or user@host:port; IPv6 in brackets."
        )
    return Connection(host=match["six"] or match["host"], user=match["user"] or "", port=port)
