"""Batch norm of the first channels, followed by an activation."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgenas.core.records import Activation

EPSILON = 1e-5


class BatchNorm(nn.Module):
    """Batch normalisation of the first channels.

    In training mode the statistics are the batch's, and move the running ones by `momentum`; that
    is 0 except while a subnet is recalibrated: no running average is right for every subnet.

    kept : the running statistics are those of an earlier training and stay; a batch's never count.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.momentum = 0.0
        self.kept = False

    def train(self, mode: bool = True) -> BatchNorm:
        """Use the batch's statistics, unless those of an earlier training are kept."""
        super().train(mode and not self.kept)
        return self

    def forward(self, values: Tensor, activation: Activation = "none") -> Tensor:
        channels = values.shape[1]
        weight, bias = self.weight[:channels], self.bias[:channels]
        if activation == "relu6" and values.device.type == "cpu" and self._learns():
            result: Tensor = _NormRelu6.apply(values, weight, bias)
            return result
        normalised = F.batch_norm(
            values,
            self.running_mean[:channels],
            self.running_var[:channels],
            weight,
            bias,
            self.training,
            self.momentum,
            EPSILON,
        )
        return activate(normalised, activation)

    def _learns(self) -> bool:
        return self.training and self.momentum == 0.0 and torch.is_grad_enabled()


def activate(values: Tensor, activation: Activation) -> Tensor:
    """Return the activation of `values`; in their place where nothing is learnt from them."""
    in_place = not torch.is_grad_enabled()
    if activation == "relu6":
        return F.relu6(values, in_place)
    return F.relu(values, in_place) if activation == "relu" else values


class _NormRelu6(torch.autograd.Function):
    """Both in one, by the batch's statistics: ReLU6 in place, of which autograd keeps a copy."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        normalised, mean, inverse_std = torch.native_batch_norm(
            values, weight, bias, None, None, True, 0.0, EPSILON
        )
        result = normalised.clamp_(0, 6)
        ctx.save_for_backward(values, weight, mean, inverse_std, result)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values, weight, mean, inverse_std, result = ctx.saved_tensors
        inner = torch.ops.aten.hardtanh_backward(gradients[0], result, 0, 6)
        found = torch.ops.aten.native_batch_norm_backward(
            inner, values, weight, None, None, mean, inverse_std, True, EPSILON, [True] * 3
        )
        return found[0], found[1], found[2]
