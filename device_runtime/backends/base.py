"""Backends: one inference engine each.

A member is a file, its name is the engine's name in jobs and target files. It defines
`version() -> str` and `open_model(path: str, threads: int) -> Session`; where the engine can time
its operators also `profile(path, threads, runs) -> list`, the fields of a `readings.Operator` each.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, List, Protocol, Tuple

import numpy as np


class Session(Protocol):
    """A loaded model: bind an input, run, read the output.

    input_shape : of the only input, batch 1.
    provider : what really runs the model, as the engine says after loading.
    """

    input_shape: Tuple[int, ...]
    provider: str

    def bind(self, values: np.ndarray) -> None:
        """Set the input, float32 of `input_shape`."""
        ...

    def run(self) -> None:
        """Run the model once on what was bound: this is what is timed."""
        ...

    def output(self) -> np.ndarray:
        """Return the first output of the last run, dequantized, float32."""
        ...


def names() -> List[str]:
    """Return the names of the backends in this folder, sorted, without importing them."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(
        path.stem for path in files if "\ndef open_model(" in path.read_text(encoding="utf-8")
    )


def load(name: str) -> Any:
    """Import the backend `name`; `ImportError` when it, or its engine, is not here."""
    if not re.match(r"[a-z][a-z0-9_]*\Z", name) or name not in names():
        raise ImportError(f"there is no backend {name!r}; known: {', '.join(names())}")
    return importlib.import_module(f"device_runtime.backends.{name}")
