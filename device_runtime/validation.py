"""From JSON text to checked dataclasses: strict types, no unknown keys, no NaN."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, Dict, Type, TypeVar, get_type_hints

from device_runtime.json_text import read_json_text

Built = TypeVar("Built")


class ProtocolError(ValueError):
    """A job or a journal does not follow the protocol; the message names the first wrong field."""


def build(kind: Type[Built], value: Any, where: str) -> Built:
    """Return parsed JSON `value` as dataclass `kind`: strict types, no unknown or missing keys."""
    if not isinstance(value, dict):
        raise ProtocolError(f"{where} is not an object")
    hints = _hints(kind)  # type: ignore[arg-type]
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


@lru_cache(maxsize=None)  # a journal has thousands of records of few kinds
def _hints(kind: type) -> Dict[str, Any]:
    return get_type_hints(kind)


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
        return {
            _storable(name, f"a key of {where}"): _typed(arguments[1], item, f"{where}.{name}")
            for name, item in value.items()
        }
    if hint is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if hint is Any or (hint in (int, str) and type(value) is hint):
        return _storable(value, where)
    raise ProtocolError(f"{where} is {repr(value)[:60]}, which is not of the right type")


def _storable(value: Any, where: str) -> Any:
    """Return `value` if it can be written as JSON and text again."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # infinite, half a surrogate pair, or nested too deeply
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
        return read_json_text(text)
    except ValueError as problem:
        raise ProtocolError(f"the {what} is not JSON: {problem}") from None
