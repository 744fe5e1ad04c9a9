"""Files that users write, as TOML."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Any

from edgenas.core.errors import InputError
from edgenas.core.files.regular import require_regular

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

MOST_BYTES = 2**17
MOST_NESTED = 8
LARGEST_INTEGER = 2**63 - 1
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){20}""")


def read_toml(path: Path) -> dict[str, Any]:
    """Return what a file says: tables, lists, texts, truth values and finite numbers.

    Raises
    ------
    InputError : it is not there, is not TOML, is too large or too deep, or has a value of another
        kind; the message names the key.
    """
    require_regular(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as problem:
        raise InputError(f"Cannot read {path}: {problem}.") from problem
    return parse_toml(path, content)


def parse_toml(path: Path, content: bytes) -> dict[str, Any]:
    """Return what the content of a file says; raises as `read_toml` does."""
    try:
        if len(content) > MOST_BYTES:
            raise InputError(f"{path} is too large: {MOST_BYTES >> 10} KiB are allowed.")
        text = content.decode("utf-8-sig")
        if _LONG_KEY.search(text):  # tomllib takes memory by the square of its parts
            raise InputError(f"{path} has a key of very many parts.", "Write it flatter.")
        document = tomllib.loads(text)
    except UnicodeDecodeError as problem:
        raise InputError(f"Cannot read {path}: {problem}.") from problem
    except RecursionError:
        raise InputError(f"{path} is nested too deeply.", "Write it flatter.") from None
    except ValueError as problem:  # that of tomllib, and of an integer of too many digits
        raise InputError(f"{path} is not TOML: {problem}.") from problem
    _check(document, path)
    return document


def _check(document: dict[str, Any], path: Path) -> None:
    """Raise `InputError` for a value that no key of any file can have."""
    left: list[tuple[str, int, Any]] = [("", 0, document)]
    while left:
        key, depth, value = left.pop()
        if depth > MOST_NESTED:
            raise InputError(f"{path}: '{key[:80]}' is nested too deeply.", "Write it flatter.")
        if isinstance(value, dict):
            prefix = f"{key}." if key else ""
            left += [(prefix + name, depth + 1, inside) for name, inside in value.items()]
        elif isinstance(value, list):
            left += [(key, depth + 1, inside) for inside in value]
        elif isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{path}: {key} is {value}.", "Write a finite number.")
        elif isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise InputError(f"{path}: {key} has too many digits.", "Write a smaller number.")
        elif not isinstance(value, (str, int, float)):
            raise InputError(f"{path}: {key} is a date or a time.", "Write it as a text.")
