"""Columns of records as short as they can be written in a page; page.js reads them (`unpacked`).

A column is a list, or an object of one of three forms, whichever is shorter: `all`, the value of
each record; `values` with `at`, a character for each record that says which; and `patterns`, texts
with a place for each number, with `at` and the `numbers` in their order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

# One character a number below their count: of those that JSON and HTML write as they are.
DIGITS = "".join(chr(code) for code in range(33, 127) if chr(code) not in "\"\\<>&'")
PLACE = "\0"  # of a number in a pattern; no printable text has it
_MOST = 1e9  # of what is as short as a whole number
_NUMBER = re.compile(r"\d[\d.,]*(?<=\d)")


def packed(values: Sequence[Any]) -> Any:
    """Return a column of JSON's values, None where a record has none."""
    plain = [
        int(x) if isinstance(x, float) and x.is_integer() and abs(x) < _MOST else x for x in values
    ]
    forms = [plain, _by_value(plain), _by_pattern(plain)]
    return min((one for one in forms if one is not None), key=_length)


def _by_value(values: list[Any]) -> dict[str, Any] | None:
    known = list(dict.fromkeys(values))
    if len(known) == 1:
        return {"all": known[0]}
    at = _places(values, known)
    return None if at is None else {"values": known, "at": at}


def _by_pattern(values: list[Any]) -> dict[str, Any] | None:
    if not values or not all(isinstance(one, str) for one in values):
        return None
    patterns = [_NUMBER.sub(PLACE, one) for one in values]
    known = list(dict.fromkeys(patterns))
    at = _places(patterns, known)
    if at is None:
        return None
    numbers = " ".join(number for one in values for number in _NUMBER.findall(one))
    return {"patterns": known, "at": at if len(known) > 1 else "", "numbers": numbers}


def _places(values: Sequence[Any], known: Sequence[Any]) -> str | None:
    """Return which of `known` each value is, a character each; None where there are too many."""
    if len(known) > len(DIGITS):
        return None
    digits = dict(zip(known, DIGITS, strict=False))
    return "".join(digits[one] for one in values)


def _length(form: Any) -> int:
    return len(json.dumps(form, ensure_ascii=False, separators=(",", ":")))
