"""LiteRT (ai-edge-litert), with XNNPACK for all operators that it takes."""

from __future__ import annotations

import ai_edge_litert
from ai_edge_litert import interpreter

from device_runtime.tflite_session import TfliteSession


def version() -> str:
    """Return the engine's version."""
    return str(ai_edge_litert.__version__)


def open_model(path: str, threads: int) -> TfliteSession:
    """Load the .tflite file `path` for `threads` threads; the engine's errors if it cannot be."""
    return TfliteSession(interpreter, path, threads, xnnpack=True)
