"""Networks as torch modules, built and run from a tuple of `Layer`s.

A module may be larger than the layer that it runs: it then uses its first channels and the centre
of its kernel. So the same modules serve a subnet alone and the supernet that all subnets share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgenas.core.records import Layer
from edgenas.int8.graph.lower import plain_node
from edgenas.int8.operators import find_operator
from edgenas.supernet.batch_norm import BatchNorm, activate
from edgenas.supernet.depthwise import depthwise
from edgenas.supernet.fake_quant import fake_quantized, fake_quantized_weight


def narrow(weight: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the view of `weight` with `shape`: the first channels, the centre of the kernel."""
    for axis, size in enumerate(shape):
        spare = weight.shape[axis] - size
        if spare:
            weight = weight.narrow(axis, spare // 2 if axis >= 2 else 0, size)
    return weight


class Rounding(nn.Module):
    """A module that, where it `rounds`, computes with weights and activations as int8 has them."""

    rounds = False

    def part(self, weight: Tensor, shape: Sequence[int], bits: int = 8) -> Tensor:
        """Return the part of `weight` with `shape`."""
        weight = narrow(weight, shape)
        return fake_quantized_weight(weight, bits) if self.rounds else weight

    def stored(self, values: Tensor, bits: int = 8) -> Tensor:
        """Return an activation as it is stored."""
        return fake_quantized(values, bits) if self.rounds else values


class Convolution(Rounding):
    """Convolution (dense or depthwise), batch norm, activation."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            groups=_groups(layer),
            bias=False,
        )
        self.bn = BatchNorm(layer.out_channels)
        self.projects = layer.activation == "none"

    def forward(self, values: Tensor, layer: Layer) -> Tensor:
        groups, kernel_size = _groups(layer), layer.kernel_size
        shape = (layer.out_channels, layer.in_channels // groups, kernel_size, kernel_size)
        weight = self.part(self.conv.weight, shape, layer.weight_bits)
        if more := layer.padded_after - layer.padded_before:
            values = F.pad(values, (0, more, 0, more))
        if layer.kind == "depthwise":
            values = depthwise(values, weight, layer.stride, layer.padded_before)
        else:
            values = F.conv2d(values, weight, None, layer.stride, layer.padded_before)
        return self.stored(self.bn(values, layer.activation), layer.output_bits)


class SqueezeExcite(Rounding):
    """Channel gate with a hard sigmoid: x * relu6(excite(relu(squeeze(mean(x)))) + 3) / 6."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(layer.in_channels, layer.squeeze_channels, 1)
        self.excite = nn.Conv2d(layer.squeeze_channels, layer.out_channels, 1)

    def forward(self, values: Tensor, layer: Layer) -> Tensor:
        mean = self.stored(values.mean((2, 3), keepdim=True))
        squeezed = self._pointwise(self.squeeze, mean, layer.squeeze_channels)
        gate = self._pointwise(self.excite, self.stored(F.relu(squeezed)), layer.out_channels)
        return self.stored(values * self.stored(F.relu6(gate + 3) / 6))

    def _pointwise(self, convolution: nn.Conv2d, values: Tensor, out_channels: int) -> Tensor:
        weight = self.part(convolution.weight, (out_channels, values.shape[1], 1, 1))
        assert convolution.bias is not None
        return F.conv2d(values, weight, convolution.bias[:out_channels])


class Linear(nn.Linear, Rounding):
    """The classifier: [n, in_channels, 1, 1] to logits [n, out_channels]."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer.in_channels, layer.out_channels)

    def forward(self, values: Tensor, layer: Layer) -> Tensor:  # type: ignore[override]
        weight = self.part(self.weight, (layer.out_channels, layer.in_channels))
        scores = F.linear(values.flatten(1), weight, self.bias[: layer.out_channels])
        return self.stored(scores)


MODULES: dict[str, type[nn.Module]] = {
    "conv": Convolution,
    "depthwise": Convolution,
    "squeeze_excite": SqueezeExcite,
    "linear": Linear,
}


class Network(Rounding):
    """The modules of `layers`, each under its layer's name; weights are channels last in memory.

    On a CPU that trains up to 2.7 times as fast as channels first (measured at 13 to 20 MMAC).
    """

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        super().__init__()
        for layer in layers:
            if layer.kind in MODULES:
                self.add_module(layer.name, MODULES[layer.kind](layer))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def round_like_int8(self, rounds: bool) -> None:
        """Let every module compute with the values that an int8 model has, or with its own."""
        for module in self.modules():
            if isinstance(module, Rounding):
                module.rounds = rounds

    keeps_statistics = False

    def keep_statistics(self) -> None:
        """Keep the running statistics of all batch norms but those of projections.

        A projection sums over as many channels as a subnet has, so its statistics are each
        subnet's own; those of any other channel are the same in every subnet.
        """
        self.keeps_statistics = True
        for module in self.modules():
            if isinstance(module, Convolution):
                module.bn.kept = not module.projects
        self.train(self.training)

    def run(self, images: Tensor, layers: tuple[Layer, ...]) -> Tensor:
        """Return the output of the last of `layers`; a tensor is dropped after its last use.

        images : float32 [n, channels, height, width], normalised.
        """
        uses = Counter(name for layer in layers for name in layer.inputs)
        tensors = {"input": self.stored(images)}
        result = images
        for layer in layers:
            result = self._compute(layer, [tensors[name] for name in layer.inputs])
            tensors[layer.name] = result
            uses.subtract(layer.inputs)
            for name in layer.inputs:
                if not uses[name]:
                    tensors.pop(name, None)
        return result

    def _compute(self, layer: Layer, inputs: list[Tensor]) -> Tensor:
        if layer.kind not in MODULES:
            value = find_operator(layer.kind).compute(plain_node(layer), inputs)
            return self.stored(activate(value, layer.activation))
        result: Tensor = self.get_submodule(layer.name)(inputs[0], layer)
        return result


class Subnet(Network):
    """One network by itself.

    State, by layer name: conv.weight [out, in / groups, k, k] and bn.{weight, bias, running_mean,
    running_var} [out]; squeeze, excite .weight [out, in, 1, 1], .bias; a classifier's weight, bias.
    """

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        super().__init__(layers)
        self.layers = layers

    @property
    def resolution(self) -> int:
        """Height and width of its images in pixels."""
        return self.layers[0].in_size

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 [n, num_classes], of normalised float32 [n, channels, h, w]."""
        return self.run(images, self.layers)

    def numpy_state(self) -> dict[str, np.ndarray]:
        """Return a copy of every tensor of the state, float32."""
        return {name: tensor.cpu().numpy().copy() for name, tensor in self.state_dict().items()}


def _groups(layer: Layer) -> int:
    return layer.out_channels if layer.kind == "depthwise" else layer.groups
