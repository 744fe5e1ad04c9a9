"""Photographs told from drawings and grey images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from edgenas.data.photographs import SIDE, are_photographs


def drawing(rng: np.random.Generator) -> np.ndarray:
    image = Image.new("RGB", (256, 256), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, r = (int(v) for v in rng.integers(20, 236, 3))
        draw.ellipse((x - r // 4, y - r // 4, x + r // 4, y + r // 4), fill=colour(rng))
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def photograph(rng: np.random.Generator) -> np.ndarray:
    """Return soft light of several colours with a sensor's noise."""
    image = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
    image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC).filter(ImageFilter.BoxBlur(2))
    noise = rng.normal(0, 6, (SIDE, SIDE, 3))
    return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)


def colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in rng.integers(0, 256, 3))
    return red, green, blue


@pytest.mark.parametrize(("make", "expected"), [(photograph, True), (drawing, False)])
def test_photographs_have_many_colours_and_drawings_few(make, expected: bool) -> None:
    rng = np.random.default_rng(0)
    assert are_photographs(np.stack([make(rng) for _ in range(20)])) is expected


def test_grey_images_and_none_at_all_are_no_colour_photographs() -> None:
    rng = np.random.default_rng(0)
    grey = np.stack([photograph(rng).mean(-1).astype(np.uint8) for _ in range(20)])
    assert not are_photographs(np.repeat(grey[..., None], 3, -1))
    assert not are_photographs(np.zeros((0, SIDE, SIDE, 3), np.uint8))
