"""The space of a network that somebody else trained: its own blocks, resized.

What the network is stands in a document (FILE.json) that `edgenas shrink` or `edgenas grow` writes.
A stage is a block and those after it that are alike and are added to what they read. To be shrunk,
the last ones may go, a block may have fewer of its hidden channels, and of larger depthwise kernels
the centre alone. To grow, all blocks stay, and may have up to twice their hidden channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from device_runtime.json_text import read_json_text
from edgenas.core.errors import InputError
from edgenas.core.records import Layer, StageChoice, from_json
from edgenas.core.records.networks import KERNEL_SIZE, zeros_after
from edgenas.spaces.base import MobileSpace, StageSpec

HIDDEN_EIGHTHS = "hidden_eighths"  # of a block's hidden channels, so many are kept
EIGHTHS, WHOLE = (3, 4, 6, 8), 8
WIDER_EIGHTHS = (8, 10, 12, 14, 16)
LEAST_HIDDEN = 8  # channels; of fewer all are kept
MOST_LAYERS, LARGEST_SIZE = 2_000, 65_536
_REMEDY = "Make it again: edgenas shrink MODEL.onnx, or edgenas grow MODEL.onnx"


@dataclass(frozen=True)
class Template:
    """The layers of a block, as they are in the imported network.

    Names of its own layers begin with "_"; "" is what the block reads. hidden : the layers whose
    channels may be fewer or more, for nobody outside of the block knows them.
    """

    layers: tuple[Layer, ...] = ()
    hidden: tuple[str, ...] = ()

    def resized(self, eighths: int, kernel_size: int) -> Iterator[Layer]:
        """Yield the layers with so many eighths of the hidden channels, and depthwise kernels no
        larger."""
        for layer in self.layers:
            change: dict[str, int] = {}
            if layer.inputs[0] in self.hidden:
                change["in_channels"] = kept_channels(layer.in_channels, eighths)
            if layer.name in self.hidden:
                change["out_channels"] = kept_channels(layer.out_channels, eighths)
            if layer.kind == "depthwise" and layer.kernel_size > kernel_size:
                cut = (layer.kernel_size - kernel_size) // 2
                change |= {"kernel_size": kernel_size, "padding": layer.padded_before - cut}
            yield replace(layer, **change)  # type: ignore[arg-type]


@dataclass(frozen=True)
class ImportedStage(StageSpec):
    """A run of blocks: the first, and what all others are like."""

    first: Template = Template()
    inner: Template = Template()


@dataclass(frozen=True)
class ImportedSpace(MobileSpace):
    """An imported network as the largest of a space, or, of one that `widens`, as the smallest.

    stem, head : its layers before the first stage, and after the last, which reads "".
    source : the file that it was imported from, and its SHA-256.
    """

    stages: tuple[ImportedStage, ...]
    stem: tuple[Layer, ...] = ()
    head: tuple[Layer, ...] = ()
    source: tuple[str, str] = ("", "")

    def __hash__(self) -> int:  # that of all layers takes longer than what is looked up by it
        return hash((self.name, self.resolutions, self.source))

    @property
    def widens(self) -> bool:
        """Whether blocks may have more hidden channels than in the imported network."""
        return any(
            int(option) > WHOLE
            for spec in self.stages
            for option in spec.choices.get(HIDDEN_EIGHTHS, ())
        )

    def stem_layers(self, resolution: int) -> tuple[Layer, ...]:
        """Return the layers before the first stage."""
        return tuple(self._sized(self.stem, resolution, ""))

    def stage_layers(
        self, resolution: int, stage: int, choice: StageChoice, previous: str = "previous"
    ) -> tuple[Layer, ...]:
        """Return the layers of one stage; `previous` names the tensor that it reads."""
        spec, layers = self.stages[stage], list[Layer]()
        for block, options in enumerate(choice.blocks):
            prefix = block_prefix(stage, block)
            template = spec.inner if block else spec.first
            eighths = int(options.get(HIDDEN_EIGHTHS, WHOLE))
            parts = template.resized(eighths, int(options[KERNEL_SIZE]))
            for layer in self._sized(parts, resolution, f"stage{stage}_block{min(block, 1)}"):
                inputs = tuple(prefix + name if name else previous for name in layer.inputs)
                name = prefix + layer.name
                layers.append(replace(layer, name=name, inputs=inputs, stage=stage, block=block))
            previous = layers[-1].name
        return tuple(layers)

    def head_layers(self, resolution: int, previous: str = "previous") -> tuple[Layer, ...]:
        """Return the layers after the last stage."""
        return tuple(
            replace(layer, inputs=tuple(name or previous for name in layer.inputs))
            for layer in self._sized(self.head, resolution, "")
        )

    def _sized(self, layers: Iterable[Layer], resolution: int, prefix: str) -> Iterator[Layer]:
        """Yield layers as they are for images of `resolution` pixels."""
        sizes = self._sizes[resolution]
        for layer in layers:
            ins, outs = sizes[prefix + layer.name]
            yield replace(layer, in_size=ins, out_size=outs, padding=layer.padded_before)

    @cached_property
    def _sizes(self) -> dict[int, dict[str, tuple[int, int]]]:
        """Pixels a side that each layer reads and makes, by its name, by resolution."""
        return {
            resolution: dict(self._computed_sizes(resolution)) for resolution in self.resolutions
        }

    def _computed_sizes(self, resolution: int) -> Iterator[tuple[str, tuple[int, int]]]:
        made = {"input": resolution}
        last = ""
        for prefix, layers in self._parts():
            entry = made.get(last, resolution)
            for layer in layers:
                size = max(made[prefix + name] if name else entry for name in layer.inputs)
                made[prefix + layer.name] = out_size(layer, size)
                yield prefix + layer.name, (size, out_size(layer, size))
            if layers:
                last = prefix + layers[-1].name

    def _parts(self) -> Iterator[tuple[str, tuple[Layer, ...]]]:
        yield "", self.stem
        for index, stage in enumerate(self.stages):
            yield f"stage{index}_block0", stage.first.layers
            yield f"stage{index}_block1", stage.inner.layers
        yield "", self.head


def block_prefix(stage: int, block: int) -> str:
    """Return what the names of a block's layers begin with."""
    return f"stage{stage}_block{block}"


