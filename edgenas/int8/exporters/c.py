"""C99: one source file with the weights and integer kernels of an int8 network.

It needs no engine, no heap and no other library, and computes what `graph.fixed_point` does. It is
for boards without an engine and for audits: an engine's kernels are several times as fast.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.core.errors import ExportError
from edgenas.core.records import ImageInput
from edgenas.int8.exporters.base import require_8_bits
from edgenas.int8.graph.fixed_point import Rescaling, common, rescalings, stored_input
from edgenas.int8.graph.ir import INPUT, OUTPUT, Graph, Node, WeightedNode
from edgenas.int8.graph.quantize import Quantization, find_scheme, quantize
from edgenas.int8.graph.ranges import Ranges

KERNELS = Path(__file__).parent / "c_source" / "kernels.c"
MAIN = Path(__file__).parent / "c_source" / "main.c"
_KERNEL_OF = {"linear": "conv", "global_pool": "pool"}
_PER_LINE = 20


@dataclass(frozen=True)
class CSource:
    """A C file, and what it takes.

    flash_bytes : of the constants (code comes to that). ram_bytes : of the static arena; the stack
    holds a few hundred bytes. macs : multiplications and additions of an image.
    """

    text: str
    flash_bytes: int
    ram_bytes: int
    macs: int


def emit(
    graph: Graph,
    ranges: Ranges,
    made: ImageInput,
    class_names: Sequence[str],
    *,
    scheme: str = "s8s8",
    name: str = "network",
) -> CSource:
    """Return `graph` as C: `edgenas_classify(pixels, logits)` takes bytes, as `made` says.

    made : how the input is made of an image; mean and deviation become a table of 256 integers a
        channel. class_names : in the order of the logits, for a comment.

    Raises
    ------
    ExportError : a tensor has no calibrated range, or the scheme keeps biases in float.
    """
    require_8_bits(graph, "C")
    quantization = quantize(graph, ranges, find_scheme(scheme))
    writer = _Writer(graph, quantization, rescalings(graph, quantization))
    return writer.source(made, class_names, name)


class _Writer:
    def __init__(
        self, graph: Graph, quantization: Quantization, how: Mapping[str, Rescaling]
    ) -> None:
        self.graph, self.quantization, self.how = graph, quantization, how
        self.value = f"{np.dtype(quantization.scheme.activation).name}_t"
        self.places, self.arena = _places(graph)
        self.constants: list[str] = []
        self.flash = 0

    def source(self, made: ImageInput, class_names: Sequence[str], name: str) -> CSource:
        channels, height, width = self.graph.input_shape[1:]
        table = self._table(made)
        calls = [
            line
            for number, node in enumerate(self.graph.nodes)
            for line in self._call(number, node)
        ]
        classes = self.graph.shapes[OUTPUT][1]
        logits = self.quantization.tensors[OUTPUT]
        macs = sum(_macs(node) for node in self.graph.nodes if isinstance(node, WeightedNode))
        labels = "\n".join(f" *   {n}: {_comment(label)}" for n, label in enumerate(class_names))
        text = "\n".join(
            (
                f"/* {_comment(name)}, written by edgenas: an int8 network in C99, without heap.",
                f" * Input: {_comment(str(made))}, as bytes, {height} x {width} x {channels}.",
                f" * Constants {self.flash} bytes, static memory {self.arena} bytes, {macs} MACs.",
                " * A logit is (integer - EDGENAS_LOGIT_ZERO) * EDGENAS_LOGIT_SCALE.",
                " * Classes:",
                f"{labels} */",
                "#include <stddef.h>",
                "#include <stdint.h>",
                "",
                f"#define EDGENAS_HEIGHT {height}",
                f"#define EDGENAS_WIDTH {width}",
                f"#define EDGENAS_CHANNELS {channels}",
                f"#define EDGENAS_CLASSES {classes}",
                f"#define EDGENAS_LOGIT_SCALE {float(logits.scale)!r}f",
                f"#define EDGENAS_LOGIT_ZERO ({int(logits.zero_point)})",
                f"typedef {self.value} edgenas_value;",
                "",
                self._kernels(),
                *self.constants,
                table,
                f"static edgenas_value edgenas_arena[{self.arena}];",
                "",
                "/* pixels: bytes, [EDGENAS_HEIGHT][EDGENAS_WIDTH][EDGENAS_CHANNELS].",
                " * logits: EDGENAS_CLASSES integers; the greatest is the class. */",
                "void edgenas_classify(const uint8_t *pixels, edgenas_value *logits) {",
                f"    for (size_t i = 0; i < (size_t){height * width * channels}; ++i)",
                f"        {self._element(INPUT)} = edgenas_input[i % {channels}][pixels[i]];",
                *(f"    {line}" for line in calls),
                f"    for (size_t i = 0; i < {classes}; ++i) logits[i] = {self._element(OUTPUT)};",
                "}",
                "",
            )
        )
        return CSource(text, self.flash, self.arena, macs)

    def _kernels(self) -> str:
        """Return the kernels that this network calls."""
        first, *rest = re.split(r"/\* == (\w+) == \*/\n\n", KERNELS.read_text("utf-8"))
        kernels = dict(zip(rest[::2], rest[1::2], strict=True))
        called = {_KERNEL_OF.get(node.kind, node.kind) for node in self.graph.nodes}
        return first + "".join(text for name, text in kernels.items() if name in called)

    def _table(self, made: ImageInput) -> str:
        """Return the integer of every byte, a channel a row, as the host computes it."""
        pixels = np.arange(256, dtype=np.uint8).astype(np.float32)
        rows = []
        for mean, std in zip(made.mean, made.std, strict=True):
            if made.formula == "(pixel / 255 - mean) / std":
                numbers = (pixels / np.float32(255) - np.float32(mean)) / np.float32(std)
            else:
                numbers = pixels / np.float32(255 if made.formula == "pixel / 255" else 1)
            rows.append(stored_input(numbers, self.quantization))
        self.flash += 256 * len(rows)
        body = ",\n".join(f"    {{{_numbers(row)}}}" for row in rows)
        return f"static const edgenas_value edgenas_input[{len(rows)}][256] = {{\n{body}}};"

    def _constant(self, kind: str, name: str, values: np.ndarray) -> None:
        size = np.dtype(kind.removesuffix("_t")).itemsize
        self.flash += size * values.size
        self.constants.append(
            f"static const {kind} {name}[{values.size}] = {{\n    {_numbers(values.ravel())}}};"
        )

    def _at(self, name: str) -> str:
        return f"edgenas_arena + {self.places[name]}"

    def _element(self, name: str) -> str:
        return f"edgenas_arena[{self.places[name]} + i]"

    def _zero(self, name: str) -> int:
        return int(self.quantization.tensors[name].zero_point)

    def _call(self, number: int, node: Node) -> Iterator[str]:
        if isinstance(node, WeightedNode):
            yield from self._weighted(number, node)
            return
        how, out = self.how[node.output], self._at(node.output)
        ends = f"{how.zero_point}, {how.least}, {how.greatest}"
        pixels, channels = _area(node.shape), node.shape[1]
        if node.kind == "global_pool":
            (one,) = how.fractions
            read = _area(self.graph.shapes[node.inputs[0]])
            yield (
                f"edgenas_pool({self._at(node.inputs[0])}, {out}, {read}, {channels}, "
                f"{self._zero(node.inputs[0])}, {one.multiplier}, {one.shift}, {ends});"
            )
            return
        a, b = node.inputs
        areas = ", ".join(str(_area(self.graph.shapes[name])) for name in node.inputs)
        zeros = ", ".join(str(self._zero(name)) for name in node.inputs)
        fractions = common(how.fractions)
        multipliers = ", ".join(str(one.multiplier) for one in fractions)
        yield (
            f"edgenas_{node.kind}({self._at(a)}, {self._at(b)}, {out}, {pixels}, {channels}, "
            f"{areas}, {zeros}, {multipliers}, {fractions[0].shift}, {ends});"
        )

    def _weighted(self, number: int, node: WeightedNode) -> Iterator[str]:
        kept, how = self.quantization.weights[node.output], self.how[node.output]
        source = self.graph.shapes[node.inputs[0]]
        weight = kept.weight
        if node.parts > 1 or weight.shape[2:3] != weight.shape[3:]:
            raise ExportError(
                f"C code has no kernel for '{node.output}': its channels are in groups, or its "
                "window is not square.",
                "Export it as .onnx or .tflite.",
            )
        if node.kind == "linear":  # its input is flattened channels first, and stands channels last
            weight = weight.reshape(len(weight), *source[1:])
            kernel, height, width, channels = 1, 1, 1, int(np.prod(source[1:]))
        else:
            kernel, (channels, height, width) = weight.shape[-1], source[1:]
        left = node.padding if node.padding_left is None else node.padding_left
        order = (2, 3, 0, 1) if node.kind == "depthwise" else (0, 2, 3, 1)
        self._constant("int8_t", f"weight_{number}", weight.transpose(order))
        self._constant("int32_t", f"bias_{number}", kept.bias)
        fractions = how.fractions
        self._constant(
            "int32_t", f"multiplier_{number}", np.array([one.multiplier for one in fractions])
        )
        self._constant("uint8_t", f"shift_{number}", np.array([one.shift for one in fractions]))
        out_height, out_width = node.shape[2:] if len(node.shape) == 4 else (1, 1)
        fields = (
            *(height, width, channels, out_height, out_width, node.shape[1]),
            *(kernel, node.stride, node.padding, left),
            *(self._zero(node.inputs[0]), how.zero_point, how.least, how.greatest),
            *(f"{name}_{number}" for name in ("weight", "bias", "multiplier", "shift")),
        )
        kind = "depthwise" if node.kind == "depthwise" else "conv"
        yield f"static const edgenas_layer layer_{number} = {{{', '.join(map(str, fields))}}};"
        yield (
            f"edgenas_{kind}(&layer_{number}, {self._at(node.inputs[0])}, {self._at(node.output)});"
        )


def _places(graph: Graph) -> tuple[dict[str, int], int]:
    """Return where each tensor lies in the arena, in values, and how long the arena is.

    Tensors that live at the same time do not overlap; each takes the lowest gap that fits.
    """
    last: dict[str, int] = {}
    for step, node in enumerate(graph.nodes):
        last |= dict.fromkeys(node.inputs, step)
    last[OUTPUT] = len(graph.nodes)
    sizes = {name: int(np.prod(shape)) for name, shape in graph.shapes.items()}
    places: dict[str, int] = {}
    alive: list[str] = []
    length = 0
    for step, name in enumerate((INPUT, *(node.output for node in graph.nodes))):
        alive = [other for other in alive if last.get(other, -1) >= step - 1]
        at = 0
        for other in sorted(alive, key=lambda x: places[x]):
            if at + sizes[name] <= places[other]:
                break
            at = max(at, places[other] + sizes[other])
        places[name] = at
        alive.append(name)
        length = max(length, at + sizes[name])
    return places, length


def _macs(node: WeightedNode) -> int:
    return node.weight.size * _area(node.shape)


def _area(shape: tuple[int, ...]) -> int:
    return shape[2] * shape[3] if len(shape) == 4 else 1


def _numbers(values: np.ndarray) -> str:
    texts = [str(int(value)) for value in values]
    lines = [", ".join(texts[at : at + _PER_LINE]) for at in range(0, len(texts), _PER_LINE)]
    return ",\n    ".join(lines)


def _comment(text: str) -> str:
    """Return a text that can stand in a C comment, whatever it is."""
    plain = re.sub(r"[^ -~]", "?", text.encode("ascii", "replace").decode())
    return plain.replace("*/", "* /").replace("??", "? ?").replace("\\", "/")
