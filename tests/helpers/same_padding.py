"""A network by TensorFlow's SAME padding, written down once more, without edgenas's modules."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgenas.core.records import Layer


def same(
    layers: tuple[Layer, ...],
    state: Mapping[str, np.ndarray],
    images: Tensor,
    epsilon: float = 1e-5,
) -> Tensor:
    """Compute the logits as TensorFlow defines SAME, from sizes and strides alone."""

    def convolved(values: Tensor, layer: Layer) -> Tensor:
        weight = torch.from_numpy(state[f"{layer.name}.conv.weight"])
        size, k, stride = values.shape[-1], layer.kernel_size, layer.stride
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        values = F.pad(values, (total // 2, total - total // 2) * 2)
        groups = layer.out_channels if layer.kind == "depthwise" else 1
        values = F.conv2d(values, weight, None, stride, 0, 1, groups)
        parts = ("running_mean", "running_var", "weight", "bias")
        norm = [torch.from_numpy(state[f"{layer.name}.bn.{part}"]) for part in parts]
        values = F.batch_norm(values, *norm, False, 0.0, epsilon)
        return F.relu6(values) if layer.activation == "relu6" else values

    tensors = {"input": images}
    for layer in layers:
        inputs = [tensors[name] for name in layer.inputs]
        if layer.kind == "add":
            result = inputs[0] + inputs[1]
        elif layer.kind == "global_pool":
            result = inputs[0].mean((2, 3))
        elif layer.kind == "linear":
            weight, bias = (
                torch.from_numpy(state[f"{layer.name}.{p}"]) for p in ("weight", "bias")
            )
            result = F.linear(inputs[0], weight, bias)
        else:
            result = convolved(inputs[0], layer)
        tensors[layer.name] = result
    return result
