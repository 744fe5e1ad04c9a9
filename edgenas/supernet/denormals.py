"""Numbers next to nothing are zero while a network trains, and only then."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def denormals_flushed() -> Iterator[None]:
    """Let this thread compute with zeros for denormals: those of dying channels slow a CPU several
    times.

    Afterwards it reads and writes them again: files of other numbers than networks' hold some.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
