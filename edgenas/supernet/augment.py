"""Random shifts and flips of a batch, in one gather."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def augment(images: Tensor, rng: np.random.Generator, shift: int, flip: bool) -> Tensor:
    """Return the images, uint8 [n, h, w, c], each moved by up to `shift` pixels either way.

    The border repeats the outermost pixels. With `flip`, half of the images are mirrored.
    """
    n, height, width, _ = images.shape
    moves = rng.integers(-shift, shift, (2, n, 1), endpoint=True)
    rows = np.clip(np.arange(height) + moves[0], 0, height - 1)
    columns = np.clip(np.arange(width) + moves[1], 0, width - 1)
    if flip:
        mirrored = rng.random(n) < 0.5
        columns[mirrored] = columns[mirrored, ::-1]
    image = torch.arange(n)[:, None, None]
    return images[image, torch.as_tensor(rows)[:, :, None], torch.as_tensor(columns)[:, None, :]]
