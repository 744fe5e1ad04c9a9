"""A logistic regression on the pixels: what a network must beat to be worth its time.

It is fitted in seconds whatever the data set: large images are made smaller, and of many images
some are drawn, of every class.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from edgenas.core.records import Answers, Baseline
from edgenas.data.base import resize

if TYPE_CHECKING:
    from edgenas.data.base import Dataset, Split

MOST_SIDE = 16  # of what it sees, pixels
MOST_IMAGES = 10_000  # that it is fitted to
MOST_WORK = 100_000_000  # images x pixels x classes, of one step of the fit
MOST_STEPS = 100
STRENGTHS = (0.01, 1.0)  # inverse penalties that the validation images choose between


def baseline(dataset: Dataset) -> Baseline | None:
    """Return what a logistic regression on the training pixels gets right of the test images.

    The penalty is chosen on the validation images. None where the images have no single class each.
    """
    if dataset.synthetic or dataset.task.classes(dataset.test.labels) is None:
        return None
    size = min(MOST_SIDE, dataset.image_size)
    kept = _drawn(dataset.train.labels, size**2 * dataset.train.images.shape[3])
    mean, scale, rows = _scaled(dataset.train.images[kept], size)
    labels, best, most = dataset.train.labels[kept], None, -1
    for strength in STRENGTHS:
        fitted = _fit(rows, labels, strength)
        right = int(_right(fitted, dataset.val, size, mean, scale).sum())
        if right > most:
            best, most = fitted, right
    answers = _right(best, dataset.test, size, mean, scale)
    return Baseline(
        method="logistic regression",
        answers=Answers.of(answers.tolist()),
        image_size=size,
        data_image_size=dataset.image_size,
        n_fitted=len(kept),
        n_train=len(dataset.train),
    )


def _drawn(labels: np.ndarray, n_pixels: int) -> np.ndarray:
    """Return the training images to fit, int64, rising: all, or as many as the work allows.

    Of every class a like share; at least one image each.
    """
    classes = np.unique(labels)
    most = min(MOST_IMAGES, max(MOST_WORK // (n_pixels * len(classes)), 2 * len(classes)))
    if len(labels) <= most:
        return np.arange(len(labels))
    rng = np.random.default_rng(0)
    parts = []
    for one in classes:
        members = rng.permutation(np.flatnonzero(labels == one))
        parts.append(members[: max(1, round(len(members) * most / len(labels)))])
    return np.sort(np.concatenate(parts))


def _scaled(images: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and scale of each pixel, float32 [p], and the images standardised, [n, p]."""
    rows = resize(images, size).reshape(len(images), -1).astype(np.float32)
    mean = rows.mean(axis=0)
    scale = np.maximum(rows.std(axis=0), 8.0)  # grey levels: a pixel that is still tells nothing
    return mean, scale, (rows - mean) / scale


def _fit(rows: np.ndarray, labels: np.ndarray, strength: float) -> object:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # its accuracy is measured on other images, wherever the fit stopped
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=MOST_STEPS, tol=1e-3).fit(rows, labels)


def _right(
    fitted: object, split: Split, size: int, mean: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Return which images of a split it gets right, bool [n], a part at a time."""
    found = [np.zeros(0, bool)]
    for start in range(0, len(split), 1024):
        images = resize(split.images[start : start + 1024], size)
        rows = (images.reshape(len(images), -1).astype(np.float32) - mean) / scale
        chosen = fitted.predict(rows)  # type: ignore[attr-defined]
        found.append(chosen == split.labels[start : start + 1024])
    return np.concatenate(found)
