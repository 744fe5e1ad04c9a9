"""From JSON text to checked dataclasses: strict types, no unknown keys, no NaN."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from typing import Any, Type, TypeVar, get_type_hints

Built = TypeVar("Built")
_MOST_DIGITS = 20  # 64 bits, with a sign


class ProtocolError(ValueError):
    """A job or a journal does not follow the protocol; the message names the first wrong field."""


def build(kind: Type[Built], value: Any, where: str) -> Built:
    """Return parsed JSON `value` as dataclass `kind`: strict types, no unknown or missing keys."""
    if not isinstance(value, dict):
        raise ProtocolError(f"{where} is not an object")
    hints = get_type_hints(kind)
    optional = {f.name for f in fields(kind) if f.default is None}  # type: ignore[arg-type]
    unknown = sorted(set(value) - set(hints))
    missing = sorted(set(hints) - set(value) - optional)
    if unknown or missing:
        wrong = f"unknown key {unknown[0]!r}" if unknown else f"no key {missing[0]!r}"
        raise ProtocolError(f"{where} has {wrong}")
    checked = {name: _typed(hints[name], item, f"{where}.{name}") for name, item in value.items()}
    try:
        return kind(**checked)
    except ProtocolError as problem:
        raise ProtocolError(f"{where}: {problem}") from None


def _typed(hint: Any, value: Any, where: str) -> Any:
    arguments: Any = getattr(hint, "__args__", ())
    if type(None) in arguments:
        return None if value is None else _typed(arguments[0], value, where)
    if isinstance(hint, type) and is_dataclass(hint):
        return build(hint, value, where)
    origin = getattr(hint, "__origin__", None)
    if origin is tuple and isinstance(value, list):
        return tuple(_typed(arguments[0], item, where) for item in value)
    if origin is dict and isinstance(value, dict):
        return {name: _typed(arguments[1], item, f"{where}.{name}") for name, item in value.items()}
    if hint is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if hint is Any or (hint in (int, str) and type(value) is hint):
        return _storable(value, where)
    raise ProtocolError(f"{where} is {repr(value)[:60]}, which is not of the right type")


def _storable(value: Any, where: str) -> Any:
    """Return `value` if it can be written as JSON and text again."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:  # infinite, or half a surrogate pair
        raise ProtocolError(f"{where} has a value that cannot be stored") from None
    return value


def require(holds: bool, message: str) -> None:
    """Raise `ProtocolError(message)` unless it `holds`."""
    if not holds:
        raise ProtocolError(message)


def canonical(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def parse(text: str, what: str) -> Any:
    """Return the value of the JSON `text`; `ProtocolError` if it is none, or has a NaN."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
    except (ValueError, RecursionError) as problem:
        raise ProtocolError(f"the {what} is not JSON: {problem}") from None


def _integer(text: str) -> int:
    """Return an integer that every reader of it can hold, as a float too."""
    if len(text) > _MOST_DIGITS:
        raise ValueError("a number has too many digits")
    return int(text)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")
