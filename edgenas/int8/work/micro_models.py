"""Twelve micro-models, each a chain of equal layers: what they take tells what a machine can do.

Two lengths of a chain differ in equal layers alone: what an inference takes besides cancels. Each
layer is chosen so that one of twelve unknowns weighs most in it: the rates of three kinds of
convolution, the bandwidth of tensors that lie in a cache and of larger ones, the launch, what a
convolution takes more than another kernel to start, and five that layers of few channels show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgenas.core.records import Layer, LayerKind
from edgenas.core.records.roofline import Numbers

IN_CACHE, IN_MEMORY, LAUNCH = "cached add", "large add", "small add"
DEPTHWISE, DENSE, POINTWISE = "depthwise", "dense", "pointwise"
STARTED = "started convolution"
# Of layers with few channels: rounding and storing an output, looking up where a tap of a pixel is,
# and depthwise channels that fill no vector.
OUTPUT, DENSE_TAP, DEPTHWISE_TAP = "output", "dense tap", "depthwise tap"
REST_OF_8, REST_OF_16 = "rest of 8", "rest of 16"
UNITS = (STARTED, OUTPUT, DENSE_TAP, DEPTHWISE_TAP, REST_OF_8, REST_OF_16)
FEW_CHANNELS = 16


@dataclass(frozen=True)
class MicroModel:
    """A chain of layers of one kind. short, long : its two lengths."""

    name: str
    kind: LayerKind
    channels: int
    size: int  # height = width, pixels
    kernel_size: int = 1
    short: int = 2
    long: int = 8

    @property
    def about(self) -> str:
        """The repeated layer, in words."""
        what = {"conv": "convolution", "depthwise": "depthwise convolution", "add": "addition"}
        kernel = "" if self.kind == "add" else f"{self.kernel_size}x{self.kernel_size} "
        return f"{kernel}{what[self.kind]} of {self.channels} channels at {self.size} px"

    def layers(self, length: int) -> tuple[Layer, ...]:
        """Return the network with `length` of its layer, from one channel to ten classes."""
        stem = self._layer("stem", "conv", ("input",), 1, 1)
        chain, last = [stem], "stem"
        for number in range(length):
            name = f"layer{number}"
            inputs = (last, "stem") if self.kind == "add" else (last,)
            chain.append(self._layer(name, self.kind, inputs, self.channels, self.kernel_size))
            last = name
        pool = Layer("pool", "global_pool", (last,), self.channels, self.channels, self.size, 1)
        return (*chain, pool, Layer("classifier", "linear", ("pool",), self.channels, 10, 1, 1))

    def _layer(
        self, name: str, kind: LayerKind, inputs: tuple[str, ...], channels: int, kernel_size: int
    ) -> Layer:
        return Layer(
            name,
            kind,
            inputs,
            channels,
            self.channels,
            self.size,
            self.size,
            kernel_size,
            activation="none" if kind == "add" else "relu6",
        )


MICRO_MODELS = (
    MicroModel(POINTWISE, "conv", 256, 14),
    MicroModel(DENSE, "conv", 128, 14, 3),
    MicroModel(DEPTHWISE, "depthwise", 128, 14, 3),
    MicroModel(IN_CACHE, "add", 16, 64),
    MicroModel(IN_MEMORY, "add", 64, 224),
    MicroModel(LAUNCH, "add", 16, 8, short=4, long=24),
    MicroModel(STARTED, "depthwise", 8, 2, 3, short=4, long=24),
    MicroModel(OUTPUT, "conv", FEW_CHANNELS, 32),
    MicroModel(DENSE_TAP, "conv", FEW_CHANNELS, 32, 3),
    MicroModel(DEPTHWISE_TAP, "depthwise", FEW_CHANNELS, 32, 3),
    MicroModel(REST_OF_8, "depthwise", 20, 16, 3),
    MicroModel(REST_OF_16, "depthwise", 24, 16, 3),
)


def micro_models(numbers: Numbers) -> tuple[MicroModel, ...]:
    """Return those for models of such numbers.

    In float32 wide convolutions have half the channels, so that a chain's weights are as many
    bytes: of twice as many, caches lose some, and a rate would be that of the memory.
    """
    if numbers == "int8":
        return MICRO_MODELS
    return tuple(
        replace(one, channels=one.channels // 2)
        if one.kind == "conv" and one.channels > FEW_CHANNELS
        else one
        for one in MICRO_MODELS
    )
