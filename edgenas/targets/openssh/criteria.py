"""The criteria of a `Match` line: which connections the lines below it are meant for."""

from __future__ import annotations

import getpass
import os
import subprocess
from dataclasses import dataclass

from edgenas.core.errors import InputError
from edgenas.targets.openssh import patterns, tokens, words

_PATIENCE_S = 30.0
_WITHOUT_ARGUMENT = ("all", "canonical", "final")
_PATTERNS = ("host", "originalhost", "user", "localuser")


class CriterionError(ValueError):
    """A criterion that is not understood: its block is not meant for any connection."""


@dataclass(frozen=True)
class Criterion:
    name: str
    negated: bool
    argument: str = ""


def parse(text: str) -> list[Criterion]:
    """Return the criteria of a `Match` line.

    Raises
    ------
    CriterionError : one is not known, or lacks its argument.
    """
    found: list[Criterion] = []
    rest: str | None = text
    while rest is not None:
        word, rest = words.next_word(rest)
        if not word or word.startswith("#"):
            break
        name = word.lstrip("!").lower()
        negated = word.startswith("!")
        if name in _WITHOUT_ARGUMENT:
            found.append(Criterion(name, negated))
            continue
        if name not in (*_PATTERNS, "exec"):
            raise CriterionError(f"'Match {word}' is not understood")
        argument, rest = words.next_word(rest)
        if not argument or argument.startswith("#"):
            raise CriterionError(f"'Match {word}' lacks its argument")
        found.append(Criterion(name, negated, argument))
    if not found:
        raise CriterionError("'Match' lacks its criteria")
    if any(criterion.name == "all" for criterion in found[:-1]) or (
        found[-1].name == "all" and len(found) > 2
    ):
        raise CriterionError("'Match all' cannot stand with other criteria")
    return found


def matches(criteria: list[Criterion], known: tokens.Tokens, final: bool) -> bool:
    """Return whether all `criteria` hold; a command is run only where all before it do."""
    return all(_holds(criterion, known, final) != criterion.negated for criterion in criteria)


def _holds(criterion: Criterion, known: tokens.Tokens, final: bool) -> bool:
    name, argument = criterion.name, criterion.argument
    if name == "all":
        return True
    if name in ("final", "canonical"):
        return final
    if name == "host":
        return patterns.matches_host(known.host, argument)
    if name == "originalhost":
        return patterns.matches_host(known.typed, argument)
    if name == "exec":
        values = {**known.values(), "k": known.alias or known.host}
        return _succeeds(tokens.command(argument, known, values, "Match exec"))
    user = known.user if name == "user" else getpass.getuser()
    return patterns.matches_list(user, argument)


def _succeeds(command: str) -> bool:
    """Run the user's own `command` as ssh does."""
    nothing = subprocess.DEVNULL
    shell = os.environ.get("SHELL") or "/bin/sh"
    try:
        done = subprocess.run(
            [shell, "-c", command],
            stdin=nothing,
            stdout=nothing,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise InputError(f"'Match exec {command}' cannot be run: {problem}.") from problem
    return done.returncode == 0
