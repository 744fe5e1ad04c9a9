"""How a supernet is trained, and the defaults for a data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.supernet.interfaces import Data

MOST_EPOCHS = 14
FEWEST_EPOCHS = 3
IMAGES_SEEN = 100_000  # by default, between those two numbers of epochs


@dataclass(frozen=True)
class TrainSettings:
    """The recipe: sandwich rule with SGD-Nesterov, linear warm-up, then a cosine to zero.

    epochs : passes over the training images. warmup : fraction of all steps.
    weight_decay : of convolution and classifier weights, not of batch norm and biases.
    clip_norm : most that the norm of all gradients may be.
    random_subnets : trained in each step besides the largest and the smallest.
    shift : most pixels that an image is moved by. flip : whether images are mirrored at random.
    """

    epochs: int = MOST_EPOCHS
    batch_size: int = 64
    learning_rate: float = 0.08
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup: float = 0.05
    clip_norm: float = 5.0
    random_subnets: int = 2
    shift: int = 1
    flip: bool = False
    seed: int = 0


def default_settings(data: Data, *, epochs: int | None = None, seed: int = 0) -> TrainSettings:
    """Return the recipe for `data`.

    Grey images are mostly writing or drawings, where a mirror image means something else: they are
    moved by a sixteenth of their side. Colour images are moved by an eighth, and mirrored.
    """
    n, size = data.train.images.shape[:2]
    colour = _has_colour(data.train.images[:: max(1, n // 256)])
    passes = min(MOST_EPOCHS, max(FEWEST_EPOCHS, IMAGES_SEEN // n))
    return TrainSettings(
        epochs=epochs or passes,
        shift=max(1, size // (8 if colour else 16)),
        flip=colour,
        seed=seed,
    )


def _has_colour(images: np.ndarray) -> bool:
    return bool((images != images[..., :1]).any())
