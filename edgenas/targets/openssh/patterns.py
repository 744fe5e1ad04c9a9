"""OpenSSH's patterns of names: `*` and `?`, lists with commas, and `!` for those that are not."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    signs = {"*": ".*", "?": "."}
    parts = re.sub(r"\*+", "*", pattern)  # many in a row would take for ever
    return re.compile("".join(signs.get(sign, re.escape(sign)) for sign in parts), re.DOTALL)


def matches(name: str, pattern: str) -> bool:
    """Return whether the whole `name` is of the form of `pattern`."""
    return _compiled(pattern).fullmatch(name) is not None


def matches_list(name: str, patterns: str) -> bool:
    """Return whether a pattern of the list matches, and none that is negated."""
    matched = False
    for pattern in patterns.split(","):
        if pattern.startswith("!"):
            if matches(name, pattern[1:]):
                return False
        elif matches(name, pattern):
            matched = True
    return matched


def matches_host(host: str, patterns: str) -> bool:
    """`matches_list` of a host's name, whose case does not count."""
    return matches_list(host.lower(), patterns.lower())


def is_universal(pattern: str) -> bool:
    """Return whether `pattern` names no host in particular."""
    return set(pattern) <= {"*", "?"} or pattern.startswith("!")
