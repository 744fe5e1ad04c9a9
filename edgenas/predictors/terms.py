"""Terms: what an architecture is to a predictor, as sums over stages of what each stage adds.

A row of terms is `size_row` plus one `stage_row` a stage, so that every prediction that is linear
in the terms is a sum over stages, and a search can solve it exactly. The sets:

physical : work of a network (latency, memory, energy), from its layers.
choices : what was chosen (accuracy), from depths, kernel sizes and expand ratios.
size : what a model file holds (its bytes), from the layers: weights, channels and layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from edgenas.errors import PredictorError, nearest
from edgenas.records import Layer, StageChoice

LARGEST_USUAL_KERNEL = 5
VECTORS = (8, 16)  # channels that depthwise kernels take at once; the rest of them costs more
StageTerms = Callable[[Sequence[Layer], StageChoice], tuple[float, ...]]
SizeTerms = Callable[[int, Sequence[Layer]], tuple[float, ...]]


@dataclass(frozen=True)
class TermSet:
    """Named terms of a space of `n_stages` stages.

    kinds : one name per kind of term and stage; a term is called "stage<i>.<kind>".
    size_names : terms of the whole network, there only if the space has several resolutions.
    cost : more of any term never lowers the response.
    """

    name: str
    n_stages: int
    kinds: tuple[str, ...]
    size_names: tuple[str, ...]
    cost: bool
    stage_terms: StageTerms
    size_terms: SizeTerms

    @property
    def names(self) -> tuple[str, ...]:
        """The p term names, in the order of the rows."""
        by_stage = (f"stage{s}.{kind}" for s in range(self.n_stages) for kind in self.kinds)
        return (*self.size_names, *by_stage)

    @property
    def groups(self) -> tuple[str, ...]:
        """The kind of each term: terms of one kind mean the same in every stage."""
        return (*self.size_names, *self.kinds * self.n_stages)

    def size_row(self, resolution: int, fixed_layers: Sequence[Layer]) -> np.ndarray:
        """Return what a network has besides its stages, float64 [p].

        fixed_layers : the layers of stem, head and classifier at `resolution` (pixels).
        """
        row = np.zeros(len(self.names))
        if self.size_names:
            row[: len(self.size_names)] = self.size_terms(resolution, fixed_layers)
        return row

    def stage_row(self, layers: Sequence[Layer], choice: StageChoice) -> np.ndarray:
        """Return what one stage adds to the row, float64 [p]; `layers` are of one stage only."""
        stages = {layer.stage for layer in layers}
        if len(stages) != 1 or not 0 <= min(stages) < self.n_stages:
            raise ValueError(f"Layers of one stage below {self.n_stages} expected, not {stages}.")
        row = np.zeros(len(self.names))
        start = len(self.size_names) + stages.pop() * len(self.kinds)
        row[start : start + len(self.kinds)] = self.stage_terms(layers, choice)
        return row


def term_set(
    name: str, n_stages: int, n_resolutions: int, kernel_sizes: Sequence[int] = ()
) -> TermSet:
    """Return the set of that name for a space of so many stages and resolutions.

    kernel_sizes : that the space offers. In "physical" each one above 5 has a term of its own, for
        engines have fast kernels for the usual sizes and whatever is left for the others.

    Raises
    ------
    PredictorError : there is no such set.
    """
    if name not in _SETS:
        raise PredictorError(f"There is no term set '{name}'.", nearest(name, _SETS))
    kinds, size_names, cost, stage_terms, size_terms = _SETS[name]
    present = size_names if n_resolutions > 1 else ()
    unusual = tuple(k for k in sorted(set(kernel_sizes)) if k > LARGEST_USUAL_KERNEL)
    if stage_terms is _work and unusual:
        kinds = (*kinds, *(f"depthwise{k}x{k}_mmac" for k in unusual))
        stage_terms = partial(_work_and_unusual, unusual)
    return TermSet(name, n_stages, kinds, present, cost, stage_terms, size_terms)


def _work(layers: Sequence[Layer], choice: StageChoice) -> tuple[float, ...]:
    """What an engine's time is made of: launches, work by kind of convolution, bytes moved.

    A depthwise kernel looks up where each tap of each pixel is, however many channels there are,
    and computes channels that do not fill a vector one by one; a dense one starts anew with each
    pixel (docs/decisions.md has the gain).
    """
    pixels = sum(x.out_size**2 for x in layers if x.kind == "conv")
    pointwise = sum(x.macs for x in layers if x.kind == "conv" and x.kernel_size == 1)
    dense = sum(x.macs for x in layers if x.kind == "conv" and x.kernel_size > 1)
    depthwise = [
        (x.macs // x.out_channels, x.out_channels) for x in layers if x.kind == "depthwise"
    ]
    work = sum(taps * channels for taps, channels in depthwise)
    rests = (sum(taps * (channels % vector) for taps, channels in depthwise) for vector in VECTORS)
    moved_bytes = sum(x.moved_bytes for x in layers)
    launches = sum(x.launches for x in layers)
    return (
        launches,
        pixels / 1e3,
        pointwise / 1e6,
        dense / 1e6,
        work / 1e6,
        sum(taps for taps, _ in depthwise) / 1e3,
        *(rest / 1e6 for rest in rests),
        moved_bytes / 1e3,
    )


def _work_and_unusual(
    unusual: Sequence[int], layers: Sequence[Layer], choice: StageChoice
) -> tuple[float, ...]:
    """The work, and once more that of depthwise convolutions of each unusual kernel size."""
    depthwise = [x for x in layers if x.kind == "depthwise"]
    extra = (sum(x.macs for x in depthwise if x.kernel_size == k) / 1e6 for k in unusual)
    return (*_work(layers, choice), *extra)


def _fixed_work(resolution: int, fixed_layers: Sequence[Layer]) -> tuple[float, ...]:
    return (sum(layer.macs for layer in fixed_layers) / 1e6,)


def _stored(layers: Sequence[Layer], choice: StageChoice) -> tuple[float, ...]:
    """Weights, channels (each has a scale and a bias) and layers: what a model file is made of."""
    channels = sum(x.out_channels for x in layers if x.params)
    return sum(x.params for x in layers) / 1e3, channels / 1e3, sum(x.launches for x in layers)


def _choices(layers: Sequence[Layer], choice: StageChoice) -> tuple[float, ...]:
    """Amounts, and their logarithms: each doubling of a stage adds about as much accuracy."""
    first_k, *inner_k = choice.kernel_sizes
    first_e, *inner_e = choice.expand_ratios
    amounts = len(inner_e), sum(inner_e), sum(inner_k), first_e, first_k
    return (*amounts, *(math.log1p(amount) for amount in amounts))


def _resolution(resolution: int, fixed_layers: Sequence[Layer]) -> tuple[float, ...]:
    return (resolution,)


def _nothing(resolution: int, fixed_layers: Sequence[Layer]) -> tuple[float, ...]:
    return ()


_AMOUNTS = (
    "inner_blocks",
    "inner_expand_sum",
    "inner_kernel_sum",
    "first_expand",
    "first_kernel",
)
_SETS: dict[str, tuple[tuple[str, ...], tuple[str, ...], bool, StageTerms, SizeTerms]] = {
    "physical": (
        (
            "launches",
            "conv_kpixels",
            "conv1x1_mmac",
            "convkxk_mmac",
            "depthwise_mmac",
            "depthwise_ktaps",
            "depthwise_rest_of_eights_mmac",
            "depthwise_rest_of_sixteens_mmac",
            "moved_kb",
        ),
        ("fixed_mmac",),
        True,
        _work,
        _fixed_work,
    ),
    "choices": (
        (*_AMOUNTS, *(f"log1p_{amount}" for amount in _AMOUNTS)),
        ("resolution_px",),
        False,
        _choices,
        _resolution,
    ),
    "size": (("params_k", "channels_k", "launches"), (), True, _stored, _nothing),
}
