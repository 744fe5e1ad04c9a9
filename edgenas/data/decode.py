"""Image files of every mode and size to square RGB arrays; what cannot be read is named."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from edgenas.data.base import SkippedFile, Split
from edgenas.errors import DataError
from edgenas.progress import Task

Source = Path | bytes

# Nothing that starts another program.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
SIZES_LOOKED_AT = 2000
SMALLEST_IMAGE_SIZE = 8
CHUNK = 64  # images a thread decodes between two reports
ORIENTATION = 0x0112  # EXIF tag


def native_size(sources: Sequence[Source], largest: int) -> int:
    """Return the side that most images have, else the median short side; at most `largest`."""
    step = max(1, len(sources) // SIZES_LOOKED_AT)
    sides: list[int] = []
    with _bombs_are_errors():
        for index in range(0, len(sources), step):
            try:
                with _open(sources[index]) as image:
                    sides.append(min(image.size))
            except Exception:  # noqa: BLE001 - as in decode_split, which names the file
                continue
    if not sides:
        return largest
    side, count = Counter(sides).most_common(1)[0]
    chosen = side if count > len(sides) / 2 else int(np.median(sides))
    return max(SMALLEST_IMAGE_SIZE, min(chosen, largest))


def require_memory(name: str, count: int, size: int) -> None:
    """Raise `DataError` unless twice the pixels of `count` images fit into the machine's memory.

    They are there twice while splits are cut.
    """
    needed = 2 * count * size * size * 3
    present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > present:
        raise DataError(
            f"{name}: {count:,} images at {size} px need {needed / 1e9:.1f} GB of memory, and this "
            f"machine has {present / 1e9:.1f} GB.",
            "Use a part of the images, or a machine with more memory.",
        )


def decode_split(
    sources: Sequence[Source], labels: np.ndarray, names: Sequence[str], size: int, task: Task
) -> tuple[Split, tuple[SkippedFile, ...]]:
    """Return the images that can be read, at `size` pixels a side, and those that cannot.

    labels : int64 [n]. names : what to call each source in a message.
    """
    images = np.empty((len(sources), size, size, 3), np.uint8)
    problems: dict[int, str] = {}

    def work(start: int) -> int:
        stop = min(start + CHUNK, len(sources))
        for index in range(start, stop):
            try:
                images[index] = decode(sources[index], size)
            except Exception as problem:  # noqa: BLE001 - decoders raise nearly anything on damage
                problems[index] = _reason(problem)
        return stop - start

    with _bombs_are_errors(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for done in pool.map(work, range(0, len(sources), CHUNK)):
            task.advance(done)
    if not problems:
        return Split(images, labels), ()
    kept = np.setdiff1d(np.arange(len(sources)), list(problems))
    skipped = tuple(SkippedFile(names[index], problems[index]) for index in sorted(problems))
    return Split(images[kept], labels[kept]), skipped


def decode(source: Source, size: int) -> np.ndarray:
    """Return uint8 [size, size, 3]: upright, on white if transparent, the centre square."""
    with _open(source) as image:
        if min(image.size) >= 4 * size:
            image.draft("RGB", (2 * size, 2 * size))  # of a large JPEG, decode what is needed
        if "exif" in image.info and image.getexif().get(ORIENTATION, 1) != 1:
            return _square(to_rgb(ImageOps.exif_transpose(image)), size)
        return _square(to_rgb(image), size)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return `image` as 8-bit RGB, whatever its mode; `ValueError` if its range is not known."""
    if image.mode == "F":
        raise ValueError("its pixels are floats, whose range is not known")
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip
        grey = (np.asarray(image).astype(np.int64) + 128) // 257
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


def _square(image: Image.Image, size: int) -> np.ndarray:
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _open(source: Source) -> Image.Image:
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    return Image.open(stream, formats=FORMATS)


def _reason(problem: Exception) -> str:
    if isinstance(problem, UnidentifiedImageError):
        return "not an image"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    return " ".join(str(problem).split()) or type(problem).__name__
