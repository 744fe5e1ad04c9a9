"""From an image file to the pixels that the network was verified with, bit by bit.

It takes the steps of the verification with the same library: Pillow. Arrays (.npy), PPM and PGM
files that have the network's own size need neither.
"""

import io
from pathlib import Path
from typing import Any, BinaryIO, Dict, Union

import numpy as np

_ORIENTATION = 0x0112  # EXIF tag
_OF_16_BITS = ("PNG", "PPM")  # formats whose grey Pillow may read as 32 bits


def read(source: Union[Path, bytes], made: Dict[str, Any]) -> np.ndarray:
    """Return the pixels of an image file, uint8 [size, size, channels].

    made : the input, as card.json describes it: fit, image_size, size, channels.
    Raises `ValueError` if it is no image that can be read here.
    """
    size = made["size"]
    pixels = _decoded(source, made["image_size"])
    if pixels.shape[:2] != (made["image_size"],) * 2 or made["channels"] == "grey":
        pixels = _square(pixels, made["image_size"], made["fit"], made["channels"] == "grey")
    if pixels.shape[:2] != (size, size):
        pixels = _square(pixels, size, "squeeze", made["channels"] == "grey")
    return pixels[:, :, ::-1] if made["channels"] == "bgr" else pixels


def _square(pixels: np.ndarray, size: int, fit: str, grey: bool) -> np.ndarray:
    """Return uint8 [size, size, channels] of [height, width, channels].

    fit : "crop" (the centre square), "pad" (all of it, between black bars) or "squeeze".
    """
    pillow, operations = _pillow()
    image = pillow.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    sides, bilinear = (size, size), pillow.BILINEAR
    if image.size != sides and fit == "squeeze":
        image = image.resize(sides, bilinear)
    elif image.size != sides and fit == "pad":
        image = operations.pad(image, sides, bilinear, color="black")
    elif image.size != sides:
        image = operations.fit(image, sides, bilinear)
    if grey:
        image = image.convert("L")
    return np.asarray(image).reshape(size, size, -1)


def _pillow() -> Any:
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ValueError("Pillow is missing: python3 -m pip install pillow") from None
    return Image, ImageOps


def _decoded(source: Path | bytes, size: int) -> np.ndarray:
    """Return uint8 [height, width, 3], upright."""
    stream: BinaryIO = io.BytesIO(source if isinstance(source, bytes) else source.read_bytes())
    start = stream.read(6)
    stream.seek(0)
    if start == b"\x93NUMPY":
        return _array(np.load(stream, allow_pickle=False))
    if start[:2] in (b"P5", b"P6"):
        return _netpbm(stream.read())
    return _by_pillow(stream, size)


def _array(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise ValueError(f"an array must be uint8 [height, width, 3], not {pixels.dtype}")
    coloured = pixels if pixels.ndim == 3 else pixels[:, :, None]
    if coloured.shape[2] not in (1, 3):
        raise ValueError(f"an array must have 1 or 3 channels, not {coloured.shape[2]}")
    return np.repeat(coloured, 3 // coloured.shape[2], axis=2)


def _netpbm(content: bytes) -> np.ndarray:
    """Read a binary PPM or PGM of 8 bits."""
    numbers: list[int] = []
    at = 2
    while len(numbers) < 3:
        if content[at : at + 1] == b"#":
            at = content.index(b"\n", at) + 1
        elif content[at : at + 1].isspace():
            at += 1
        else:
            end = at
            while content[end : end + 1].isdigit():
                end += 1
            numbers.append(int(content[at:end]))
            at = end
    width, height, most = numbers
    channels = 3 if content[:2] == b"P6" else 1
    pixels = np.frombuffer(content, np.uint8, offset=at + 1)
    if most != 255 or width < 1 or height < 1 or pixels.size < width * height * channels:
        raise ValueError("the file is cut, or has more than 8 bits a channel")
    return _array(pixels[: width * height * channels].reshape(height, width, channels))


def _by_pillow(stream: BinaryIO, size: int) -> np.ndarray:
    pillow, operations = _pillow()
    with pillow.open(stream) as image:
        if min(image.size) >= 4 * size:
            image.draft("RGB", (2 * size, 2 * size))  # of a large JPEG, decode what is needed
        if "exif" in image.info and image.getexif().get(_ORIENTATION, 1) != 1:
            return np.asarray(_rgb(pillow, operations.exif_transpose(image)))
        return np.asarray(_rgb(pillow, image))


def _rgb(pillow: Any, image: Any) -> Any:
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
        return pillow.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = pillow.new("RGBA", image.size, "white")
        return pillow.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
