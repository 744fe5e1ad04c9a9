"""Networks of vectors and series, as other people train them: small ones of torch, seeded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn


class LengthFirst(nn.Module):
    """Sensor readings [n, length, channels], which the network turns first."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv1d(9, 16, 5, 2, 2), nn.Linear(16, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.first(x.transpose(1, 2))).mean(-1))


class Spectrogram(nn.Module):
    """Frames of coefficients [n, frames, coefficients], of which the network makes an image."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(1, 8, (10, 4), 2, (5, 1)), nn.Linear(8, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.first(x.unsqueeze(1))).amax((2, 3)))


class Causal(nn.Module):
    """A block of a temporal convolutional network: padded on both sides, cut at the end."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.ahead = 2 * dilation
        self.body = nn.Conv1d(inputs, outputs, 3, padding=self.ahead, dilation=dilation)
        self.short = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(torch.relu(self.body(x)[:, :, : -self.ahead]) + self.short(x))


class Shuffled(nn.Module):
    """Halves of the channels, joined and shuffled, after zeros that a layer of its own adds."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(2, 8, 4), nn.Conv1d(4, 4, 3, padding=1, groups=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(nn.functional.pad(x, (1, 2))))
        left, right = x.chunk(2, 1)
        joined = torch.cat((left, self.second(right)), 1)
        n, channels, length = joined.shape
        turned = joined.view(n, 2, channels // 2, length).transpose(1, 2)
        return turned.reshape(n, channels, length).mean(2)


Network = tuple[Callable[[], nn.Module], tuple[int, ...]]


def networks() -> dict[str, Network]:
    """Return networks with the shape of their input, without the batch, by their names."""
    return {
        "mlp": (
            lambda: nn.Sequential(
                nn.Linear(40, 64),
                nn.ReLU(),
                nn.BatchNorm1d(64),
                nn.Linear(64, 32),
                nn.Hardswish(),
                nn.Linear(32, 10),
            ),
            (40,),
        ),
        "autoencoder": (
            lambda: nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 64)),
            (64,),
        ),
        "keywords": (
            lambda: nn.Sequential(
                nn.Conv1d(1, 16, 80, 16, 40),
                nn.BatchNorm1d(16),
                nn.ReLU(),
                nn.MaxPool1d(4),
                nn.Conv1d(16, 32, 3, padding=1),
                nn.ReLU(),
                nn.AvgPool1d(2),
                nn.Conv1d(32, 32, 3, padding=1, groups=32),
                nn.ReLU(),
                nn.AvgPool1d(3, 1, 1),
                nn.AdaptiveAvgPool1d(1),
                nn.Flatten(),
                nn.Linear(32, 8),
            ),
            (1, 2000),
        ),
        "sensors": (
            lambda: nn.Sequential(
                nn.Conv1d(9, 16, 5, padding=2),
                nn.ReLU(),
                nn.MaxPool1d(3, 2, 1),
                nn.Conv1d(16, 16, 5, dilation=2),
                nn.ReLU6(),
                nn.Flatten(),
                nn.LazyLinear(6),
            ),
            (9, 64),
        ),
        "length-first": (LengthFirst, (50, 9)),
        "spectrogram": (Spectrogram, (49, 10)),
        "causal": (
            lambda: nn.Sequential(
                Causal(3, 8, 1),
                Causal(8, 8, 2),
                Causal(8, 8, 4),
                nn.AdaptiveMaxPool1d(1),
                nn.Flatten(),
                nn.Linear(8, 4),
            ),
            (3, 40),
        ),
        "shuffled": (Shuffled, (2, 30)),
        "flattened": (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(90, 16), nn.ReLU(), nn.Linear(16, 3)),
            (9, 10),
        ),
        "unflattened": (
            lambda: nn.Sequential(
                nn.Unflatten(1, (1, 8, 8)),
                nn.Conv2d(1, 4, 3),
                nn.ReLU(),
                nn.Flatten(),
                nn.LazyLinear(3),
            ),
            (64,),
        ),
        "one-per-step": (
            lambda: nn.Sequential(nn.Conv1d(2, 8, 5, padding=2), nn.ReLU(), nn.Conv1d(8, 3, 1)),
            (2, 32),
        ),
    }


def built(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a network of `networks` with seeded weights and statistics, and its input's shape."""
    torch.manual_seed(0)
    make, shape = networks()[name]
    module = make()
    with torch.no_grad():
        module.eval()(torch.zeros(1, *shape))
    generator = torch.Generator().manual_seed(0)
    for one in module.modules():
        if isinstance(one, nn.BatchNorm1d):
            one.running_mean.uniform_(-0.2, 0.2, generator=generator)
            one.running_var.uniform_(0.5, 1.5, generator=generator)
    return module.eval(), shape


def inputs(count: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, *shape), np.float32)
