"""`multilabel`: an image is of any of the classes; right is an answer that names all and no other.

The loss is the cross-entropy of each class by itself, and the score is the exact match ratio, also
called subset accuracy (Tsoumakas and Katakis 2007, section on metrics).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgenas.core.metrics import REGISTRY
from edgenas.core.records.goals import SCORE

if TYPE_CHECKING:
    from torch import Tensor

METRIC = replace(REGISTRY[SCORE], label="exact match", aliases=("exact_match", "subset_accuracy"))
SEVERAL_CLASSES = True


def outputs(class_names: Sequence[str]) -> int:
    """Return one output for each class: the log-odds that the image is of it."""
    return len(class_names)


def labels(of_images: Sequence[Sequence[str]], class_names: Sequence[str]) -> np.ndarray:
    """Return 1 where an image is of a class, else 0, int64 [n, classes]."""
    rows = [[name in named for name in class_names] for named in of_images]
    return np.array(rows, np.int64).reshape(-1, len(class_names))


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of each class by itself, in nats, summed over the classes."""
    import torch.nn.functional as F

    each = F.binary_cross_entropy_with_logits(logits, targets.float(), reduction="none")
    return each.sum(1).mean()


def soft_targets(logits: Tensor) -> Tensor:
    """Return the probability of each class."""
    return logits.sigmoid()


def dense_targets(of_images: Tensor, number: int, smoothing: float) -> Tensor:
    """Return probabilities, `smoothing` of the way to one half."""
    return of_images.float() * (1 - smoothing) + smoothing / 2


def decode(logits: np.ndarray) -> np.ndarray:
    """Return 1 where a class is more likely than not."""
    return np.asarray(logits > 0, np.int64)


def right(answers: np.ndarray, of_images: np.ndarray) -> np.ndarray:
    """Return whether all classes of an image are named, and no other."""
    return np.asarray((answers == of_images).all(1))


def classes(of_images: np.ndarray) -> None:
    """Return None: an image has no single class."""
