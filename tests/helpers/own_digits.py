"""A folder with digits as images, and a network of repeated blocks whose classifier knows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from helpers.own_networks import exported, images_and_labels, settled
from helpers.shrinkable import mobilenet_v2

SIZE, CLASSES = 16, 10


def pixels() -> tuple[np.ndarray, np.ndarray]:
    """Return digits of 16 px, uint8 [n, 16, 16, 3], and their classes."""
    small, labels = images_and_labels()
    return small.repeat(2, 1).repeat(2, 2), labels


def write_digits(root: Path) -> None:
    """Write `digits/` with the splits train and test, and `model.onnx`."""
    images, labels = pixels()
    for split, part in (("train", slice(0, 300)), ("test", slice(1400, 1600))):
        for at, (image, label) in enumerate(zip(images[part], labels[part], strict=True)):
            path = root / "digits" / split / f"class{label}" / f"{at}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    torch.manual_seed(0)
    network = settled(mobilenet_v2(CLASSES))
    assert isinstance(network, nn.Sequential)
    body, head = nn.Sequential(*list(network)[:-1]), network[-1]
    assert isinstance(head, nn.Linear)
    inputs = torch.from_numpy(images[:1000].astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None  # the statistics are then those of the digits
            norm.reset_running_stats()
    with torch.no_grad():
        body.train()(inputs)
        features = nn.functional.pad(body.eval()(inputs), (0, 1), value=1.0).double()
        target = nn.functional.one_hot(torch.from_numpy(labels[:1000]), CLASSES).double()
        solved = torch.linalg.lstsq(features, 9 * target).solution
        head.weight.copy_(solved[:-1].T)
        head.bias.copy_(solved[-1])
    (root / "model.onnx").write_bytes(exported(network, (3, SIZE, SIZE)))
