"""Projections whose stored statistics are those of the user's images, with nothing else changed.

Training takes a projection's statistics from the batch, and a subnet's are recalibrated. ImageNet's
own differ from both: with the stored ones a linear classifier on the frozen network gets 79 % of
480 photographs right, with statistics of the images in their place 33 % (measured at 96 px). So
what the stored ones did beyond normalising goes into gamma and beta first:

    gamma' = gamma sqrt(v / var),   beta' = beta + gamma (m - mean) / sqrt(var)

with m and v of the images. The largest network then computes with its own statistics what it
computed with the stored ones, and training begins where the frozen network is.
"""

from __future__ import annotations

import numpy as np
import torch

from edgenas.core.interfaces import Data
from edgenas.supernet.batch_norm import EPSILON
from edgenas.supernet.imagenet.moments import moments
from edgenas.supernet.network import Supernet, convolution

IMAGES = 256


def take_statistics(supernet: Supernet, images: np.ndarray, data: Data) -> None:
    """Set the projections' statistics to those of the images; what is computed stays.

    images : uint8 [n, h, w, c] at the greatest resolution.
    """
    names = [
        layer.name
        for layer in supernet.space.layers(supernet.space.largest())
        if layer.kind == "conv" and not convolution(supernet, layer.name).bn.kept
    ]
    found = moments(supernet, names, images, data)
    with torch.no_grad():
        for name, (mean, variance) in found.items():
            norm = convolution(supernet, name).bn
            spread = (norm.running_var + EPSILON).sqrt()
            norm.bias.add_(norm.weight * (mean - norm.running_mean) / spread)
            norm.weight.mul_((variance + EPSILON).sqrt() / spread)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
