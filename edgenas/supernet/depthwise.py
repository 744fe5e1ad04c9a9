"""Depthwise 5x5 and 7x7 convolutions whose weight gradient is fast on a CPU.

oneDNN's gradient of depthwise weights is 10 to 16 times as fast at most three columns wide as at
five (measured on AVX512, channels last). So the columns of a 5x5 kernel come from two kernels of
5x3: columns 1, 2, 3 as they stand, columns 0, 2, 4 from every other column of the image; those of a
7x7 kernel from three of 7x3, on the image as it is and moved two columns either way. Images of a
few pixels are slow even so: there the products of all pairs of pixels are one matrix product.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SPLIT_KERNEL_SIZES = (5, 7)
MOST_PAIRED = 5  # pixels a side, for products of all pairs


def depthwise(values: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Return the convolution of float32 [n, c, h, w] with [c, 1, k, k].

    padding : zeros on each side; fast are k // 2 and, of what TensorFlow's SAME has padded behind,
        one less.
    """
    channels, kernel_size = weight.shape[0], weight.shape[2]
    half = kernel_size // 2
    fast = kernel_size in SPLIT_KERNEL_SIZES and stride <= 2 and padding in (half, half - 1)
    fast = fast and values.device.type == "cpu"
    if fast and torch.is_grad_enabled():
        result: Tensor = _Depthwise.apply(values, weight, stride, padding)
        return result
    return F.conv2d(values, weight, None, stride, padding, groups=channels)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(values, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(values, weight, None, stride, padding, groups=weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        values, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        to_values = None
        if ctx.needs_input_grad[0]:
            strides, padding = [ctx.stride] * 2, [ctx.padding] * 2
            to_values = _backward(gradient, values, weight, strides, padding, of_weight=False)
        to_weight = None
        if ctx.needs_input_grad[1]:
            to_weight = _weight_gradient(gradient, values, ctx.stride, ctx.padding, weight.shape[2])
        return to_values, to_weight, None, None


def _weight_gradient(
    gradient: Tensor, values: Tensor, stride: int, padding: int, kernel_size: int
) -> Tensor:
    """Return [c, 1, k, k] for the gradient of the output and the input, both [n, c, h, w]."""
    if max(values.shape[2:]) <= MOST_PAIRED:
        return _paired(gradient, values, stride, padding, kernel_size)
    values = values.contiguous(memory_format=torch.channels_last)
    # of the three middle columns, the left one reads as many pixels before its output's
    paddings = [padding, padding - kernel_size // 2 + 1]
    middle = _narrow(gradient, values, [stride, stride], paddings, kernel_size)
    if kernel_size == 7:
        left, right = (
            _narrow(gradient, _moved(values, columns), [stride, stride], paddings, kernel_size)
            for columns in (2, -2)
        )
        return torch.cat((left[..., :2], middle, right[..., 1:]), dim=-1)
    if stride == 1:
        of_gradient, of_values = _columns_apart(gradient), _columns_apart(values)
        outer = _narrow(of_gradient, of_values, [1, 1], [padding, 1], kernel_size)
        outer = outer.view(2, -1, *outer.shape[1:]).sum(0)
    else:
        every_other = values[..., padding % 2 :: 2].contiguous(memory_format=torch.channels_last)
        outer = _narrow(gradient, every_other, [stride, 1], [padding, 1], kernel_size)
    columns = (outer[..., 0], middle[..., 0], outer[..., 1], middle[..., 2], outer[..., 2])
    return torch.stack(columns, dim=-1)


def _paired(
    gradient: Tensor, values: Tensor, stride: int, padding: int, kernel_size: int
) -> Tensor:
    products = torch.bmm(
        values.permute(1, 2, 3, 0).flatten(1, 2), gradient.permute(1, 0, 2, 3).flatten(2)
    )
    taps = _taps(values.shape[2:], gradient.shape[2:], stride, padding, kernel_size)
    return (products.flatten(1) @ taps).view(-1, 1, kernel_size, kernel_size)


@lru_cache(maxsize=64)
def _taps(
    size: tuple[int, int], out_size: tuple[int, int], stride: int, padding: int, kernel_size: int
) -> Tensor:
    """Return [h w h' w', k k]: 1 where the kernel's tap lies between two pixels."""

    def along(pixels: int, out_pixels: int) -> Tensor:
        tap = torch.arange(pixels)[:, None] - stride * torch.arange(out_pixels) + padding
        return (tap[..., None] == torch.arange(kernel_size)).float()

    rows, columns = along(size[0], out_size[0]), along(size[1], out_size[1])
    return torch.einsum("hpi,wqj->hwpqij", rows, columns).reshape(-1, kernel_size**2)


def _columns_apart(values: Tensor) -> Tensor:
    """Return [n, 2 c, h, w / 2]: even columns, then odd ones; in memory nothing moves."""
    if values.shape[3] % 2:
        values = F.pad(values, (0, 1)).contiguous(memory_format=torch.channels_last)
    n, channels, height, width = values.shape
    return values.permute(0, 2, 3, 1).view(n, height, width // 2, 2 * channels).permute(0, 3, 1, 2)


def _moved(values: Tensor, columns: int) -> Tensor:
    """Return the images moved to the right by `columns`, zeros where they come from."""
    return F.pad(values, (columns, -columns)).contiguous(memory_format=torch.channels_last)


def _narrow(
    gradient: Tensor,
    values: Tensor,
    strides: list[int],
    paddings: list[int],
    kernel_size: int,
) -> Tensor:
    """Return the gradient of a kernel of k x 3: [c, 1, k, 3]."""
    weight = values.new_empty(values.shape[1], 1, kernel_size, 3)
    return _backward(gradient, values, weight, strides, paddings, of_weight=True)


def _backward(  # noqa: PLR0917 - as torch's own
    gradient: Tensor,
    values: Tensor,
    weight: Tensor,
    strides: list[int],
    padding: list[int],
    of_weight: bool,
) -> Tensor:
    found = torch.ops.aten.convolution_backward(
        gradient,
        values,
        weight,
        None,
        strides,
        padding,
        [1, 1],
        False,
        [0, 0],
        weight.shape[0],
        [not of_weight, of_weight, False],
    )
    result: Tensor = found[1 if of_weight else 0]
    return result
