"""Random changes to a batch of images, whole batches at once on the images' device."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def augment(images: Tensor, rng: np.random.Generator, shift: int, flip: bool) -> Tensor:
    """Return the images, uint8 [n, h, w, c], each moved by up to `shift` pixels either way.

    The border repeats the outermost pixels. With `flip`, half of the images are mirrored.
    """
    n, height, width, _ = images.shape
    moves = rng.integers(-shift, shift, (2, n, 1), endpoint=True)
    rows = np.clip(np.arange(height) + moves[0], 0, height - 1)
    columns = np.clip(np.arange(width) + moves[1], 0, width - 1)
    if flip:
        mirrored = rng.random(n) < 0.5
        columns[mirrored] = columns[mirrored, ::-1]
    device = images.device
    image = torch.arange(n, device=device)[:, None, None]
    row = torch.as_tensor(rows, device=device)[:, :, None]
    return images[image, row, torch.as_tensor(columns, device=device)[:, None, :]]


def zoomed(inputs: Tensor, rng: np.random.Generator, most: float) -> Tensor:
    """Return normalised images, float [n, c, h, w], each of a square cut out of it and enlarged.

    The square's side is 1 - `most` to 1 of the image's; it lies anywhere in the image.
    """
    sides = 1 - most * rng.random(len(inputs))
    centres = rng.uniform(-1, 1, (2, len(inputs))) * (1 - sides)
    frames = np.zeros((len(inputs), 2, 3), np.float32)
    frames[:, 0, 0] = frames[:, 1, 1] = sides
    frames[:, :, 2] = centres.T
    where = F.affine_grid(
        torch.as_tensor(frames, device=inputs.device), list(inputs.shape), align_corners=False
    )
    return F.grid_sample(inputs, where, padding_mode="border", align_corners=False)


def recolour(inputs: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return normalised images, float [n, c, h, w], of other brightness, contrast and saturation.

    Brightness moves by up to `strength` standard deviations of the data set; contrast and
    saturation are multiplied by 1 - `strength` to 1 + `strength`. Each image draws its own.
    """
    draws = rng.uniform(-strength, strength, (3, len(inputs), 1, 1, 1)).astype(np.float32)
    brightness, contrast, saturation = torch.as_tensor(draws, device=inputs.device)
    grey = inputs.mean(1, keepdim=True)
    saturated = grey + (inputs - grey) * (1 + saturation)
    mean = saturated.mean((1, 2, 3), keepdim=True)
    return mean + (saturated - mean) * (1 + contrast) + brightness


def cut_out(inputs: Tensor, rng: np.random.Generator, part: float) -> Tensor:
    """Return normalised images with one square each set to the mean (DeVries and Taylor 2017).

    part : the square's side as a fraction of the image's; its centre is anywhere in the image.
    """
    n, _, height, width = inputs.shape
    half = torch.tensor([part * height / 2, part * width / 2])
    centres = torch.as_tensor(rng.random((2, n)) * [[height], [width]])
    rows = (torch.arange(height) + 0.5 - centres[0, :, None]).abs() < half[0]
    columns = (torch.arange(width) + 0.5 - centres[1, :, None]).abs() < half[1]
    hidden = (rows[:, None, :, None] & columns[:, None, None, :]).to(inputs.device)
    return inputs.masked_fill(hidden, 0.0)


def mix(
    inputs: Tensor, targets: Tensor, rng: np.random.Generator, alpha: float
) -> tuple[Tensor, Tensor]:
    """Return each image blended with another one, and their targets likewise (Zhang et al. 2018).

    targets : float [n, num_classes]. alpha : of the beta distribution that the shares come from.
    """
    shares = rng.beta(alpha, alpha, len(inputs)).astype(np.float32)
    share = torch.as_tensor(shares, device=inputs.device)
    other = torch.as_tensor(rng.permutation(len(inputs)), device=inputs.device)
    blended = torch.lerp(inputs[other], inputs, share[:, None, None, None])
    return blended, torch.lerp(targets[other], targets, share[:, None])
