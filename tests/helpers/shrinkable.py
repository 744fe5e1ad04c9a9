"""Networks of repeated blocks with seeded weights, as people train them, to be made smaller."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from helpers.own_networks import classifier, settled, unit

CLASSES = 7  # unless more are asked for


class Inverted(nn.Module):
    """MobileNet's inverted bottleneck; gated and with h-swish in the third version."""

    def __init__(
        self, inputs: int, outputs: int, k: int, stride: int, ratio: int, *, third: bool = False
    ) -> None:
        super().__init__()
        hidden = inputs * ratio
        act: Callable[[], nn.Module] = nn.Hardswish if third else nn.ReLU6
        self.deep = nn.Sequential(
            *unit(inputs, hidden, 1), act(), *unit(hidden, hidden, k, stride, groups=hidden), act()
        )
        self.gate = None
        if third:
            narrow = hidden // 4
            self.gate = nn.Sequential(
                nn.AdaptiveAvgPool2d(1),
                nn.Conv2d(hidden, narrow, 1),
                nn.ReLU(),
                nn.Conv2d(narrow, hidden, 1),
                nn.Hardsigmoid(),
            )
        self.project = nn.Sequential(*unit(hidden, outputs, 1))
        self.added = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.deep(x)
        y = self.project(y if self.gate is None else y * self.gate(y))
        return x + y if self.added else y


class Residual(nn.Module):
    """ResNet's block of two convolutions, or of three with a bottleneck between."""

    def __init__(self, inputs: int, outputs: int, stride: int, middle: int | None = None) -> None:
        super().__init__()
        if middle is None:
            body = [*unit(inputs, outputs, 3, stride), nn.ReLU(), *unit(outputs, outputs)]
        else:
            body = [*unit(inputs, middle, 1), nn.ReLU(), *unit(middle, middle, 3, stride)]
            body += [nn.ReLU(), *unit(middle, outputs, 1)]
        self.body = nn.Sequential(*body)
        same = stride == 1 and inputs == outputs
        self.short = nn.Identity() if same else nn.Sequential(*unit(inputs, outputs, 1, stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.body(x) + self.short(x))


def mobilenet_v2(classes: int = CLASSES) -> nn.Module:
    """Return a stem, a block that does not expand, and stages of 2 and 3 blocks."""
    return nn.Sequential(
        *(*unit(3, 8, 3, 2), nn.ReLU6()),
        *(*unit(8, 8, 3, groups=8), nn.ReLU6(), *unit(8, 8, 1)),
        *(Inverted(8, 12, 3, 2, 4), Inverted(12, 12, 3, 1, 4)),
        *(Inverted(12, 16, 5, 1, 4), Inverted(16, 16, 5, 1, 4), Inverted(16, 16, 5, 1, 4)),
        *(*unit(16, 24, 1), nn.ReLU6()),
        *classifier(24, classes),
    )


def mobilenet_v3(classes: int = CLASSES) -> nn.Module:
    return nn.Sequential(
        *(*unit(3, 8, 3, 2), nn.Hardswish()),
        *(Inverted(8, 12, 5, 2, 4, third=True), Inverted(12, 12, 5, 1, 4, third=True)),
        *(*unit(12, 24, 1), nn.Hardswish()),
        *classifier(24, classes),
    )


def resnet(classes: int = CLASSES) -> nn.Module:
    return nn.Sequential(
        *(*unit(3, 8, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
        *(Residual(8, 8, 1), Residual(8, 8, 1)),
        *(Residual(8, 16, 2), Residual(16, 16, 1)),
        *classifier(16, classes),
    )


def resnet_with_bottlenecks(classes: int = CLASSES) -> nn.Module:
    return nn.Sequential(
        *(*unit(3, 8, 3, 2), nn.ReLU()),
        *(Residual(8, 32, 2, 16), Residual(32, 32, 1, 16), Residual(32, 32, 1, 16)),
        *classifier(32, classes),
    )


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "mobilenet-v2": mobilenet_v2,
    "mobilenet-v3": mobilenet_v3,
    "resnet": resnet,
    "resnet-bottleneck": resnet_with_bottlenecks,
}


def seeded(name: str) -> nn.Module:
    """Return a network of `NETWORKS` with seeded weights and statistics."""
    torch.manual_seed(0)
    return settled(NETWORKS[name]())
