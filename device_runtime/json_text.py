"""JSON that somebody else wrote, read within bounds; host and board read it here and nowhere else.

Python's own reader takes NaN, infinity, halves of surrogate pairs, keys given twice (of which two
readers may see two values), integers of any length, and nesting until its stack is full.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Dict, List, Tuple, Union

MOST_BYTES = 2**28
MOST_NESTED = 64
MOST_DIGITS = 20  # 64 bits, with a sign

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_MARK = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def read_json_text(text: Union[str, bytes]) -> Any:
    """Return the value of a JSON text; `ValueError`, in one line, if it is none or not bounded."""
    if len(text) > MOST_BYTES:
        raise ValueError(f"it is longer than {MOST_BYTES >> 20} MiB")
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    _check_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_finite,
        )
    except (RecursionError, MemoryError):
        raise ValueError("it is nested too deeply") from None
    if _SURROGATE.search(text):
        _check_text(value)
    return value


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MOST_NESTED:
        return
    depth = 0
    for mark in _MARK.finditer(text):
        first = mark.group()[0]
        depth += (first in "[{") - (first in "]}")
        if depth > MOST_NESTED:
            raise ValueError(f"it is nested too deeply: {MOST_NESTED} levels are allowed")


def _check_text(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a text in it has half of a surrogate pair") from None


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:40]!r} is given twice")
    return found


def _integer(digits: str) -> int:
    """Return an integer that every reader of it can hold, as a float too."""
    if len(digits) > MOST_DIGITS:
        raise ValueError("a number has too many digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")
