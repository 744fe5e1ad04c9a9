"""Data: labelled images in three splits, of one size.

A member is a file with `load(argument: str, *, reading: Reading, progress: Progress) -> Dataset`;
`argument` is what follows the colon in --data NAME:ARGUMENT.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from edgenas.core import plugins
from edgenas.core.counted import counted
from edgenas.core.errors import DataError, PluginError
from edgenas.core.progress import Progress
from edgenas.core.records import DataCard, Fit, ImageInput, Seen
from edgenas.data import pixel_store
from edgenas.data.seen import seen

if TYPE_CHECKING:
    from edgenas.core.contracts import TaskMember

USUAL_IMAGE_SIZE = 64  # to train on from nothing
NAMED_SKIPPED_FILES = 5
USUAL_TASK = "classification"
_NUMBERED = re.compile(r"([^0-9]*)([0-9]+)(.*)", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Split:
    """Images, uint8 [n, height, width, channels] with height = width, and labels, int64.

    labels : [n], or [n, …] of a task whose labels are more than a number.
    files : that the images were read from, one each; () where they are no files.
    """

    images: np.ndarray
    labels: np.ndarray
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def resized(self, size: int) -> Split:
        """Return the same images at `size` pixels a side."""
        return Split(resize(self.images, size), self.labels, self.files)

    def take(self, indices: np.ndarray) -> Split:
        """Return the images of `indices`, int64 [n], in that order."""
        files = tuple(self.files[index] for index in indices) if self.files else ()
        return Split(pixel_store.taken(self.images, indices), self.labels[indices], files)


@dataclass(frozen=True)
class Reading:
    """How images are to be read.

    seed : of the validation split, where it is cut from the training images. image_size : the most
    pixels that a side may have. fit : how an image becomes square; None for crop, or as packaged
    images are. class_names : in which order these classes go, where the images have just these; in
    any other case the data set's own order counts. task : what the labels are to be of.
    """

    seed: int = 0
    image_size: int = USUAL_IMAGE_SIZE
    fit: Fit | None = None
    class_names: tuple[str, ...] = ()
    task: str = USUAL_TASK

    def ordered(self, names: Iterable[str], order: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the class names in the order asked for, else in `order`, else `in_order`."""
        names = set(names)
        known = (self.class_names, order)
        return next((one for one in known if names == set(one)), None) or in_order(names)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return names by the alphabet, or by their numbers where those are all that sets them apart.

    Numbers do where every name begins with one, or has one behind the same text: 2 before 10,
    class_2 before class_10.
    """
    alphabetical = sorted(set(names))
    matches = [match for name in alphabetical if (match := _NUMBERED.fullmatch(name))]
    if len(matches) < len(alphabetical) or len({match[1] for match in matches}) != 1:
        return tuple(alphabetical)

    def number(match: re.Match[str]) -> tuple[int, str]:  # as text: it may have any length
        digits = match[2].lstrip("0")
        return len(digits), digits

    return tuple(match[0] for match in sorted(matches, key=number))


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
    fit : how images became square.
    seen : test images that are among the others too; None where it was not looked at.
    synthetic : the images were made from noise to calibrate as those of `excerpt_of` do; their
        labels are all -1, and mean nothing.
    task_name : what the labels are of.
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
    fit: Fit = "crop"
    seen: Seen | None = None
    task_name: str = USUAL_TASK

    @property
    def task(self) -> TaskMember:
        """The task that the labels are of."""
        return plugins.load_task(self.task_name)

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
            fit=self.fit,
            seen=self.seen,
            task=self.task_name,
        )

    def network_input(
        self, size: int, layout: Literal["nchw", "nhwc"], dtype: Literal["float32", "int8", "uint8"]
    ) -> ImageInput:
        """Return how a file's input is made of an image file, at `size` pixels a side."""
        return ImageInput(
            fit=self.fit,
            image_size=self.image_size,
            size=size,
            channels="rgb" if len(self.mean) == 3 else "grey",
            mean=self.mean,
            std=self.std,
            layout=layout,
            dtype=dtype,
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
        """Return a network's input, float32 [n, c, h, w], for images, uint8 [n, h, w, c].

        In the order of `device_runtime.worker.preprocess`: both sides of the parity gate see equal
        floats, to the last bit.
        """
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        values = images.astype(np.float32)
        values /= np.float32(255)
        values -= mean
        values /= std
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))

    def inputs(self, images: np.ndarray) -> Inputs:
        """Return the same of many images, each normalised when it is taken."""
        return Inputs(self, images)


@dataclass(frozen=True, eq=False)
class Inputs(Sequence[np.ndarray]):
    """A network's input for many images, uint8 [n, h, w, c]: floats are four times their memory.

    A slice of it is float32 [m, c, h, w], a number [c, h, w]; as `Dataset.normalize`.
    """

    dataset: Dataset
    images: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int | slice) -> np.ndarray:  # type: ignore[override]
        if isinstance(index, slice):
            return self.dataset.normalize(self.images[index])
        return self.dataset.normalize(self.images[index][np.newaxis])[0]


def load(
    spec: str,
    *,
    seed: int,
    progress: Progress,
    image_size: int = USUAL_IMAGE_SIZE,
    fit: Fit | None = None,
    class_names: Sequence[str] = (),
    task: str = USUAL_TASK,
) -> Dataset:
    """Return the data set of `spec`, NAME or NAME:ARGUMENT, warning of files that were skipped.

    It warns of test images that are among the others, too.

    seed, image_size, fit, class_names, task : as in `Reading`.

    Raises
    ------
    PluginError : no such NAME; names the nearest, or how to read a folder of that name.
    DataError : the images cannot be used, or have no labels of the task.
    """
    name, _, argument = spec.partition(":")
    member = _member(name, spec)
    reading = Reading(seed, image_size, fit, tuple(class_names), task)
    dataset: Dataset = member.load(argument, reading=reading, progress=progress)
    if dataset.task_name != task:
        raise DataError(
            f"{dataset.name} has labels of the task {dataset.task_name}, not of {task}.",
            "Leave --task out, or name other images: --data imagefolder:DIR",
        )
    if dataset.skipped:
        named = ", ".join(map(str, dataset.skipped[:NAMED_SKIPPED_FILES]))
        more = len(dataset.skipped) - NAMED_SKIPPED_FILES
        rest = f" and {more} more" if more > 0 else ""
        skipped = counted(len(dataset.skipped), "image was", "images were")
        progress.warning(f"{skipped} skipped: {named}{rest}.")
    if dataset.synthetic:
        return dataset
    found = seen(dataset.train, dataset.val, dataset.test)
    if said := found.sentence(dataset.name):
        progress.warning(said)
    return replace(dataset, seen=found)


def _member(name: str, spec: str) -> ModuleType:
    if name not in plugins.names("data") and Path(spec).expanduser().is_dir():
        raise PluginError(
            f"There is no data set '{spec}', but there is a folder of that name.",
            f"Use its images with: --data imagefolder:{spec}",
        )
    return plugins.load("data", name)


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
