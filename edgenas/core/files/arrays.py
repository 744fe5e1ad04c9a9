"""Arrays that a board or somebody else wrote, as .npy files."""

from __future__ import annotations

import io
import math

import numpy as np

_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_NUMBERS = "biuf"


def read_array(content: bytes) -> np.ndarray:
    """Return the array of a .npy file; `ValueError`, in one line, if it is none or is damaged."""
    try:
        stream = io.BytesIO(content)
        shape, fortran_order, dtype = _READ_HEADER[np.lib.format.read_magic(stream)](stream)
        if dtype.kind not in _NUMBERS or min(shape, default=0) < 0:
            raise ValueError(f"its values are {dtype}, which are no numbers")
        if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
            raise ValueError(f"its length is not that of {shape} values of {dtype}")
        values = np.frombuffer(content, dtype, offset=stream.tell())
        array: np.ndarray = values.reshape(shape, order="F" if fortran_order else "C").copy()
    except Exception as problem:  # numpy raises nearly anything on damage, MemoryError too
        raise ValueError(" ".join(str(problem).split())[:200]) from problem
    return array
