"""Where decoded pixels are kept: in memory, or, where they are many, in a file of the cache.

The file has no name: it goes when the last array of it does, or the process, however that ends.
The system keeps of it in memory what there is room for.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgenas.core.errors import DataError
from edgenas.core.files.cache import cache_folder
from edgenas.core.progress import Progress

MOST_IN_MEMORY = 256 << 20  # bytes
STEP = 256  # images that are copied at once
RELEASED_EVERY = 8  # steps
_TIMES = 2  # that the pixels are there while splits are cut


def check_room(name: str, count: int, size: int, progress: Progress) -> None:
    """Say where the pixels of `count` images at `size` px go, if it is not into memory.

    Raises
    ------
    DataError : there is no room for them on the disk.
    """
    needed = count * size * size * 3
    if needed <= MOST_IN_MEMORY:
        return
    folder = _folder()
    free = shutil.disk_usage(folder).free
    if free < _TIMES * needed:
        raise _full(name, _TIMES * needed, free, folder)
    progress.message(
        f"{name}: {count:,} images at {size} px are decoded once, into {needed / 1e9:.1f} GB of "
        f"{folder} (twice that while they are split), which are free again when this ends."
    )


def empty(shape: Sequence[int]) -> np.ndarray:
    """Return an array, uint8, for pixels: in memory, of many in a file.

    Raises
    ------
    DataError : there is no room for them on the disk.
    """
    size = math.prod(shape)
    if size <= MOST_IN_MEMORY:
        return np.empty(shape, np.uint8)
    folder = _folder()
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            if hasattr(os, "posix_fallocate"):  # else a full disk would end the process later
                os.posix_fallocate(stream.fileno(), 0, size)
            return np.memmap(stream, np.uint8, "w+", shape=tuple(shape))
    except OSError as problem:
        free = shutil.disk_usage(folder).free
        raise _full("The images", size, free, folder) from problem


def parts(images: np.ndarray, step: int = STEP) -> Iterator[np.ndarray]:
    """Yield the images, `step` at a time; of those in a file few are in memory at once."""
    for start in range(0, len(images), step):
        yield images[start : start + step]
        if start // step % RELEASED_EVERY == RELEASED_EVERY - 1:
            release(images)
    release(images)


def taken(images: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return the images, uint8 [n, h, w, c], of `indices`, int64 [n], in that order."""
    if not isinstance(images, np.memmap):
        return images[indices]
    copy = empty((len(indices), *images.shape[1:]))
    for start, part in zip(range(0, len(indices), STEP), parts(copy, STEP), strict=True):
        part[:] = images[indices[start : start + STEP]]
        if start // STEP % RELEASED_EVERY == RELEASED_EVERY - 1:
            release(images)
    release(images)
    return copy


def release(images: np.ndarray) -> None:
    """Let the system take back the memory of images that are in a file; they stay there."""
    mapped = getattr(images, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        with contextlib.suppress(ValueError, OSError):
            mapped.madvise(mmap.MADV_DONTNEED)


def _folder() -> Path:
    folder = cache_folder() / "images"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise DataError(
            f"Cannot make the folder {folder} for the images' pixels: {problem.strerror}.",
            "Name another cache: XDG_CACHE_HOME=DIR edgenas …",
        ) from problem
    return folder


def _full(name: str, needed: int, free: int, folder: Path) -> DataError:
    return DataError(
        f"{name}: the decoded pixels need {needed / 1e9:.1f} GB in {folder}, where "
        f"{free / 1e9:.1f} GB are free.",
        "Make room, name another disk (XDG_CACHE_HOME=DIR), or read them smaller: --image-size.",
    )
