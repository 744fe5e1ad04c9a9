"""Arrays that a board or somebody else wrote, as .npy files."""

from __future__ import annotations

import io

import numpy as np


def read_array(content: bytes) -> np.ndarray:
    """Return the array of a .npy file; `ValueError`, in one line, if it is none or is damaged."""
    try:
        array: np.ndarray = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except Exception as problem:  # numpy raises nearly anything on damage, MemoryError too
        raise ValueError(" ".join(str(problem).split())[:200]) from problem
    return array
