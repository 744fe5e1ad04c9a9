"""A linear classifier on the features of a frozen network: what a search must not fall under.

It takes one pass over the images, and L-BFGS over what the pass gave. The classifier is then that
of the supernet, so that training begins where it ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgenas.core.interfaces import Data
from edgenas.core.progress import Progress
from edgenas.data.pixel_store import parts, taken
from edgenas.supernet.blocks import Linear
from edgenas.supernet.network import Supernet
from edgenas.supernet.recalibrate import BATCH_SIZE, to_input

L2 = 0.01  # of the mean loss; measured on 1,200 photographs
MOST_ITERATIONS = 60
MOST_FITTED = 4_000  # training images: 110 s of one core at 224 px, 20 s at 96 px
SMALLEST_SPREAD = 1e-3


@dataclass(frozen=True)
class Floor:
    """What is got right of validation images (fraction) before training, and at how many pixels.

    n_fitted : training images that it was fitted to. by : what gets it, in words.
    """

    accuracy: float
    resolution: int
    n_images: int
    n_fitted: int
    by: str = "the linear classifier"


def fit_classifier(supernet: Supernet, data: Data, progress: Progress) -> Floor:
    """Fit the classifier of `supernet`, whose other weights stay; return what it gets right."""
    resolution = supernet.space.largest().resolution
    chosen = fitted_to(data)
    images, labels = data.train.images, torch.from_numpy(data.train.labels[chosen])
    if len(chosen) < len(images):
        images = taken(images, chosen)
    with progress.task("Fitting a linear classifier", len(images) + len(data.val.labels)) as task:

        def features(images: np.ndarray) -> Tensor:
            rows = []
            for part in parts(images, BATCH_SIZE):
                rows.append(_features(supernet, part, data))
                task.advance(len(rows[-1]))
            return torch.cat(rows)

        train, val = features(images), features(data.val.images)
    weight, bias = _fit(train, labels, supernet.space.num_classes)
    classifier = supernet.get_submodule("classifier")
    assert isinstance(classifier, Linear)
    with torch.no_grad():
        classifier.weight.copy_(weight)
        classifier.bias.copy_(bias)
        right = F.linear(val, weight, bias).argmax(1).numpy() == data.val.labels
    return Floor(float(right.mean()), resolution, len(right), len(chosen))


def fitted_to(data: Data) -> np.ndarray:
    """Return the training images that the classifier is fitted to, int64 [n]; always the same ones.

    They are all, but of more than `MOST_FITTED` so many in all, and as many of each class.
    """
    labels = data.train.labels
    if len(labels) <= MOST_FITTED:
        return np.arange(len(labels))
    order, classes = np.random.default_rng(0).permutation(len(labels)), np.unique(labels)
    each = math.ceil(MOST_FITTED / len(classes))
    return np.sort(np.concatenate([order[labels[order] == one][:each] for one in classes]))


def _features(supernet: Supernet, images: np.ndarray, data: Data) -> Tensor:
    from edgenas.data.base import resize

    architecture = supernet.space.largest()
    layers = supernet.space.layers(architecture)[:-1]
    supernet.eval()
    with torch.no_grad():
        return supernet.run(
            to_input(resize(images, architecture.resolution), data), layers
        ).flatten(1)


def _fit(features: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Return weight [classes, c] and bias [classes] of the least mean cross-entropy plus L2.

    Features are standardised while fitting; each class counts the same, however many images it has.
    """
    mean, spread = features.mean(0), features.std(0) + SMALLEST_SPREAD
    inputs = (features - mean) / spread
    counts = torch.bincount(labels, minlength=num_classes).clamp(min=1)
    shares = len(labels) / (num_classes * counts.float())
    weight = torch.zeros(num_classes, inputs.shape[1], requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=MOST_ITERATIONS, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(F.linear(inputs, weight, bias), labels, shares)
        value = value + L2 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        return weight / spread, bias - weight @ (mean / spread)
