"""What a subnet answers, in fp32: its outputs, and the task's score."""

from __future__ import annotations

import numpy as np
import torch

from edgenas.core.interfaces import Data, Split
from edgenas.supernet.blocks import Subnet
from edgenas.supernet.recalibrate import input_batches


def logits(subnet: Subnet, images: np.ndarray, data: Data) -> np.ndarray:
    """Return outputs, float32 [n, outputs], of uint8 [n, h, w, c] at the subnet's resolution."""
    with torch.no_grad():
        parts = [subnet(batch) for batch in input_batches(images, data)]
    return torch.cat(parts).numpy()


def accuracy(subnet: Subnet, split: Split, data: Data) -> float:
    """Return the fraction of `split` that a calibrated subnet answers rightly."""
    outputs = logits(subnet, split.resized(subnet.resolution).images, data)
    return float(data.task.right(data.task.decode(outputs), split.labels).mean())
