"""What a model that the user brings is calibrated and judged on: labelled images, or arrays."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgenas.core.counted import counted
from edgenas.core.errors import InputError
from edgenas.core.files.regular import require_regular
from edgenas.core.progress import Progress
from edgenas.core.records import Fit, ImageInput, from_json
from edgenas.core.records.image_input import CLASSES_KEY, INPUT_KEY, USUAL_FIT
from edgenas.data.base import Dataset, Split, load

# Of photographs, as networks of torchvision and timm mostly take them.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MOST_LABELS_BYTES = 1 << 20
_MOST_ARRAY_BYTES = 4 << 30
_INPUTS, _LABELS = "inputs", "labels"


@dataclass(frozen=True)
class Preprocessing:
    """How images become a model's input, as far as the user says.

    mean, std : a channel, as fractions of 255; None for what the file's metadata say, else
    ImageNet's. labels : a file with a class a line, in the order of the model's scores.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    fit: Fit | None = None
    labels: Path | None = None


@dataclass(frozen=True)
class Given:
    """What the user gives: images, as --data takes them, or an .npz file of arrays; one of both."""

    data: str | None = None
    inputs: Path | None = None
    how: Preprocessing = Preprocessing()


@dataclass(frozen=True, eq=False)
class Examples:
    """calibration, test : float32 [n, …], as the model takes them: images, series or vectors.

    labels : int64 [n] of `test`; None where there are none. made : how they were made of images.
    deciding, deciding_labels : images that neither calibrate nor are judged, where they were asked
    for; the same of their labels.
    pixels : uint8 [n, height, width, channels] of `test`, where they are images.
    """

    calibration: np.ndarray
    test: np.ndarray
    labels: np.ndarray | None
    class_names: tuple[str, ...] = ()
    made: ImageInput | None = None
    pixels: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    deciding: np.ndarray | None = None
    deciding_labels: np.ndarray | None = None


def read_labels(path: Path) -> tuple[str, ...]:
    """Return the class names in a file, a line each.

    Raises
    ------
    InputError : it cannot be read, or names a class twice.
    """
    require_regular(path)
    try:
        if path.stat().st_size > _MOST_LABELS_BYTES:
            raise InputError(f"{path} is too large for a list of classes.")
        names = tuple(path.read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"Cannot read the labels {path}: {problem}.") from problem
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path} names the class '{twice}' twice.")
    return names


@dataclass(frozen=True)
class Wanted:
    """What a model takes and gives.

    shape : of its input without the batch: [channels, height, width], [channels, length] or
    [features]. classes : scores. metadata : of its file.
    """

    shape: tuple[int, ...]
    classes: int
    metadata: Mapping[str, str]


def read_examples(
    given: Given, wanted: Wanted, progress: Progress, *, calibrate: int, decide: bool = False
) -> Examples:
    """Return what the user gives, as the model takes it; at most `calibrate` of it calibrates.

    Of arrays 0 may, and then all are judged.

    decide : some is kept apart to decide by: validation images, or half of what else were judged.

    Raises
    ------
    InputError : it, or its labels, do not fit the model. DataError : the images cannot be used.
    """
    if (given.data is None) == (given.inputs is None):
        raise InputError("Give images with --data, or arrays with --inputs: one of the two.")
    if given.inputs is not None:
        return _arrays(given.inputs, wanted.shape, wanted.classes, calibrate, decide=decide)
    return _images(given, wanted, progress, calibrate, decide=decide)


