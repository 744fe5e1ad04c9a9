"""Batches of training images, drawn and changed at random: what every training learns from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edgenas.core.interfaces import Data
from edgenas.supernet.augment import augment, cut_out, mix, recolour, zoomed
from edgenas.supernet.recalibrate import to_input
from edgenas.supernet.settings import TrainSettings


class Batches:
    """The training images of a data set on a device, as a recipe draws and changes them.

    size : images of a batch. per_epoch : batches of an epoch; the images left over are dropped.
    """

    def __init__(self, data: Data, settings: TrainSettings, device: str = "cpu") -> None:
        self.data, self.settings, self.device = data, settings, device
        self.images = torch.from_numpy(data.train.images).to(device)
        self.labels = torch.from_numpy(data.train.labels).to(device)
        self.size = min(settings.batch_size, len(self.labels))
        self.per_epoch = len(self.labels) // self.size

    def rng(self, epoch: int, index: int) -> np.random.Generator:
        """Return the random numbers of one step: a function of seed, epoch and step alone."""
        return np.random.default_rng([self.settings.seed, epoch, index + 1])

    def batch(self, epoch: int, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return the input of a step, and its targets.

        The input is float32 [n, c, h, w], channels last in memory.
        Targets are labels, or, where the recipe blends or smooths them, the task's dense ones.
        """
        settings = self.settings
        order = self._order(np.random.default_rng([settings.seed, epoch]))
        chosen = torch.from_numpy(order[index * self.size :][: self.size]).to(self.device)
        pixels = augment(self.images[chosen], rng, settings.shift, settings.flip)
        inputs, targets = to_input(pixels, self.data), self.labels[chosen]
        if settings.zoom:
            inputs = zoomed(inputs, rng, settings.zoom)
        if settings.colour:
            inputs = recolour(inputs, rng, settings.colour)
        if settings.cut_out:
            inputs = cut_out(inputs, rng, settings.cut_out)
        if settings.mixup or settings.label_smoothing:
            targets = self.data.task.dense_targets(
                targets, len(self.data.class_names), settings.label_smoothing
            )
        if settings.mixup:
            inputs, targets = mix(inputs, targets, rng, settings.mixup)
        return inputs.contiguous(memory_format=torch.channels_last), targets

    def _order(self, rng: np.random.Generator) -> np.ndarray:
        """Return an epoch's images, int64 [n]; balanced, those of small classes come repeatedly."""
        classes = self.data.task.classes(self.data.train.labels)
        if classes is None or not self.settings.balanced:
            return rng.permutation(len(self.labels))
        members = [np.flatnonzero(classes == one) for one in np.unique(classes)]
        each = -(-len(classes) // len(members))
        drawn = [
            np.concatenate([rng.permutation(one) for _ in range(-(-each // len(one)))])[:each]
            for one in members
        ]
        return rng.permutation(np.concatenate(drawn))[: len(classes)]
