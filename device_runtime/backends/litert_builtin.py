"""LiteRT (ai-edge-litert) without XNNPACK, on its built-in kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import ai_edge_litert
from ai_edge_litert import interpreter

from device_runtime.litert_library import check_version
from device_runtime.litert_profile import profiled_operators
from device_runtime.tflite_session import TfliteSession


def version() -> str:
    """Return the engine's version."""
    return str(ai_edge_litert.__version__)


def open_model(path: str, threads: int) -> TfliteSession:
    """Load the .tflite file `path` for `threads` threads; the engine's errors if it cannot be."""
    return TfliteSession(interpreter, path, threads, xnnpack=False)


def profile(
    path: str, threads: int, runs: int, shapes: Mapping[str, Sequence[int]]
) -> List[Dict[str, Any]]:
    """Return the operators as LiteRT's own profiler times them; see `base`."""
    check_version(version())
    folder = Path(ai_edge_litert.__file__).parent
    return profiled_operators(
        interpreter, folder, path, threads, runs, shapes=shapes, xnnpack=False
    )
