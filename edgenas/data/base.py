"""Data: labelled images in three splits, of one size.

A member is a file with `load(argument: str, *, seed: int, progress: Progress, image_size: int) ->
Dataset`; `argument` is what follows the colon in --data NAME:ARGUMENT, `image_size` the most pixels
that a side may have.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from edgenas import plugins
from edgenas.errors import DataError
from edgenas.progress import Progress
from edgenas.records import DataCard

LARGEST_IMAGE_SIZE = 64
NAMED_SKIPPED_FILES = 5
TEST_SEED = 0


@dataclass(frozen=True, eq=False)
class Split:
    """Images, uint8 [n, height, width, channels] with height = width, and labels, int64 [n]."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def resized(self, size: int) -> Split:
        """Return the same images at `size` pixels a side."""
        return Split(resize(self.images, size), self.labels)

    def take(self, indices: np.ndarray) -> Split:
        """Return the images of `indices`, int64 [n], in that order."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class SkippedFile:
    """A file that could not be used."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path} ({self.reason})"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images. `val` chooses between networks, `test` is only for the last word.

    identity : SHA-256 over the class names and every split's pixels and labels.
    mean, std : of the training pixels, per channel, as fractions of 255.
    positions : None if the splits are whole. Of an excerpt, in which `train` is what calibration
        draws first, in that order: where those images stood in the whole split, int64 [n].
    excerpt_of : of an excerpt, the identity of the whole.
    synthetic : the images were made from noise to calibrate as those of `excerpt_of` do; their
        labels are all -1, and mean nothing.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    identity: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    skipped: tuple[SkippedFile, ...] = ()
    positions: np.ndarray | None = None
    excerpt_of: str = ""
    synthetic: bool = False

    @property
    def image_size(self) -> int:
        """Height and width of the images in pixels."""
        return int(self.train.images.shape[1])

    def card(self) -> DataCard:
        """Return what the data set is, without its images."""
        return DataCard(
            name=self.name,
            identity=self.identity,
            class_names=self.class_names,
            image_size=self.image_size,
            mean=self.mean,
            std=self.std,
            n_train=len(self.train),
            n_val=len(self.val),
            n_test=len(self.test),
            skipped=tuple(map(str, self.skipped)),
            excerpt_of=self.excerpt_of,
            synthetic=self.synthetic,
        )

    def calibration(self, count: int) -> Split:
        """Return `count` training images (or all), always the same ones."""
        if self.positions is not None:
            return self.train.take(np.argsort(self.positions[:count]))
        return self.train.take(np.sort(self.calibration_order()[:count]))

    def calibration_order(self) -> np.ndarray:
        """Return the training images' numbers, int64 [n], as calibration draws them."""
        return np.random.default_rng(0).permutation(len(self.train))

    def normalize(self, images: np.ndarray) -> np.ndarray:
        """Return a network's input, float32 [n, c, h, w], for images, uint8 [n, h, w, c]."""
        scale = np.float32(1) / (255 * np.array(self.std, np.float32))
        shift = np.array(self.mean, np.float32) / np.array(self.std, np.float32)
        return np.ascontiguousarray((images * scale - shift).transpose(0, 3, 1, 2))


def load(
    spec: str, *, seed: int, progress: Progress, image_size: int = LARGEST_IMAGE_SIZE
) -> Dataset:
    """Return the data set of `spec`, NAME or NAME:ARGUMENT, and warn of files that were skipped.

    seed : of the validation split, where it is cut from the training images.

    Raises
    ------
    PluginError : no such NAME.
    DataError : the images cannot be used.
    """
    name, _, argument = spec.partition(":")
    member = plugins.load("data", name)
    dataset: Dataset = member.load(argument, seed=seed, progress=progress, image_size=image_size)
    if dataset.skipped:
        named = ", ".join(map(str, dataset.skipped[:NAMED_SKIPPED_FILES]))
        more = len(dataset.skipped) - NAMED_SKIPPED_FILES
        rest = f" and {more} more" if more > 0 else ""
        progress.warning(f"{len(dataset.skipped)} images were skipped: {named}{rest}.")
    return dataset


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Return uint8 [n, size, size, channels]: bilinear, antialiased, in Pillow's integers.

    images : uint8 [n, height, width, channels], 1 or 3 channels. Host and device get these bytes.
    """
    n, height, width, channels = images.shape
    if height == width == size:
        return images
    resized = np.empty((n, size, size, channels), np.uint8)
    for index, pixels in enumerate(images):
        image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
        small = image.resize((size, size), Image.Resampling.BILINEAR)
        resized[index] = np.asarray(small).reshape(size, size, channels)
    return resized


def assemble(
    name: str,
    class_names: tuple[str, ...],
    train: Split,
    val: Split | None,
    test: Split | None,
    *,
    seed: int,
    skipped: tuple[SkippedFile, ...] = (),
) -> Dataset:
    """Check the splits, cut what is missing of them from `train`, and describe them.

    Which images test does not depend on `seed`, which validate does.

    Raises
    ------
    DataError : fewer than two classes, a class of too few training images, no test image.
    """
    _check(name, class_names, train, test)
    if test is None:
        train, test = _cut(train, len(class_names), TEST_SEED)
    if val is None:
        train, val = _cut(train, len(class_names), seed)
    mean, std = _channel_statistics(train.images)
    found = identity(class_names, train, val, test)
    return Dataset(name, class_names, train, val, test, found, mean, std, skipped)


def _check(name: str, class_names: tuple[str, ...], train: Split, test: Split | None) -> None:
    if len(class_names) < 2:
        raise DataError(
            f"{name} has only one class, '{class_names[0]}'; a classifier needs two or more."
        )
    counts = np.bincount(train.labels, minlength=len(class_names))
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
    if test is not None and not len(test):
        raise DataError(f"{name} has no readable test image.", "Add images to it.")


def _cut(train: Split, n_classes: int, seed: int) -> tuple[Split, Split]:
    """Cut images off, to validate or to test; every class keeps an image in both parts.

    A tenth of each class, 400 to 2,500 in all; at most a quarter.
    """
    n = len(train)
    share = min(max(400, n // 10), 2_500, n // 4) / n
    rng = np.random.default_rng(seed)
    cut = np.zeros(n, bool)
    for label in range(n_classes):
        members = rng.permutation(np.flatnonzero(train.labels == label))
        cut[members[: max(1, round(share * len(members)))]] = True
    return train.take(np.flatnonzero(~cut)), train.take(np.flatnonzero(cut))


def _channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation a channel from exact histograms, as fractions of 255."""
    levels = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[3]):
        counts = np.zeros(256, np.int64)
        for start in range(0, len(images), 1024):
            part = images[start : start + 1024, :, :, channel]
            counts += np.bincount(part.ravel(), minlength=256)
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
        digest.update(np.ascontiguousarray(split.images).data)
        digest.update(np.ascontiguousarray(split.labels, np.int64).data)
    return digest.hexdigest()
