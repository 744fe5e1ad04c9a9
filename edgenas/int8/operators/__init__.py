"""Operators without weights: what a kind of node computes, and how each format writes it.

A member is one module; what it makes known is in one `Operator`, and `_MODULES` names it.
"""

from __future__ import annotations

import importlib
from functools import cache

from edgenas.core.errors import ExportError, nearest
from edgenas.int8.operators.base import Operator

_MODULES = ("arithmetic", "borders", "channels", "foreign", "pools", "resize")


def find_operator(kind: str) -> Operator:
    """Return the operator of a kind of node without weights; `ExportError` if there is none."""
    known = operators()
    if kind not in known:
        raise ExportError(f"There is no operator '{kind}'.", nearest(kind, known))
    return known[kind]


@cache
def onnx_kinds() -> dict[str, str]:
    """Return the kind of each operator of an ONNX file that is read back as one."""
    return {name: kind for kind, one in operators().items() for name in one.onnx_names}


@cache
def operators() -> dict[str, Operator]:
    """Return every operator by the kind of its nodes."""
    modules = [importlib.import_module(f"{__name__}.{name}") for name in _MODULES]
    return {one.kind: one for module in modules for one in module.OPERATORS}
