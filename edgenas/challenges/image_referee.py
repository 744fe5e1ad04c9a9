"""The referee run: the packed file, fed from image files as the judge feeds it, and scored.

A package that was verified can still fail at the judge's, where its file is fed other numbers than
those that the verification fed, or its classes are counted in another order. So the file that was
packed is read from the disk and given what the judge's own recipe makes of image files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from edgenas.challenges.base import Finding, Judging
from edgenas.challenges.class_order import class_order
from edgenas.core.records import Answers, Fit, ImageInput

MOST_DIFFERENCE = 0.005  # of accuracy, as a fraction
_FILES_AT_ONCE = 256


@dataclass(frozen=True)
class RefereeRun:
    """What came of it. accuracy : as the judge counts; verified_accuracy : what is claimed.

    model : the file, in the package. input : how each image file was fed. agrees : the two differ
    by half a point at most, or by one image where there are fewer than 200. own_files : the images
    were fed from the files that they came in, not from files written of what was read.
    n_alike : images that the judge counts right and the target got right, or both do not; None
        where the answers on the target are not known image by image.
    """

    accuracy: float
    verified_accuracy: float
    n_images: int
    model: str
    input: ImageInput
    agrees: bool
    own_files: bool = False
    n_alike: int | None = None


def referee_run(
    judging: Judging,
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    verified_accuracy: float,
    *,
    read: Callable[[Path, ImageInput], np.ndarray],
    scores: Callable[[bytes, np.ndarray], np.ndarray],
    files: Sequence[Path] = (),
    verified: Answers | None = None,
) -> RefereeRun:
    """Feed image files to the packed file as the judge does, and score it.

    images : uint8 [n, height, width, channels], as they were read, not yet at the network's size.
    labels : int64 [n]. class_names : of the labels.
    read : returns the pixels, uint8 [size, size, channels], of an image file. scores : returns the
        scores [n, classes] of a model file for what it is fed.
    files : that the images came in, one each; without them the images are written as files.
    verified : which of the images the target got right.

    Raises
    ------
    InputError : the judge counts other classes.
    """
    order = class_order(class_names, judging.class_names, "the judge")
    number = np.argsort(np.asarray(order)) + judging.first_class
    model = judging.model.read_bytes()
    right: list[bool] = []
    for start in range(0, len(images), _FILES_AT_ONCE):
        some = slice(start, start + _FILES_AT_ONCE)
        if files:
            pixels = [read(path, judging.input) for path in files[some]]
        else:
            pixels = _read(images[some], judging.input, read)
        made = [feed(one, judging.input) for one in pixels]
        chosen = scores(model, np.stack(made)).argmax(1)
        right += (chosen == number[labels[some]]).tolist()
    answers = Answers.of(right)
    accuracy, n_images = answers.accuracy, len(images)
    most = max(MOST_DIFFERENCE, 1 / n_images) + 1e-9
    return RefereeRun(
        accuracy,
        verified_accuracy,
        n_images,
        judging.model.name,
        judging.input,
        abs(accuracy - verified_accuracy) <= most,
        bool(files),
        _alike(answers, verified),
    )


def _alike(answers: Answers, others: Answers | None) -> int | None:
    if others is None or not answers.paired(others):
        return None
    return answers.n_images - (answers.bits ^ others.bits).bit_count()


def feed(pixels: np.ndarray, made: ImageInput) -> np.ndarray:
    """Return what a file is fed for one image, without the batch, by the recipe `made`.

    pixels : uint8 [size, size, channels], RGB or grey. Where the recipe ends with integers that
    the file's scale and zero point make of a number, that number is returned, float32.
    """
    if made.channels == "bgr":
        pixels = pixels[:, :, ::-1]
    if made.layout == "nchw":
        pixels = pixels.transpose(2, 0, 1)
    if made.formula == "pixel":
        return np.ascontiguousarray(pixels.astype(made.dtype))
    values = pixels.astype(np.float32) / np.float32(255)
    if made.formula == "(pixel / 255 - mean) / std":
        shape = (-1, 1, 1) if made.layout == "nchw" else (-1,)
        mean, std = (np.array(part, np.float32).reshape(shape) for part in (made.mean, made.std))
        values = (values - mean) / std
    return np.ascontiguousarray(values, np.float32)


def findings(run: RefereeRun, trained_fit: Fit) -> tuple[Finding, ...]:
    """Return what the referee run says against the package.

    trained_fit : how the images that the network was trained on became square.
    """
    found = []
    if not run.agrees:
        found.append(
            Finding(
                "referee",
                "error",
                f"Fed as the judge feeds it, {run.model} gets {run.accuracy:.2%} of "
                f"{run.n_images:,} image files right, but {run.verified_accuracy:.2%} were "
                f"verified. The judge feeds: {run.input}.",
                "Do not hand it in. Export and verify the run again; if it stays, report it.",
                "docs/how-to/submit.md (The referee run)",
            )
        )
    if run.input.fit != trained_fit and not (run.own_files and run.agrees):
        found.append(
            Finding(
                "referee",
                "warning",
                f"The network was trained on images made square by --fit {trained_fit}, the "
                f"judge's by {run.input.fit}: of images that are not square the network sees "
                "another picture there.",
                f"Train with: --fit {run.input.fit}",
                "docs/how-to/submit.md (The referee run)",
            )
        )
    return tuple(found)


def _read(
    images: np.ndarray, made: ImageInput, read: Callable[[Path, ImageInput], np.ndarray]
) -> list[np.ndarray]:
    """Return what the judge reads of the images once they are files on the disk."""
    with tempfile.TemporaryDirectory(prefix="edgenas-referee-") as folder:
        found = []
        for index, pixels in enumerate(images):
            path = Path(folder) / f"{index}.png"
            Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(path)
            found.append(read(path, made))
    return found
