"""Records as JSON and back, with every type checked on the way in."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from edgenas.core.errors import EdgeNasError, InputError

Record = TypeVar("Record")


def to_json(record: Any) -> Any:
    """Return `record` as dicts, lists, strings and numbers (tuples become lists)."""
    return msgspec.to_builtins(record)


def from_json(
    value: Any, kind: type[Record], what: str, error: type[EdgeNasError] = InputError
) -> Record:
    """Return `value` (parsed JSON) as a `kind`, every type checked, unknown keys refused.

    A kind that was stored otherwise before has `upgraded`, which makes of such a document one of
    now.

    Raises
    ------
    error : `what` is not a valid `kind`; the message names the first wrong field.
    """
    try:
        upgraded = getattr(kind, "upgraded", None)
        if isinstance(value, dict) and upgraded is not None:
            value = upgraded(value)
        return msgspec.convert(value, kind, strict=True, dec_hook=_read)
    except (msgspec.ValidationError, InputError) as problem:
        raise error(f"{what} is not valid: {str(problem).rstrip('.')}.") from problem


def _read(kind: type[Any], value: Any) -> Any:
    """Return a record of an abstract kind, whose `kind_of` tells by the keys which one it is."""
    if not isinstance(value, dict):
        raise msgspec.ValidationError(f"Expected `object`, got `{type(value).__name__}`")
    return msgspec.convert(value, kind.kind_of(value), strict=True, dec_hook=_read)


def canonical(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces (for hashes and keys)."""
    return json.dumps(to_json(value), sort_keys=True, separators=(",", ":"))
