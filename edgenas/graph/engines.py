"""Engines: which model format each takes, which of the host's engines stands in for it, int8 facts.

All of it is data, `int8_support.json`: an engine is added there and as a backend of the runtime.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgenas.errors import ExportError, nearest

_BUILT_IN = "built-in kernels"
_SUPPORT = Path(__file__).with_name("int8_support.json")


@dataclass(frozen=True)
class Engine:
    """What is known of an engine.

    title : in words. provider : what it says of itself after loading a model.
    exporter : plug-in that writes its files. host_engine : what runs those files on the host with
        arithmetic nearest to its own, as `edgenas.host_engine` calls it.
    int8_kinds : kinds of node that it computes in int8. rules : of the pre-check.
    """

    name: str
    title: str
    provider: str
    exporter: str
    host_engine: str
    int8_kinds: tuple[str, ...]
    rules: tuple[dict[str, Any], ...]


def engine_names() -> list[str]:
    """Return the names of the engines that something is known about, sorted."""
    return sorted(_engines())


def find_engine(name: str) -> Engine:
    """Return what is known of the engine `name`; `ExportError` if nothing is."""
    known = _engines()
    if name not in known:
        raise ExportError(f"Nothing is known of int8 on the engine '{name}'.", nearest(name, known))
    return known[name]


def what_ran(engine: Engine, provider: str) -> Engine:
    """Return the engine whose arithmetic it was: another where all fell back to built-in kernels.

    provider : `Outcome.provider`, from after the model was loaded.
    """
    fell_back = provider != engine.provider and provider == _BUILT_IN
    return _engines().get(f"{engine.name}_builtin", engine) if fell_back else engine


@cache
def _engines() -> dict[str, Engine]:
    document: dict[str, dict[str, Any]] = json.loads(_SUPPORT.read_text("utf-8"))
    return {
        name: Engine(
            name,
            about["title"],
            about["provider"],
            about["exporter"],
            about["host_engine"],
            tuple(about["int8_kinds"]),
            tuple(about["rules"]),
        )
        for name, about in document.items()
    }
