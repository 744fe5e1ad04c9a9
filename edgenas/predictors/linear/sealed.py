"""A fitted predictor as JSON: plain numbers, sealed with a SHA-256 so that an edit is noticed."""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeVar

import msgspec
import numpy as np

from edgenas.core.errors import PredictorError

# 2 has the spread of the noise; files of 1 have one noise for all rows. 3 has cells, 4
# logarithms of the response, 5 slots behind gates and cells cut forwards, 6 formulas of derived
# columns.
FORMAT_VERSION, FIRST_VERSION = 6, 1
AGAIN = "Fit it again: edgenas fit."
Fitted = TypeVar("Fitted")


def sealed(kind: str, fitted: Any) -> dict[str, Any]:
    """Return the fields of the dataclass `fitted` as JSON values with format, kind and seal."""
    fields = msgspec.to_builtins(fitted, enc_hook=_encode)
    content = {"format": FORMAT_VERSION, "kind": kind, **fields}
    return {**content, "sha256": _seal(content)}


def opened(kind: str, document: Any, into: type[Fitted]) -> Fitted:
    """Return the `into` that `sealed` was given.

    Raises
    ------
    PredictorError : of another kind or a newer format, edited after it was written, or not valid.
    """
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise PredictorError(f"This is not a '{kind}' predictor.", AGAIN)
    version = document.get("format")
    if type(version) is not int or not FIRST_VERSION <= version <= FORMAT_VERSION:
        raise PredictorError(
            f"The predictor has format {version}, this edgenas reads up to {FORMAT_VERSION}.",
            AGAIN,
        )
    content = {key: value for key, value in document.items() if key != "sha256"}
    if document.get("sha256") != _seal(content):
        raise PredictorError("The predictor was edited or damaged: its seal does not match.", AGAIN)
    fields = {key: value for key, value in content.items() if key not in ("format", "kind")}
    try:
        fitted = msgspec.convert(fields, into, strict=True, dec_hook=_decode)
    except (ValueError, TypeError, KeyError, OverflowError) as problem:
        raise PredictorError(f"The predictor is not valid: {problem}.", AGAIN) from problem
    return fitted


def is_sealed(document: Any) -> bool:
    """Return whether the document is as `sealed` made it, of whatever kind and format."""
    if not isinstance(document, dict) or not {"format", "kind", "sha256"} <= document.keys():
        return False
    content = {key: value for key, value in document.items() if key != "sha256"}
    try:
        return bool(document["sha256"] == _seal(content))
    except (ValueError, RecursionError):
        return False


def _seal(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _encode(value: Any) -> Any:
    """Arrays become nested lists; what is infinite becomes None."""
    if isinstance(value, np.ndarray):
        finite = np.where(np.isfinite(value), value, 0.0).tolist()
        if value.ndim == 1:
            return [x if ok else None for x, ok in zip(finite, np.isfinite(value), strict=True)]
        return {"lower": _lower(value)} if value.shape[0] == value.shape[1] else finite
    raise NotImplementedError(f"{type(value)} has no JSON form")


def _lower(matrix: np.ndarray) -> list[float]:
    """Return the lower triangle, row by row, of a symmetric matrix."""
    symmetric = (matrix + matrix.T) / 2
    return [float(x) for x in symmetric[np.tril_indices(len(matrix))]]


def _decode(kind: type, value: Any) -> Any:
    if kind is np.ndarray:
        if isinstance(value, dict):
            lower = np.asarray(value["lower"], np.float64)
            size = int((np.sqrt(8 * lower.size + 1) - 1) / 2)
            matrix = np.zeros((size, size))
            matrix[np.tril_indices(size)] = lower
            return matrix + np.tril(matrix, -1).T
        if value and isinstance(value[0], list):
            return np.asarray(value, np.float64)
        return np.asarray([np.inf if x is None else x for x in value], np.float64)
    raise NotImplementedError(f"{kind} has no JSON form")
