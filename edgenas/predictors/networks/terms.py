"""Terms: what an architecture is to a predictor, as sums over stages of what each stage adds.

A row of terms is `size_row` plus one `stage_row` a stage, so that every prediction that is linear
in the terms is a sum over stages, and a search can solve it exactly. The sets:

physical : work of a network (latency, memory, energy), from its layers.
choices : what was chosen (accuracy), from depths, kernel sizes and expand ratios; of bits the noise
    of rounding.
size : what a model file holds (its bytes), from the layers: weights, channels and layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType

import numpy as np

from edgenas.core.errors import PredictorError, nearest
from edgenas.core.records import Layer, Option, StageChoice
from edgenas.core.records.networks import (
    ACTIVATION_BITS,
    EXPAND_RATIO,
    KERNEL_SIZE,
    WEIGHT_BITS,
)

LARGEST_USUAL_KERNEL = 5
_LABELS = {EXPAND_RATIO: "expand", KERNEL_SIZE: "kernel"}  # of choices, in the names of terms
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

    @cached_property
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
    name: str,
    n_stages: int,
    n_resolutions: int,
    options: Mapping[str, Sequence[Option]] = MappingProxyType({}),
) -> TermSet:
    """Return the set of that name for a space of so many stages and resolutions.

    options : that the space offers, by choice; none for the kernel sizes and expand ratios that
        most have. In "physical" each kernel size above 5 has a term of its own, for engines have
        fast kernels for the usual sizes and whatever is left for the others. In "choices" each
        choice has its terms: sums of its numbers, or how many blocks have each of its words; of
        bits the power of the noise that rounding to them adds, 4^-bits (Bennett 1948).

    Raises
    ------
    PredictorError : there is no such set.
    """
    if name not in _SETS:
        raise PredictorError(f"There is no term set '{name}'.", nearest(name, _SETS))
    kinds, size_names, cost, stage_terms, size_terms = _SETS[name]
    present = size_names if n_resolutions > 1 else ()
    kernel_sizes = [int(size) for size in options.get(KERNEL_SIZE, ())]
    unusual = tuple(k for k in sorted(set(kernel_sizes)) if k > LARGEST_USUAL_KERNEL)
    if stage_terms is _work and unusual:
        kinds = (*kinds, *(f"depthwise{k}x{k}_mmac" for k in unusual))
        stage_terms = partial(_work_and_unusual, unusual)
    if stage_terms is _choices and options:
        rounded = tuple(name for name in (ACTIVATION_BITS, WEIGHT_BITS) if name in options)
        counted = _counted({name: of for name, of in options.items() if name not in rounded})
        amounts = (
            "inner_blocks",
            *(f"inner_{label}_{unit}" for label, unit, _, _ in counted),
            *(f"first_{label}" for label, _, _, _ in counted),
        )
        logarithms = (f"log1p_{amount}" for amount in amounts)
        kinds = (*amounts, *logarithms, *(f"{name}_noise" for name in rounded))
        stage_terms = partial(_choices_of, tuple((of, word) for _, _, of, word in counted), rounded)
    return TermSet(name, n_stages, kinds, present, cost, stage_terms, size_terms)


def _counted(
    options: Mapping[str, Sequence[Option]],
) -> list[tuple[str, str, str, Option | None]]:
    """Return what "choices" counts: (label, unit, choice, word), word None for a sum of numbers.

    Expand ratios stand before kernel sizes, as predictor files have them.
    """
    usual = [name for name in (EXPAND_RATIO, KERNEL_SIZE) if name in options]
    counted: list[tuple[str, str, str, Option | None]] = []
    for name in (*usual, *(name for name in options if name not in usual)):
        label = _LABELS.get(name, name)
        words = [option for option in options[name] if isinstance(option, str)]
        if not words:
            counted.append((label, "sum", name, None))
        # without the first word, which is what a block has where it has none of the others
        counted += [(f"{label}_{word}", "count", name, word) for word in words[1:]]
    return counted


def _choices_of(
    counted: Sequence[tuple[str, Option | None]],
    rounded: Sequence[str],
    layers: Sequence[Layer],
    choice: StageChoice,
) -> tuple[float, ...]:
    """Amounts of every choice, and their logarithms; of bits the noise of all blocks."""
    chosen = choice.choices
    amounts = [
        [
            float(option) if word is None else float(option == word)
            for option in chosen.get(name, (0,) if word is None else ("",))
        ]
        for name, word in counted
    ]
    inner = (sum(of[1:]) for of in amounts)
    both = (choice.depth - 1, *inner, *(of[0] for of in amounts))
    noise = (sum(4.0 ** -int(bits) for bits in chosen[name]) for name in rounded)
    return (*both, *(math.log1p(amount) for amount in both), *noise)


def _work(layers: Sequence[Layer], choice: StageChoice) -> tuple[float, ...]:
    """What an engine's time is made of: launches, work by kind of convolution, bytes moved.

    A depthwise kernel looks up where each tap of each pixel is, however many channels there are,
    and computes channels that do not fill a vector one by one; a dense one starts anew with each
    pixel (docs/decisions has the gain).
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
