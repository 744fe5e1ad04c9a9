"""The inputs of any model: what shapes they get, and the values that they are timed with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

_ONLY = ""  # in place of the name, where a model has one input


@dataclass(frozen=True)
class Input:
    """An input of a model file. shape : None for a size that is left open. dtype : numpy's name."""

    name: str
    shape: Tuple[Optional[int], ...]
    dtype: str

    @property
    def shown(self) -> str:
        """The name and the shape, such as "image [open, 3, 224, 224]"."""
        return f"{self.name} [{', '.join('open' if n is None else str(n) for n in self.shape)}]"


def shapes(
    inputs: Sequence[Input], asked: Mapping[str, Sequence[int]]
) -> Dict[str, Tuple[int, ...]]:
    """Return a shape for each input: what was asked, else the file's with 1 for an open batch.

    asked : shapes by input name; the name may be empty where there is one input.
    Raises `ValueError` where a size is left open, or a shape does not fit the file's.
    """
    chosen: Dict[str, Tuple[int, ...]] = {}
    for one in inputs:
        own = [1 if n is None and axis == 0 else n for axis, n in enumerate(one.shape)]
        given = asked.get(one.name, asked.get(_ONLY) if len(inputs) == 1 else None)
        wanted: Sequence[Optional[int]] = own if given is None else given
        if any(size is None for size in wanted):
            raise ValueError(f"the input {one.shown} has an open size")
        fits = len(wanted) == len(one.shape) and all(
            size in (None, chosen_size)
            for size, chosen_size in zip(one.shape, wanted)  # noqa: B905 - 3.8
        )
        if not fits:
            asked_text = "x".join(str(size) for size in wanted)
            raise ValueError(f"the input {one.shown} cannot have the shape {asked_text}")
        chosen[one.name] = tuple(int(size) for size in wanted if size is not None)
    return chosen


def random_values(
    inputs: Sequence[Input], asked: Mapping[str, Sequence[int]], seed: int = 0
) -> Dict[str, np.ndarray]:
    """Return values to time a model with, by input name; see `shapes`.

    Floats are normal, for zeros and denormals take other times. Bytes are of their whole range.
    Wider integers are zeros: they are mostly indices, which a model may look up.
    """
    rng = np.random.default_rng(seed)
    values: Dict[str, np.ndarray] = {}
    for one, shape in zip(inputs, shapes(inputs, asked).values()):  # noqa: B905 - Python 3.8
        dtype = np.dtype(one.dtype)
        if dtype.kind == "f":
            values[one.name] = rng.standard_normal(shape).astype(dtype)
        elif dtype in (np.int8, np.uint8):
            limits = np.iinfo(dtype)
            values[one.name] = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        else:
            values[one.name] = np.zeros(shape, dtype)
    return values
