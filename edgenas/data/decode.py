"""Image files of every mode and size to square RGB arrays; what cannot be read is named."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from edgenas.core.counted import counted
from edgenas.core.files.regular import irregular
from edgenas.core.progress import Progress, Task
from edgenas.core.records import Fit, ImageInput
from edgenas.data import pixel_store
from edgenas.data.base import USUAL_IMAGE_SIZE, SkippedFile, Split, resize

Source = Path | bytes

# Read by what a file begins with. Pillow's others are read where the suffix says so; none of those
# that start another program (EPS), or that need a library of the user's to be read at all.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF")
_REFUSED = {"EPS", "BUFR", "GRIB", "HDF5", "WMF", "MPEG", "PDF"}
_CODECS = {  # what reads a suffix that Pillow alone may not read
    ".heic": "pip install 'edgenas[heif]'",
    ".heif": "pip install 'edgenas[heif]'",
    ".hif": "pip install 'edgenas[heif]'",
    ".avif": "pip install --upgrade pillow",
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"), "unpack it"),
}
SIZES_LOOKED_AT = 2000
TOLD_DROP, WARNED_DROP = 0.1, 1 / 3  # of the pixels, by the centre squares
SMALLEST_IMAGE_SIZE = 8
NEARLY = 0.75  # of the size that is asked for, from which images are read at it
RELEASED = 2048  # images, of those in a file, after which their memory is given back
CHUNK = 64  # images a thread decodes between two reports
ORIENTATION = 0x0112  # EXIF tag
_OF_16_BITS = ("PNG", "PPM")  # formats whose grey Pillow may read as 32 bits


@cache
def image_suffixes() -> dict[str, str]:
    """Return the suffixes of images that can be read, in small letters, with Pillow's formats."""
    with contextlib.suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    known = Image.registered_extensions()
    return {
        suffix.lower(): name
        for suffix, name in known.items()
        if name in Image.OPEN and name not in _REFUSED
    }


def how_to_read(suffix: str) -> str:
    """Return the command that makes images of `suffix` readable here; "" if none is known."""
    return "" if suffix in image_suffixes() else _CODECS.get(suffix, "")


