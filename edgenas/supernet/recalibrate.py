"""Batch norm statistics of a subnet, recomputed from training images (Yu and Huang 2019)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from edgenas.core.interfaces import Data
from edgenas.core.records import Architecture
from edgenas.supernet.batch_norm import BatchNorm
from edgenas.supernet.blocks import Subnet
from edgenas.supernet.network import Supernet

CALIBRATION_IMAGES = 512
CALIBRATION_IMAGES_OF_PROJECTIONS = 128  # where all other statistics are kept
BATCH_SIZE = 128
# As in training. At 96 px it takes half the time of 128, whose tensors leave the caches.
BATCH_SIZE_OF_PROJECTIONS = 32


def to_input(images: np.ndarray | Tensor, data: Data) -> Tensor:
    """Return normalised float32 [n, c, h, w], channels last in memory, of uint8 [n, h, w, c]."""
    pixels = torch.as_tensor(images)
    mean = torch.tensor(data.mean, device=pixels.device) * 255
    std = torch.tensor(data.std, device=pixels.device) * 255
    return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)


def input_batches(images: np.ndarray, data: Data, most: int = BATCH_SIZE) -> Iterator[Tensor]:
    """Yield the images as input, in batches of much the same size, `most` images at most."""
    for batch in np.array_split(images, math.ceil(len(images) / most)):
        yield to_input(batch, data)


def recalibrate(subnet: Subnet, images: np.ndarray, data: Data) -> None:
    """Set the running statistics to the mean of the batches', and put `subnet` in evaluation mode.

    A network of fewer than 8 bits is rounded meanwhile: what it computes then has other statistics.
    Where statistics are kept, only those of projections are set: recomputing the others costs an
    ImageNet network 10 points (measured, with 512 images of another data set).

    images : uint8 [n, h, w, c], n > 1, at the subnet's resolution.
    """
    norms = [m for m in subnet.modules() if isinstance(m, BatchNorm) and not m.kept]
    most = BATCH_SIZE_OF_PROJECTIONS if subnet.keeps_statistics else BATCH_SIZE
    few_bits = any(min(one.weight_bits, one.output_bits) < 8 for one in subnet.layers)
    if few_bits:
        subnet.round_like_int8(True)
    subnet.train()
    with torch.no_grad():
        for index, batch in enumerate(input_batches(images, data, most)):
            for norm in norms:
                norm.momentum = 1 / (index + 1)
            subnet(batch)
    for norm in norms:
        norm.momentum = 0.0
    if few_bits:
        subnet.round_like_int8(False)
    subnet.eval()


def calibrated_subnet(supernet: Supernet, architecture: Architecture, data: Data) -> Subnet:
    """Return the subnet with statistics from training images, ready to evaluate or lower."""
    subnet = supernet.subnet(architecture)
    recalibrate(subnet, calibration_images(subnet, data), data)
    return subnet


def calibration_images(subnet: Subnet, data: Data) -> np.ndarray:
    """Return the images that set a subnet's statistics, at its resolution: 512, or for projections
    alone 128.
    """
    kept = subnet.keeps_statistics
    count = CALIBRATION_IMAGES_OF_PROJECTIONS if kept else CALIBRATION_IMAGES
    return data.calibration(count).resized(subnet.resolution).images
