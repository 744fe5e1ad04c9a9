"""What OpenSSH puts in the place of `%h`, `${NAME}` and `~` in the values of its configuration."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from edgenas.core.errors import InputError

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_NOT_IN_A_COMMAND = re.compile(r"-.*|.*['\"`;&<>|(){}$\n\\].*", re.DOTALL)
_TOKEN = re.compile(r"%(.?)", re.DOTALL)


@dataclass(frozen=True)
class Tokens:
    """What is known of a connection. typed : the host as the user calls it."""

    typed: str
    host: str
    port: int
    user: str
    alias: str = ""
    jump: str = ""

    def values(self) -> dict[str, str]:
        """Return the values by the letters that stand for them."""
        here = socket.gethostname()
        whole = f"{here}{self.host}{self.port}{self.user}{self.jump}"
        return {
            "C": hashlib.sha1(whole.encode("utf-8", "surrogateescape")).hexdigest(),
            "L": here.partition(".")[0],
            "d": str(Path("~").expanduser()),
            "h": self.host,
            "i": str(os.getuid()) if hasattr(os, "getuid") else "",
            "j": self.jump,
            "k": self.alias or self.typed,
            "l": here,
            "n": self.typed,
            "p": str(self.port),
            "r": self.user,
            "u": getpass.getuser(),
        }


def percent(text: str, values: dict[str, str], where: str) -> str:
    """Return `text` with its tokens replaced.

    Raises
    ------
    InputError : a token is none of `values`; the message says so of `where`.
    """

    def value(token: re.Match[str]) -> str:
        letter = token[1]
        if letter == "%":
            return "%"
        if letter not in values:
            raise InputError(f"{where}: '%{letter}' in '{text}' is no token that ssh knows.")
        return values[letter]

    return _TOKEN.sub(value, text)


def command(text: str, known: Tokens, values: dict[str, str], where: str) -> str:
    """Return a command for a shell with its tokens replaced.

    Raises
    ------
    InputError : a token is not known, or the user's name could end a word of the command.
    """
    if "%r" in text and _NOT_IN_A_COMMAND.fullmatch(known.user):
        raise InputError(
            f"The user '{known.user}' must not get into a command: {where} '{text}'.",
            "Write another user, or leave %r out of that line of ~/.ssh/config.",
        )
    return percent(text, values, where)


def file_name(text: str, values: dict[str, str], where: str) -> str:
    """Return the name of a file with its `~`, tokens and environment variables replaced.

    Raises
    ------
    InputError : a token is not known or a variable is not set.
    """
    at_home = os.path.expanduser(text) if text.startswith("~") else text  # noqa: PTH111
    return expanded(at_home, values, where)


def expanded(text: str, values: dict[str, str], where: str) -> str:
    """Return `text` with its tokens and environment variables replaced.

    Raises
    ------
    InputError : a token is not known or a variable is not set.
    """
    parts = _VARIABLE.split(text)
    for index, part in enumerate(parts):
        if index % 2 == 0:
            parts[index] = percent(part, values, where)
        elif part not in os.environ:
            raise InputError(f"{where}: the variable {part} in '{text}' is not set.")
        else:
            parts[index] = os.environ[part]
    return "".join(parts)
