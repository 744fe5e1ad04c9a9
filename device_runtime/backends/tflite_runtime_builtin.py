"""tflite-runtime without XNNPACK, on its built-in kernels."""

from __future__ import annotations

import tflite_runtime
from tflite_runtime import interpreter

from device_runtime.tflite_session import TfliteSession


def version() -> str:
    """Return the engine's version."""
    return str(tflite_runtime.__version__)


def open_model(path: str, threads: int) -> TfliteSession:
    """Load the .tflite file `path` for `threads` threads; the engine's errors if it cannot be."""
    return TfliteSession(interpreter, path, threads, xnnpack=False)
