"""Backends: one inference engine each.

A member is a file, its name is the engine's name in jobs and target files. It defines
`version() -> str` and `open_model(path: str, threads: int) -> Session`; where the engine can time
its operators also `profile(path, threads, runs, shapes) -> list`, the fields of a
`readings.Operator` each; `shapes` are those that were asked for, by input name.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, List, Mapping, Protocol, Tuple

import numpy as np

from device_runtime.inputs import Input


class Session(Protocol):
    """A loaded model: set its inputs, run, read the output.

    inputs : as the file has them. provider : what really runs the model, as the engine says after
    loading.
    """

    inputs: Tuple[Input, ...]
    provider: str

    @property
    def input_shape(self) -> Tuple[int, ...]:
        """Of the image that the model takes, batch 1; `ValueError` if it takes anything else."""
        ...

    def feed(self, values: Mapping[str, np.ndarray]) -> None:
        """Set all inputs by name, as the file stores them: its own layout and type."""
        ...

    def bind(self, values: np.ndarray) -> None:
        """Set the only input, an image as float32 of `input_shape`."""
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
