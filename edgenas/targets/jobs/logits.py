"""The logits that an infer job left, read back with nothing taken on trust."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from device_runtime.summary import JobState
from edgenas.core.counted import counted
from edgenas.core.errors import MeasurementError
from edgenas.core.files.arrays import read_array


def read(state: JobState, fetch: Callable[[str], bytes], n_images: int, target: str) -> np.ndarray:
    """Return the logits, float32 [n_images, n_classes].

    fetch : returns the content of a file of the job folder, by its name.

    Raises
    ------
    MeasurementError : a file is not what the journal says, or images are missing.
    """
    rows = sum(part.rows for part in state.inferred)
    if rows != n_images:  # before any of them is fetched
        raise _error(target, f"it answered for {rows} of {counted(n_images, 'image')}")
    parts = []
    for part in state.inferred:
        content = fetch(part.file)
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise _error(target, f"{part.file} is not the file that the journal names")
        try:
            values = read_array(content)
        except ValueError as problem:
            raise _error(target, f"{part.file} is not an array: {problem}") from problem
        if values.dtype != np.float32 or values.shape != (part.rows, part.classes):
            raise _error(target, f"{part.file} is {values.dtype} {values.shape}")
        if not np.isfinite(values).all():
            raise _error(target, f"{part.file} holds NaN or infinity")
        parts.append(values)
    return np.concatenate(parts)


def _error(target: str, what: str) -> MeasurementError:
    return MeasurementError(f"What target '{target}' computed cannot be used: {what}.")