def kept_channels(channels: int, eighths: int) -> int:
    """Return so many eighths of a block's hidden channels: of many, a multiple of 8."""
    if eighths == WHOLE or channels < LEAST_HIDDEN:
        return channels
    unit = max(unit for unit in (1, 2, 4, 8) if unit * WHOLE <= channels)
    return int(channels * eighths / WHOLE / unit + 0.5) * unit


def out_size(layer: Layer, size: int) -> int:
    """Return the pixels a side that a layer makes of `size`, padded as at its own size."""
    if layer.kind == "global_pool":
        return 1
    if layer.kind in ("max_pool", "average_pool"):
        window, _, stride, before, _ = layer.numbers
        after = zeros_after(layer.in_size, layer.out_size, window, stride, before)
        return (size + before + after - window) // stride + 1
    if layer.kind in ("conv", "depthwise"):
        around = layer.padded_before + layer.padded_after
        return (size + around - layer.kernel_size) // layer.stride + 1
    return size * layer.out_size // layer.in_size


@dataclass(frozen=True)
class ImportedNetwork:
    """A member of the family "spaces": the space that a file of `edgenas shrink` describes."""

    path: Path
    space: ImportedSpace

    @property
    def purpose(self) -> str:
        return f"what can be made of {self.space.source[0]}"

    def create(self, num_classes: int, in_channels: int, image_size: int) -> ImportedSpace:
        """Return the space, which is made for images of one kind.

        Raises
        ------
        InputError : the images have other classes, or other channels.
        """
        network = self.space.source[0]
        if num_classes != self.space.num_classes:
            raise InputError(
                f"{network} has {self.space.num_classes} scores, and the images have {num_classes} "
                "classes.",
                "Give images of its classes; to learn others it has to be trained first.",
            )
        if in_channels != self.space.in_channels:
            raise InputError(
                f"{network} takes images of {self.space.in_channels} channels, the images have "
                f"{in_channels}.",
                "Give images as it was trained on.",
            )
        return self.space


def read_imported(path: Path, content: bytes) -> ImportedNetwork:
    """Return the space in the content of a file.

    Raises
    ------
    InputError : it is none, or damaged.
    """
    try:
        document = read_json_text(content)
        space = from_json(document, ImportedSpace, f"The space {path}")
        sound = all(_is_sound(space.layers(each)) for each in (space.largest(), space.smallest()))
    except (ValueError, KeyError, IndexError, ZeroDivisionError) as problem:
        raise InputError(f"The space {path} is damaged: {problem}.", _REMEDY) from problem
    if not sound:
        raise InputError(f"The space {path} is damaged: its layers cannot be.", _REMEDY)
    return ImportedNetwork(path, space)


def _is_sound(layers: tuple[Layer, ...]) -> bool:
    """Whether each layer reads what was made before, as many channels as that has."""
    made: dict[str, int] = {"input": layers[0].in_channels}
    for layer in layers:
        numbers = (layer.in_size, layer.out_size, layer.in_channels, layer.out_channels)
        if not all(1 <= number <= LARGEST_SIZE for number in (*numbers, layer.kernel_size)):
            return False
        weighted = layer.kind in ("conv", "depthwise", "linear")
        if weighted and made[layer.inputs[0]] != layer.in_channels:
            return False
        made[layer.name] = layer.out_channels
    return layers[-1].kind == "linear" and len(layers) <= MOST_LAYERS
