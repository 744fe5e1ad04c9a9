"""The fast depthwise convolution and batch norm against torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from edgenas.supernet.batch_norm import EPSILON, BatchNorm
from edgenas.supernet.depthwise import depthwise


def batch(channels: int, size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(6, channels, size, size, generator=generator)
    return values.to(memory_format=torch.channels_last).requires_grad_()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7, 12])
def test_depthwise_has_torchs_output_and_gradients(
    size: int, kernel_size: int, stride: int
) -> None:
    check_depthwise(batch(7, size), kernel_size, stride, kernel_size // 2)


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@pytest.mark.parametrize("size", [2, 6, 12])
def test_depthwise_with_one_zero_more_behind_has_torchs_output_and_gradients(
    size: int, kernel_size: int
) -> None:
    values = F.pad(batch(7, size), (0, 1, 0, 1))
    check_depthwise(values, kernel_size, 2, kernel_size // 2 - 1)


def check_depthwise(values: Tensor, kernel_size: int, stride: int, padding: int) -> None:
    weight = torch.randn(7, 1, kernel_size, kernel_size, requires_grad=True)
    expected = F.conv2d(values, weight, None, stride, padding, groups=7)
    upstream = torch.randn_like(expected)
    got = depthwise(values, weight, stride, padding)
    torch.testing.assert_close(got, expected)
    for ours, theirs in zip(
        torch.autograd.grad(got, (values, weight), upstream),
        torch.autograd.grad(expected, (values, weight), upstream),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_depthwise_of_part_of_a_larger_kernel_leaves_the_rest_without_gradient() -> None:
    shared = torch.randn(8, 1, 7, 7, requires_grad=True)
    depthwise(batch(5, 9), shared[:5, :, 1:6, 1:6], 1, 2).square().sum().backward()
    assert shared.grad is not None
    inside = torch.zeros(8, 1, 7, 7, dtype=torch.bool)
    inside[:5, :, 1:6, 1:6] = True
    assert torch.equal(shared.grad != 0, inside)


@pytest.mark.parametrize("training", [True, False])
def test_norm_and_relu6_have_torchs_output_and_gradients(training: bool) -> None:
    norm = BatchNorm(9).train(training)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        norm.weight.uniform_(2, 5, generator=generator)
        norm.bias.uniform_(0, 4, generator=generator)
    values = batch(7, 6)
    weight, bias = (p.detach()[:7].clone().requires_grad_() for p in (norm.weight, norm.bias))
    statistics = torch.zeros(7), torch.ones(7)
    expected = F.relu6(F.batch_norm(values, *statistics, weight, bias, training, 0.0, EPSILON))
    assert 0.05 < (expected == 6).float().mean() < 0.9
    upstream = torch.randn_like(expected)
    theirs = torch.autograd.grad(expected, (values, weight, bias), upstream)
    got = norm(values, "relu6")
    torch.testing.assert_close(got, expected)
    ours = torch.autograd.grad(got, (values, norm.weight, norm.bias), upstream)
    torch.testing.assert_close(ours[0], theirs[0])
    torch.testing.assert_close(ours[1][:7], theirs[1])
    torch.testing.assert_close(ours[2][:7], theirs[2])
    assert torch.equal(norm.running_mean, torch.zeros(9))