def native_size(sources: Sequence[Source], largest: int, fit: Fit) -> int:
    """Return the short side that most images have, else the median; at most `largest`.

    Of images that are padded it is the long side. Above the usual size it is `largest` for images
    that are nearly as large, too: a network of that size is then fed what a judge makes of the file
    in one step, not of a smaller copy.
    """
    side_of = max if fit == "pad" else min
    step = max(1, len(sources) // SIZES_LOOKED_AT)
    sides: list[int] = []
    with _bombs_are_errors():
        for index in range(0, len(sources), step):
            try:
                with _open(sources[index]) as image:
                    sides.append(side_of(image.size))
            except Exception:  # noqa: BLE001 - as in decode_split, which names the file
                continue
    if not sides:
        return largest
    side, count = Counter(sides).most_common(1)[0]
    chosen = side if count > len(sides) / 2 else int(np.median(sides))
    if largest > USUAL_IMAGE_SIZE and chosen >= NEARLY * largest:
        return largest
    return max(SMALLEST_IMAGE_SIZE, min(chosen, largest))


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images that could be read, and what was seen of them as files.

    skipped : the others. sides : int64 [n, 2], width and height of those that could, as stored.
    animated : how many of them have several pictures, of which the first is taken.
    """

    split: Split
    skipped: tuple[SkippedFile, ...]
    sides: np.ndarray
    animated: int


def decode_split(  # noqa: PLR0917 - what, what it is called, how
    sources: Sequence[Source],
    labels: np.ndarray,
    names: Sequence[str],
    size: int,
    fit: Fit,
    task: Task,
) -> Decoded:
    """Return the images that can be read, at `size` pixels a side, and those that cannot.

    labels : int64 [n]. names : what to call each source in a message.
    """
    sides = np.zeros((len(sources), 2), np.int64)
    animated = np.zeros(len(sources), bool)
    images = pixel_store.empty((len(sources), size, size, 3))
    problems: dict[int, str] = {}

    def work(start: int) -> int:
        stop = min(start + CHUNK, len(sources))
        for index in range(start, stop):
            try:
                with _open(sources[index]) as image:
                    sides[index] = image.size
                    animated[index] = getattr(image, "is_animated", False)
                    images[index] = _decoded(image, size, fit)
            except Exception as problem:  # noqa: BLE001 - decoders raise nearly anything on damage
                problems[index] = _reason(problem)
        return stop - start

    read = 0
    with _bombs_are_errors(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for done in pool.map(work, range(0, len(sources), CHUNK)):
            task.advance(done)
            read += done
            if read % RELEASED < done:
                pixel_store.release(images)
    files = tuple(source for source in sources if isinstance(source, Path))
    split = Split(images, labels, files if len(files) == len(sources) else ())
    if problems:
        kept = np.setdiff1d(np.arange(len(sources)), list(problems))
        split, sides, animated = split.take(kept), sides[kept], animated[kept]
    skipped = tuple(SkippedFile(names[index], problems[index]) for index in sorted(problems))
    return Decoded(split, skipped, sides, int(animated.sum()))


def tell(parts: Sequence[Decoded], fit: Fit, progress: Progress) -> None:
    """Say what the network does not see of the images: what lies outside squares, other pictures.

    Images that are not square are warned of where the centre squares drop a third or more.
    """
    sides = np.concatenate([part.sides for part in parts])
    if fit == "crop" and len(sides):
        ratios = sides.max(1) / sides.min(1)
        dropped, far = float(np.mean(1 - 1 / ratios)), float(np.median(ratios))
        text = (
            f"Only the centre square of each image is seen: {dropped:.0%} of their pixels are "
            f"dropped (mean; the long side is {far:.1f} times the short one, median). To keep all "
            "of it: --fit squeeze, or --fit pad."
        )
        if dropped >= WARNED_DROP:
            progress.warning(text)
        elif dropped >= TOLD_DROP:
            progress.message(text)
    animated = sum(part.animated for part in parts)
    if animated:
        progress.message(
            f"{counted(animated, 'image has', 'images have')} several pictures: the first of each "
            "is taken."
        )


def decode(source: Source, size: int, fit: Fit) -> np.ndarray:
    """Return uint8 [size, size, 3]: upright, on white if transparent, made square by `fit`."""
    with _open(source) as image:
        return _decoded(image, size, fit)


def read_input(source: Source, made: ImageInput) -> np.ndarray:
    """Return the pixels, uint8 [size, size, channels], that a network is fed of one image file.

    They are those of the data set that it was trained on, at the network's resolution.
    """
    pixels = decode(source, made.image_size, made.fit)
    if made.channels == "grey":
        pixels = np.asarray(Image.fromarray(pixels).convert("L"))[:, :, None]
    return resize(pixels[None], made.size)[0]


def to_rgb(image: Image.Image) -> Image.Image:
    """Return `image` as 8-bit RGB, whatever its mode; `ValueError` if its range is not known."""
    if image.mode == "F":
        raise ValueError("its pixels are floats, whose range is not known")
    if image.mode.startswith("I"):  # more than 8 bits of grey, which Pillow would clip
        grey = np.asarray(image).astype(np.int64)
        # A file of 32 bits does not say its range. Pillow gives 16-bit PNG and PGM this mode, too.
        in_bytes = image.mode == "I" and image.format not in _OF_16_BITS and grey.max() <= 255
        if not in_bytes:
            grey = (grey + 128) // 257
        if grey.min() < 0 or grey.max() > 255:
            raise ValueError("its pixels are not within 0 and 65,535")
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


@contextlib.contextmanager
def _bombs_are_errors() -> Iterator[None]:
    """Let images too large to be meant seriously fail; Pillow's other warnings change no pixel."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _decoded(image: Image.Image, size: int, fit: Fit) -> np.ndarray:
    if min(image.size) >= 4 * size:
        image.draft("RGB", (2 * size, 2 * size))  # of a large JPEG, decode what is needed
    if "exif" in image.info and image.getexif().get(ORIENTATION, 1) != 1:
        return _square(to_rgb(ImageOps.exif_transpose(image)), size, fit)
    return _square(to_rgb(image), size, fit)


def _square(image: Image.Image, size: int, fit: Fit) -> np.ndarray:
    if image.size != (size, size):
        sides, resampling = (size, size), Image.Resampling.BILINEAR
        if fit == "squeeze":
            image = image.resize(sides, resampling)
        elif fit == "pad":
            image = ImageOps.pad(image, sides, resampling, color="black")
        else:
            image = ImageOps.fit(image, sides, resampling)
    return np.asarray(image)


def _open(source: Source) -> Image.Image:
    if isinstance(source, Path) and (kind := irregular(source)):
        raise ValueError(f"it is {kind}, not a file")
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    known = image_suffixes()
    formats = [name for name in FORMATS if name in Image.OPEN]
    if isinstance(source, Path):
        if not source.stat().st_size:
            raise ValueError("the file is empty")
        if named := known.get(source.suffix.lower()):
            formats.append(named)
    return Image.open(stream, formats=formats)


def _reason(problem: Exception) -> str:
    if isinstance(problem, UnidentifiedImageError):
        return "not an image"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    return " ".join(str(problem).split()) or type(problem).__name__
