"""What judges and applications feed a file, each way written out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgenas.core.records import ImageInput

_NO_MEAN = {"mean": (0.0,) * 3, "std": (1.0,) * 3}


def normalised(pixels: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """As every framework does it: (pixel / 255 - mean) / std, float32 [n, channels, h, w]."""
    values = (pixels / 255 - np.array(mean)) / np.array(std)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), np.float32)


def feeds(own: ImageInput) -> dict[str, ImageInput]:
    """Return other inputs than a network's `own`, by the names that `by_hand` takes."""
    unit = replace(own, formula="pixel / 255", **_NO_MEAN)  # type: ignore[arg-type]
    integers = replace(unit, formula="pixel", dtype="uint8")
    turned = replace(own, channels="bgr", mean=own.mean[::-1], std=own.std[::-1])
    return {
        "unit": unit,
        "pixels": replace(unit, formula="pixel"),
        "integers": integers,
        "channels last": replace(integers, layout="nhwc"),
        "blue first": replace(unit, channels="bgr"),
        "blue first, channels last": replace(integers, layout="nhwc", channels="bgr"),
        "blue first, normalised": turned,
    }


def by_hand(pixels: np.ndarray, name: str, own: ImageInput) -> np.ndarray:
    """Return what the input called `name` is of images, uint8 [n, height, width, channels]."""
    first = pixels.transpose(0, 3, 1, 2)
    return {
        "unit": first.astype(np.float32) / 255,
        "pixels": first.astype(np.float32),
        "integers": first,
        "channels last": pixels,
        "blue first": first[:, ::-1].astype(np.float32) / 255,
        "blue first, channels last": pixels[..., ::-1],
        "blue first, normalised": normalised(pixels, own.mean, own.std)[:, ::-1],
    }[name]
