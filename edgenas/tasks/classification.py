"""`classification`: an image is of one class; the answer is the class of the greatest score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgenas.core.metrics import REGISTRY
from edgenas.core.records.goals import SCORE

if TYPE_CHECKING:
    from torch import Tensor

METRIC = REGISTRY[SCORE]
SEVERAL_CLASSES = False


def outputs(class_names: Sequence[str]) -> int:
    """Return one output for each class: its score."""
    return len(class_names)


def labels(of_images: Sequence[Sequence[str]], class_names: Sequence[str]) -> np.ndarray:
    """Return the number of each image's only class, int64 [n]."""
    numbers = {name: number for number, name in enumerate(class_names)}
    return np.array([numbers[name] for (name,) in of_images], np.int64)


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy to classes, int64 [n], or to shares of them, [n, classes]."""
    import torch.nn.functional as F

    return F.cross_entropy(logits, targets)


def soft_targets(logits: Tensor) -> Tensor:
    """Return the probability of each class (Hinton et al. 2015, at temperature 1)."""
    return logits.softmax(1)


def dense_targets(of_images: Tensor, number: int, smoothing: float) -> Tensor:
    """Return shares of the classes, of which `smoothing` is spread evenly (Szegedy et al. 2016)."""
    import torch
    import torch.nn.functional as F

    shares = F.one_hot(of_images, number).float()
    return shares.lerp(torch.full_like(shares, 1 / number), smoothing)


def decode(logits: np.ndarray) -> np.ndarray:
    """Return the number of the class with the greatest score."""
    return np.asarray(logits.argmax(1))


def right(answers: np.ndarray, of_images: np.ndarray) -> np.ndarray:
    """Return whether the answer is the image's class."""
    return np.asarray(answers == of_images)


def classes(of_images: np.ndarray) -> np.ndarray:
    """Return the labels themselves: they are numbers of classes."""
    return of_images
