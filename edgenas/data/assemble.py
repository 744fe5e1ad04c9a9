"""A data set of the splits that there are: checked, and what is missing of them cut off."""

from __future__ import annotations

import hashlib

import numpy as np

from edgenas.core import plugins
from edgenas.core.counted import counted
from edgenas.core.errors import DataError
from edgenas.core.records import Fit
from edgenas.data import pixel_store
from edgenas.data.base import USUAL_TASK, Dataset, SkippedFile, Split

FEWEST = 8  # training images of a task whose images have no single class
TEST_SEED = 0


def assemble(
    name: str,
    class_names: tuple[str, ...],
    train: Split,
    val: Split | None,
    test: Split | None,
    *,
    seed: int,
    skipped: tuple[SkippedFile, ...] = (),
    fit: Fit = "crop",
    task: str = USUAL_TASK,
) -> Dataset:
    """Check the splits, cut what is missing of them from `train`, and describe them.

    Which images test does not depend on `seed`, which validate does.

    Raises
    ------
    DataError : fewer than two classes, a class of too few training images, no test image.
    """
    classes = plugins.load_task(task).classes(train.labels)
    _check(name, class_names, classes, train, test)
    rest = np.arange(len(train))
    groups = np.zeros(len(train), np.int64) if classes is None else classes
    if test is None:
        rest, cut = _cut(groups, rest, TEST_SEED)
        test = train.take(cut)
    if val is None:
        rest, cut = _cut(groups, rest, seed)
        val = train.take(cut)
    if len(rest) < len(train):
        train = train.take(rest)
    mean, std = _channel_statistics(train.images)
    return Dataset(
        name,
        class_names,
        train,
        val,
        test,
        identity(class_names, train, val, test),
        mean,
        std,
        skipped,
        fit=fit,
        task_name=task,
    )


def _check(
    name: str,
    class_names: tuple[str, ...],
    classes: np.ndarray | None,
    train: Split,
    test: Split | None,
) -> None:
    """Refuse what cannot be learnt or tested. classes : of the training images, if each has one."""
    if len(class_names) < 2:
        raise DataError(
            f"{name} has only one class, '{class_names[0]}'; a classifier needs two or more."
        )
    if classes is not None:
        _check_counts(name, class_names, np.bincount(classes, minlength=len(class_names)), test)
    elif len(train) < FEWEST:
        raise DataError(
            f"{name} has {counted(len(train), 'readable training image')}; {FEWEST} are the "
            "fewest.",
            "Add images to it.",
        )
    if test is not None and not len(test):
        raise DataError(f"{name} has no readable test image.", "Add images to it.")


def _check_counts(
    name: str, class_names: tuple[str, ...], counts: np.ndarray, test: Split | None
) -> None:
    """Refuse classes of too few training images. counts : int64 [classes]."""
    texts = ["no readable training image", "only one training image"]
    if test is None:
        texts.append("only two images, and one is kept back to test")
    for count, text in enumerate(texts):
        short = [f"'{class_names[index]}'" for index in np.flatnonzero(counts == count)]
        if short:
            raise DataError(
                f"{name}: class {', '.join(short[:5])}{' …' * (len(short) > 5)} has {text}.",
                "Add images to it, or remove the class.",
            )


def _cut(groups: np.ndarray, images: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut images off, to validate or to test; every group keeps an image in both parts.

    groups : of all images, int64 [n], such as their classes. images : the numbers of those to cut,
    int64 [n]; so are both parts.
    A tenth of each class, 400 to 2,500 in all; at most a quarter.
    """
    n = len(images)
    share = min(max(400, n // 10), 2_500, n // 4) / n
    rng = np.random.default_rng(seed)
    cut = np.zeros(n, bool)
    for group in range(groups.max() + 1):
        members = rng.permutation(np.flatnonzero(groups[images] == group))
        cut[members[: max(1, round(share * len(members)))]] = True
    return images[~cut], images[cut]


def _channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation a channel from exact histograms, as fractions of 255."""
    levels = np.arange(256) / 255
    means, deviations = [], []
    counted = np.zeros((images.shape[3], 256), np.int64)
    for part in pixel_store.parts(images):
        for channel in range(len(counted)):
            counted[channel] += np.bincount(part[:, :, :, channel].ravel(), minlength=256)
    for counts in counted:
        mean = float(levels @ counts / counts.sum())
        variance = float((levels - mean) ** 2 @ counts / counts.sum())
        means.append(mean)
        deviations.append(max(variance**0.5, 1 / 255))
    return tuple(means), tuple(deviations)


def identity(class_names: tuple[str, ...], *splits: Split) -> str:
    """Return the SHA-256 over the class names and every split's pixels and labels."""
    digest = hashlib.sha256("\0".join(class_names).encode())
    for split in splits:
        digest.update(repr(split.images.shape).encode())
        for part in pixel_store.parts(split.images):
            digest.update(np.ascontiguousarray(part).data)
        digest.update(np.ascontiguousarray(split.labels, np.int64).data)
    return digest.hexdigest()
