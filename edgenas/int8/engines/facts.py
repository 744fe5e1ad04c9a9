"""Engines: what is known of each, which is data: one file an engine, `NAME.json`, in this folder.

An engine is added by such a file and a backend of the runtime.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from edgenas.core.errors import ExportError, nearest

Scheme = Literal["u8s8", "s8s8", "s8s8-symmetric"]

_BUILT_IN = "built-in kernels"
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Engine:
    """What is known of an engine.

    title : in words. provider : what it says of itself after loading a model.
    exporter : plug-in that writes its files. host_engine : what runs those files on the host with
        arithmetic nearest to its own, as `edgenas.int8.engines.host` calls it.
    int8_kinds : kinds of node that it computes in int8. rules : of the pre-check.
    x86_scheme, other_scheme : int8 schemes that suit it on x86, and on any other processor.
    parity : how far its logits may be off; None where it was never compared.
    """

    name: str
    title: str
    provider: str
    exporter: str
    host_engine: str
    int8_kinds: tuple[str, ...]
    rules: tuple[dict[str, Any], ...]
    x86_scheme: Scheme
    other_scheme: Scheme
    parity: dict[str, Any] | None


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
    document: dict[str, dict[str, Any]] = {
        path.stem: json.loads(path.read_text("utf-8")) for path in sorted(_FOLDER.glob("*.json"))
    }
    return {
        name: Engine(
            name,
            about["title"],
            about["provider"],
            about["exporter"],
            about["host_engine"],
            tuple(about["int8_kinds"]),
            tuple(about["rules"]),
            about["schemes"]["x86"],
            about["schemes"]["elsewhere"],
            about["parity"],
        )
        for name, about in document.items()
    }
