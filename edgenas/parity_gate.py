"""The parity gate: reference, host and target on the same images, and where they part.

The reference is `graph.int8_reference`. What is tolerated of each engine is data with its reason,
`graph/parity_tolerances.json`. Only when the target is off is its network cut short, after one
layer and another, to find the first one that it computes wrongly.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from edgenas import plugins
from edgenas.exported_graph import exported_graph
from edgenas.graph import int8_reference
from edgenas.graph.cut import cut
from edgenas.graph.engines import Engine
from edgenas.graph.ir import INPUT, OUTPUT, Graph
from edgenas.graph.parity import Parity, compare, disagreement, distance
from edgenas.graph.quantize import Scheme, quantize, stored_scheme
from edgenas.graph.ranges import Ranges
from edgenas.host_engine import version
from edgenas.records import Divergence, EngineParity, ExportedModel, Interval, ParityRecord
from edgenas.run_folder import write_bytes
from edgenas.targets.base import ModelFile, Preprocess

if TYPE_CHECKING:
    from edgenas.data.base import Split
    from edgenas.run_context import RunContext

# Of the images on which the target is furthest off: a layer is judged on so many, …
MOST_IMAGES = 8
# … or fewer, where a layer's output is larger than this many values in all.
MOST_VALUES = 4_000_000
Place = Literal["reference", "host", "target"]


@dataclass(frozen=True)
class Judged:
    """The record of it, and what is not tolerated, in sentences."""

    record: ParityRecord
    problems: tuple[str, ...]


def judge(
    context: RunContext,
    model: ExportedModel,
    test: Split,
    *,
    engine: Engine,
    host: np.ndarray,
    device: np.ndarray,
) -> Judged:
    """Compare the logits of host and target, float [n, classes], with the int8 reference.

    engine : that ran on the target, after any fallback.
    test : the images that they saw, at the model's own size.

    Raises
    ------
    ExportError : the logits do not belong to the images, or no tolerance of the engine is known.
    """
    graph, ranges = exported_graph(context, model)
    quantization = quantize(graph, ranges, stored_scheme(model.scheme, model.format))
    labels = None if context.dataset.synthetic else test.labels
    reference = reference_logits(context, model, test)
    scale = float(quantization.tensors[OUTPUT].scale)

    def compared(base: np.ndarray, values: np.ndarray) -> Parity:
        return compare(base, values, labels, scale, engine.name)

    to_reference = compared(reference, device)
    rows = (
        _row("reference", "int8 reference", compared(reference, reference)),
        _row("host", version(engine.host_engine), compared(reference, host)),
        _row("target", engine.name, to_reference),
    )
    to_host, tolerance = compared(host, device), to_reference.tolerance
    problems = [
        *disagreement(to_host, "host"),
        *distance(to_host, "host"),
        *distance(to_reference, "int8 reference"),
    ]
    divergence = None
    if problems:
        layers = _Layers(context, model, graph, ranges, _worst(test, reference, device))
        divergence = layers.first_divergence(tolerance.layer_steps)
        problems.append(_where(divergence, tolerance.layer_steps))
    tolerated = (tolerance.agreement, tolerance.mean_steps, tolerance.reason)
    record = ParityRecord(rows, len(test), scale, *tolerated, divergence)
    return Judged(record, tuple(problems))


def reference_logits(context: RunContext, model: ExportedModel, test: Split) -> np.ndarray:
    """Return what the int8 reference makes of `test`, float32 [n, classes]."""
    graph, ranges = exported_graph(context, model)
    quantization = quantize(graph, ranges, stored_scheme(model.scheme, model.format))
    return int8_reference.run(graph, quantization, context.dataset.normalize(test.images))


def _row(place: Place, engine: str, found: Parity) -> EngineParity:
    seen = found.device
    return EngineParity(
        place,
        engine,
        None if seen is None else Interval(seen.fraction, seen.lower, seen.upper),
        found.agreement,
        found.max_steps,
        found.mean_steps,
    )


def _worst(test: Split, reference: np.ndarray, device: np.ndarray) -> np.ndarray:
    """Return the images on which the target is furthest off, uint8 [n, height, width, channels]."""
    off = np.abs(device - reference).mean(1)
    return test.images[np.argsort(-off, kind="stable")[:MOST_IMAGES]]


def _where(found: Divergence | None, tolerated: float) -> str:
    if found is None:
        return (
            f"No single layer is to blame: none has a channel that is {tolerated:g} steps off the "
            "int8 reference."
        )
    first = f"The first layer that diverges is '{found.layer}' ({found.kind}): "
    if found.worst_channel_steps is None:
        return f"{first}the network cut after it does not run there."
    return (
        f"{first}its worst channel is {found.worst_channel_steps:.3g} steps off the int8 reference "
        f"in the mean, what it reads {found.inputs_steps:.2g} at most."
    )


class _Layers:
    """What the target computes in each layer, found by sending it the network cut after it."""

    def __init__(
        self,
        context: RunContext,
        model: ExportedModel,
        graph: Graph,
        ranges: Ranges,
        images: np.ndarray,
    ) -> None:
        largest = max(int(np.prod(shape)) for shape in graph.shapes.values())
        self.images = images[: max(1, MOST_VALUES // largest)]
        self.context, self.model, self.graph, self.ranges = context, model, graph, ranges
        self.nodes = {node.output: node for node in graph.nodes}
        self._steps: dict[str, float] = {INPUT: 0.0}

    def first_divergence(self, tolerated: float) -> Divergence | None:
        """Return a layer that is off although what it reads is not; None if the logits are right.

        By halves: of two layers that follow each other in the order of computation the second is
        off and the first is not. Where the second also reads another branch, that is looked into.
        """
        names = list(self.nodes)
        if self.steps(OUTPUT) <= tolerated:
            return None
        right, wrong = -1, len(names) - 1
        while wrong - right > 1:
            middle = (right + wrong) // 2
            if self.steps(names[middle]) > tolerated:
                wrong = middle
            else:
                right = middle
        name = names[wrong]
        while True:
            off = [one for one in self.nodes[name].inputs if self.steps(one) > tolerated]
            if not off:
                break
            name = off[0]
        node = self.nodes[name]
        read, steps = max(self.steps(one) for one in node.inputs), self.steps(name)
        known = steps if np.isfinite(steps) else None
        return Divergence(name, node.kind, known, read, len(self.images))

    def steps(self, name: str) -> float:
        """Return how far a layer's worst channel is off, mean, in steps; infinite if it fails."""
        if name not in self._steps:
            self._steps[name] = self._measured(name)
        return self._steps[name]

    def _measured(self, name: str) -> float:
        graph, ranges = cut(self.graph, self.ranges, name)
        quantization = quantize(graph, ranges, self._scheme)
        expected = int8_reference.run(graph, quantization, self._normalized)
        seen = self._on_target(name, graph, ranges).reshape(len(expected), -1)
        if self.model.layout == "nhwc" and expected.ndim == 4:
            n, channels, height, width = expected.shape
            seen = seen.reshape(n, height, width, channels).transpose(0, 3, 1, 2)
        off = np.abs(seen.reshape(expected.shape) - expected)
        by_channel = off.mean(axis=tuple(axis for axis in range(off.ndim) if axis != 1))
        return float(by_channel.max() / quantization.tensors[OUTPUT].scale)

    def _on_target(self, name: str, graph: Graph, ranges: Ranges) -> np.ndarray:
        context, model = self.context, self.model
        content = plugins.load("exporters", model.format).emit(graph, ranges, scheme=model.scheme)
        key = f"{model.candidate.architecture.short_name}-cut-{list(self.nodes).index(name)}"
        path = context.folder.jobs / "cut" / key
        write_bytes(path, content)
        file = ModelFile(key, path, hashlib.sha256(content).hexdigest())
        pixels = np.ascontiguousarray(self.images.transpose(0, 3, 1, 2))
        how = Preprocess(model.mean, model.std)
        job_dir = context.job_dir("parity", [file])
        inference = context.target.infer(file, pixels, how, job_dir, context.progress)
        if inference.logits is None:
            return np.full((len(pixels), int(np.prod(graph.shapes[OUTPUT]))), np.inf)
        return inference.logits

    @cached_property
    def _normalized(self) -> np.ndarray:
        return self.context.dataset.normalize(self.images)

    @property
    def _scheme(self) -> Scheme:
        return stored_scheme(self.model.scheme, self.model.format)
