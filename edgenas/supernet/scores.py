"""What a subnet answers, in fp32: logits and accuracy."""

from __future__ import annotations

import numpy as np
import torch

from edgenas.core.interfaces import Data, Split
from edgenas.supernet.blocks import Subnet
from edgenas.supernet.recalibrate import input_batches


def logits(subnet: Subnet, images: np.ndarray, data: Data) -> np.ndarray:
    """Return float32 [n, num_classes] of uint8 [n, h, w, c] at the subnet's resolution."""
    with torch.no_grad():
        parts = [subnet(batch) for batch in input_batches(images, data)]
    return torch.cat(parts).numpy()


def accuracy(subnet: Subnet, split: Split, data: Data) -> float:
    """Return the fraction of `split` that a calibrated subnet classifies rightly."""
    answers = logits(subnet, split.resized(subnet.resolution).images, data).argmax(1)
    return float(np.mean(answers == split.labels))
