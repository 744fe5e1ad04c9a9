"""Records as JSON and back, with every type checked on the way in."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from edgenas.errors import EdgeNasError, InputError

Record = TypeVar("Record")


def to_json(record: Any) -> Any:
    """Return `record` as dicts, lists, strings and numbers (tuples become lists)."""
    return msgspec.to_builtins(record)


def from_json(
    value: Any, kind: type[Record], what: str, error: type[EdgeNasError] = InputError
) -> Record:
    """Return `value` (parsed JSON) as a `kind`, every type checked, unknown keys refused.

    Raises
    ------
    error : `what` is not a valid `kind`; the message names the first wrong field.
    """
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as problem:
        raise error(f"{what} is not valid: {problem}.") from problem


def canonical(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces (for hashes and keys)."""
    return json.dumps(to_json(value), sort_keys=True, separators=(",", ":"))