def _images(
    given: Given, wanted: Wanted, progress: Progress, calibrate: int, *, decide: bool
) -> Examples:
    """Return images, of the training split to calibrate, and of the test split to be judged."""
    made, notes = input_of(wanted, given.how)
    names, classes, spec = names_of(wanted, given.how), wanted.classes, given.data
    assert spec is not None  # `read_examples` saw to it
    known = known_input(wanted.metadata)
    fit = given.how.fit or (known.fit if known is not None else None)
    channels, size = wanted.shape[0], made.size
    dataset = load(spec, seed=0, progress=progress, image_size=size, fit=fit, class_names=names)
    dataset = replace(dataset, mean=made.mean, std=made.std)
    if dataset.train.images.shape[-1] != channels:
        raise InputError(
            f"The model takes {counted(channels, 'channel')}, the images have "
            f"{dataset.train.images.shape[-1]}."
        )
    test = dataset.test.resized(size)
    labels = _labels(dataset, test, names, classes, spec)
    deciding = dataset.val.resized(size) if decide else None
    return Examples(
        dataset.normalize(dataset.calibration(calibrate).resized(size).images),
        dataset.normalize(test.images),
        labels,
        names or dataset.class_names,
        dataset.network_input(size, "nchw", "float32"),
        test.images,
        notes,
        None if deciding is None else dataset.normalize(deciding.images),
        None if deciding is None else _labels(dataset, deciding, names, classes, spec),
    )


def input_of(wanted: Wanted, how: Preprocessing) -> tuple[ImageInput, tuple[str, ...]]:
    """Return how images become the model's input, and what is assumed of it, in sentences.

    Raises
    ------
    InputError : the model takes no square image, or mean and std do not fit its channels.
    """
    channels, *sides = wanted.shape
    if len(sides) != 2 or len(set(sides)) > 1 or channels not in (1, 3):
        raise InputError(
            f"The model takes {' x '.join(map(str, wanted.shape))}, which no square image becomes.",
            "Give arrays: --inputs FILE.npz",
        )
    height = sides[0]
    known = known_input(wanted.metadata)
    mean, std, notes = _normalisation(how, known, channels)
    fit = how.fit or (known.fit if known is not None else USUAL_FIT)
    made = ImageInput(
        fit=fit,
        image_size=height,
        size=height,
        channels="rgb" if channels == 3 else "grey",
        mean=mean,
        std=std,
        layout="nchw",
        dtype="float32",
    )
    return made, notes


def names_of(wanted: Wanted, how: Preprocessing) -> tuple[str, ...]:
    """Return the model's classes, of --labels or of its metadata; () where nothing names them.

    Raises
    ------
    InputError : they are not as many as the model's scores.
    """
    said = how.labels
    names = known_classes(wanted.metadata) if said is None else read_labels(said)
    if names and len(names) != wanted.classes:
        raise InputError(
            f"The model has {counted(wanted.classes, 'score')}, and "
            f"{counted(len(names), 'class is', 'classes are')} named."
        )
    return names


def known_input(metadata: Mapping[str, str]) -> ImageInput | None:
    """Return how a file's metadata say that its input is made; None where they do not."""
    try:
        return from_json(json.loads(metadata[INPUT_KEY]), ImageInput, "its input")
    except (KeyError, ValueError, InputError):
        return None


