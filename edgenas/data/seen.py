"""Test images that a network saw before: the same as training or validation images, or nearly.

Accuracy on them says what was remembered. Images are compared as they were decoded, so that another
file name, format or quality hides nothing: the very pixels by their hash, nearly the same ones by a
perceptual hash (signs of the lowest frequencies of the cosine transform; Zauner 2010), confirmed by
the images themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from edgenas.core.records import Seen
from edgenas.data.pixel_store import parts

if TYPE_CHECKING:
    from edgenas.data.base import Split

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # what JPEG keeps best of a colour
SIDE = 16  # of the grey image that is hashed and compared, pixels
FREQUENCIES = 8  # kept in each direction
MOST_BITS_APART = 10  # of the 63 signs
LEAST_CORRELATION = 0.995  # of the grey images
MOST_CONTRAST = 1.25  # times: one may be paler than the other
LEAST_CONTRAST = 2.0  # grey levels; what is flatter has no picture to compare
MOST_PAIRS = 200_000_000  # of hashes that are compared: a few seconds
STEP = 256  # test images at once
MOST_PIXELS = 1024 * 64 * 64  # that are made grey at once


def seen(train: Split, val: Split, test: Split) -> Seen:
    """Return how many images of `test` are among those of the other splits, all of one size."""
    known = {_digest(image) for split in (train, val) for image in _each(split.images)}
    same = np.array([_digest(image) in known for image in _each(test.images)], bool)
    others = len(train) + len(val)
    rest = np.flatnonzero(~same)
    most = max(1, MOST_PAIRS // max(others, 1))
    if len(rest) > most:
        rest = np.sort(np.random.default_rng(0).permutation(rest)[:most])
    nearly = _nearly(test.images[rest], (train.images, val.images))
    return Seen(int(same.sum()), nearly, len(rest), len(test))


def _each(images: np.ndarray) -> Iterator[np.ndarray]:
    for part in parts(images):
        yield from part


def _digest(image: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def _nearly(images: np.ndarray, others: tuple[np.ndarray, ...]) -> int:
    """Return how many of `images` have a picture that is nearly one of `others`."""
    pictures, contrasts = _pictures(images)
    theirs = [_pictures(part) for part in others]
    known = np.concatenate([part for part, _ in theirs])
    widths = np.concatenate([part for _, part in theirs])
    if not len(pictures) or not len(known):
        return 0
    signs = _signs(known)
    least = signs.shape[1] - 2 * MOST_BITS_APART
    count = 0
    for start in range(0, len(pictures), STEP):
        here, width = pictures[start : start + STEP], contrasts[start : start + STEP]
        rows, columns = np.nonzero(_signs(here) @ signs.T >= least)
        cosines = np.einsum("ij,ij->i", here[rows], known[columns])
        ratio = np.log(width[rows] / widths[columns])
        near = (cosines >= LEAST_CORRELATION) & (np.abs(ratio) <= np.log(MOST_CONTRAST))
        count += len(np.unique(rows[near]))
    return count


def _pictures(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return grey images of mean 0 and length 1, float32 [m, SIDE²], and their contrasts [m].

    Those that are flat are left out: nothing is seen on them.
    """
    weights = LUMA if images.shape[3] == len(LUMA) else np.full(images.shape[3], 1.0, np.float32)
    pixels, widths = [], []
    step = max(1, MOST_PIXELS // (images.shape[1] * images.shape[2]))
    for part in parts(images, step):
        grey = part.astype(np.float32) @ weights
        small = _shrink(grey.shape[1]) @ grey @ _shrink(grey.shape[2]).T
        flat = small.reshape(len(small), -1)
        flat = flat - flat.mean(axis=1, keepdims=True)
        contrast = flat.std(axis=1)
        kept = contrast >= LEAST_CONTRAST
        pixels.append(flat[kept] / np.linalg.norm(flat[kept], axis=1, keepdims=True))
        widths.append(contrast[kept])
    if not pixels:
        return np.zeros((0, SIDE**2), np.float32), np.zeros(0, np.float32)
    return np.concatenate(pixels).astype(np.float32), np.concatenate(widths)


def _shrink(size: int) -> np.ndarray:
    """Return the means over equal parts of `size` pixels, float32 [SIDE, size]."""
    edges = np.arange(SIDE + 1) * size / SIDE
    starts, ends = np.arange(size), np.arange(1, size + 1)
    overlap = np.minimum(edges[1:, None], ends) - np.maximum(edges[:-1, None], starts)
    return np.asarray(np.maximum(overlap, 0.0) * SIDE / size, np.float32)


def _signs(pictures: np.ndarray) -> np.ndarray:
    """Return the signs of the lowest frequencies but the mean, -1 or 1, float32 [m, 63]."""
    at = (np.arange(SIDE) + 0.5) * np.pi / SIDE
    waves = np.cos(np.arange(FREQUENCIES)[:, None] * at).astype(np.float32)
    grey = pictures.reshape(-1, SIDE, SIDE)
    found = (waves @ grey @ waves.T).reshape(len(grey), -1)[:, 1:]
    return np.where(found >= 0, 1.0, -1.0).astype(np.float32)