def known_classes(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the classes that a file's metadata name; () where they do not."""
    try:
        names = json.loads(metadata[CLASSES_KEY])
    except (KeyError, ValueError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _normalisation(
    how: Preprocessing, known: ImageInput | None, channels: int
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[str, ...]]:
    said = (how.mean, how.std)
    for name, one in zip(("--mean", "--std"), said, strict=True):
        if one is not None and len(one) not in (1, channels):
            numbers, wanted = counted(len(one), "number"), counted(channels, "channel")
            raise InputError(f"{name} has {numbers}, and the model {wanted}.")
    if how.std is not None and min(how.std) <= 0:
        raise InputError("--std has a number that is not above 0.")
    usual = (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else ((0.5,), (0.5,))
    notes: tuple[str, ...] = ()
    if known is not None and len(known.mean) == channels:
        usual = (known.mean, known.std)  # type: ignore[assignment]
    elif None in said:
        text = "ImageNet's" if channels == 3 else "0.5"
        notes = (f"Nothing says how the model was fed: mean and std are {text}.",)
    mean, std = (one if one is not None else other for one, other in zip(said, usual, strict=True))
    count = channels
    return (mean * count)[:count], (std * count)[:count], notes


def _labels(
    dataset: Dataset, split: Split, names: tuple[str, ...], classes: int, spec: str
) -> np.ndarray | None:
    """Return the labels as the model counts its classes."""
    if dataset.synthetic:
        return None
    if not names:
        if len(dataset.class_names) != classes:
            raise InputError(
                f"The model has {counted(classes, 'score')}, and {spec} has "
                f"{counted(len(dataset.class_names), 'class', 'classes')}.",
                "Name the model's classes in their order: --labels FILE",
            )
        return split.labels
    unknown = [name for name in dataset.class_names if name not in names]
    if unknown:
        raise InputError(
            f"The class '{unknown[0]}' of {spec} is not among those of the model.",
            "Name the folders as --labels does.",
        )
    order = np.array([names.index(name) for name in dataset.class_names])
    return np.asarray(order[split.labels], np.int64)


def _arrays(
    path: Path, shape: tuple[int, ...], classes: int, calibrate: int, *, decide: bool
) -> Examples:
    """Return arrays of an .npz file: "inputs" (or its only array), and perhaps "labels".

    Half of them calibrate, at most `calibrate`; the others are judged, or half of these decide.

    Raises
    ------
    InputError : it cannot be read, or its arrays do not fit a model of input `shape`.
    """
    found = _read_arrays(path)
    labels = found.pop(_LABELS, None)
    if _INPUTS not in found and len(found) != 1:
        raise InputError(
            f"{path} has the arrays {', '.join(sorted(found)) or 'labels alone'}.",
            f"Save the inputs as '{_INPUTS}', and labels as '{_LABELS}'.",
        )
    values = found.get(_INPUTS, next(iter(found.values())))
    if values.shape[1:] != tuple(shape) or values.dtype.kind not in "fiu":
        raise InputError(
            f"The inputs in {path} are {values.dtype} of shape {values.shape}, and the model takes "
            f"numbers of shape (n, {', '.join(map(str, shape))})."
        )
    values = values.astype(np.float32)
    if not calibrate and not len(values):
        raise InputError(f"{path} has no inputs.")
    if calibrate and len(values) < 2 + decide:
        say = "some calibrate, some decide, others" if decide else "some calibrate, others"
        raise InputError(f"{path} has {counted(len(values), 'input')}; {say} are judged.")
    if not np.isfinite(values).all():
        raise InputError(f"The inputs in {path} are not all finite.")
    if calibrate and values.min() == values.max():
        raise InputError(
            f"The inputs in {path} are all {float(values.flat[0]):g}: nothing can be calibrated.",
            "Save inputs as the model gets them in use.",
        )
    if labels is not None:
        labels = _checked_labels(path, labels, len(values), classes)
    order = np.random.default_rng(0).permutation(len(values))
    count = min(calibrate, len(values) // 2)
    judged = count + (len(values) - count) // 2 if decide else count
    first, between, rest = (np.sort(part) for part in np.split(order, [count, judged]))
    return Examples(
        values[first],
        values[rest],
        None if labels is None else labels[rest],
        deciding=values[between] if decide else None,
        deciding_labels=labels[between] if decide and labels is not None else None,
    )


def _checked_labels(path: Path, labels: np.ndarray, count: int, classes: int) -> np.ndarray:
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise InputError(
            f"The labels in {path} are {labels.dtype} of shape {labels.shape}, not one whole "
            f"number for each of {counted(count, 'input')}."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            f"The labels in {path} go from {labels.min()} to {labels.max()}, and the model has "
            f"{classes} scores."
        )
    return labels.astype(np.int64)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    require_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(one.file_size for one in archive.infolist())
        if total > _MOST_ARRAY_BYTES:
            raise InputError(f"{path} holds {total / 1e9:.1f} GB of arrays; 4 are read at most.")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as problem:
        raise InputError(
            f"{path} is no .npz file of arrays: {problem}.", "Write one with numpy.savez."
        ) from problem
